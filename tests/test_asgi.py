import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from functions.asgi import app_for
from functions.chain import Handle, Surroundings
from functions.errors import Code, RejectedInput, RetryableError
from functions.events import ObjectCreated
from functions.input_cache import InputCache
from functions.progress import silent
from functions.settings import BucketSettings
from functions.storage import Store

BUCKETS = BucketSettings()
KEY = "t/news/a b.wav"


def body(*keys: str, bucket: str = BUCKETS.input) -> dict[str, object]:
    """What MinIO sends for these keys."""
    records = [
        {
            "eventName": "s3:ObjectCreated:Put",
            "s3": {"bucket": {"name": bucket}, "object": {"key": key.replace(" ", "+")}},
        }
        for key in keys
    ]
    return {"EventName": "s3:ObjectCreated:Put", "Key": f"{bucket}/{keys[0]}", "Records": records}


class Function:
    """A small function: copies an upload to the output, unless told otherwise."""

    def __init__(self) -> None:
        self.store = Store.memory()
        self.fails: list[Exception] = []
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Semaphore(0)

    def build(self, around: Surroundings) -> Handle:
        def handle(event: ObjectCreated) -> None:
            self.began.release()
            self.gate.wait(20)
            if self.fails:
                raise self.fails.pop(0)
            content = around.store.get(event.bucket, event.key)
            around.store.put(around.buckets.output, event.key, content)

        return handle

    @contextmanager
    def client(self) -> Iterator[TestClient]:
        def around() -> Surroundings:
            cache = InputCache(Path("unused"), 0)
            return Surroundings(self.store, BUCKETS, cache, Path(), Path(), silent)

        with TestClient(app_for("ingest", self.build, around)) as client:
            yield client


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Function:
    monkeypatch.setenv("KOUBO_EVENTS_RETRY_SECONDS", "0.01")
    made = Function()
    made.store.put(BUCKETS.input, KEY, b"content")
    return made


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    """Waits for what another thread is about to do."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def metric(client: TestClient, outcome: str) -> float:
    text = client.get("/metrics").text
    name = f'koubo_events_total{{function="ingest",outcome="{outcome}"}} '
    return sum(float(line[len(name) :]) for line in text.splitlines() if line.startswith(name))


def test_events_are_taken_at_once_and_handled_behind(function: Function) -> None:
    """The sender is answered before the work is done; then the work is done."""
    function.gate.clear()
    with function.client() as client:
        answer = client.post("/events", json=body(KEY))
        assert answer.status_code == 202
        assert answer.json() == {"events": 1}
        assert not function.store.exists(BUCKETS.output, KEY)
        function.gate.set()
        until(lambda: function.store.exists(BUCKETS.output, KEY))
    assert function.store.get(BUCKETS.output, KEY) == b"content"


def test_events_of_others_are_acknowledged(function: Function) -> None:
    """What concerns another function is answered well, counted, and not handled."""
    with function.client() as client:
        before = metric(client, "ignored")
        answer = client.post("/events", json=body("t/runs/r/0000.part.mp4", bucket=BUCKETS.work))
        assert answer.status_code == 202
        assert metric(client, "ignored") == before + 1
    assert not function.began.acquire(blocking=False)


@pytest.mark.parametrize(
    ("bucket", "key", "why"),
    [
        ("somebody-elses", KEY, "none of ours"),
        (BUCKETS.input, "t/news/too/deep.wav", "where no job is"),
        (BUCKETS.input, "rootless.wav", "where no job is"),
    ],
)
def test_misplaced_events_are_refused(
    function: Function, bucket: str, key: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A foreign bucket and a key outside the layout get a clear answer, a log line and a count."""
    with function.client() as client:
        before = metric(client, "misplaced")
        answer = client.post("/events", json=body(key, bucket=bucket))
        assert answer.status_code == 422
        assert why in answer.json()["detail"]
        assert metric(client, "misplaced") == before + 1
        beside = body(KEY)
        beside["Records"] += body(key, bucket=bucket)["Records"]
        assert client.post("/events", json=beside).status_code == 202, "one of the two is ours"
    assert "asgi.misplaced" in capsys.readouterr().err


def test_a_connectors_body_is_the_object(function: Function) -> None:
    """A CloudEvent that carries the whole object, however big, says in its headers which it is."""
    headers = {
        "ce-type": "dev.knative.connector.event.aws-s3",
        "ce-source": f"aws.s3.bucket.{BUCKETS.input}",
        "ce-subject": "t/news/a%20b.wav",
    }
    with function.client() as client:
        answer = client.post("/events", content=iter([b" " * (1 << 20)] * 3), headers=headers)
        assert answer.json() == {"events": 1}
        until(lambda: function.store.exists(BUCKETS.output, KEY))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"Records": 1}', b"\xff\xfe"])
def test_garbage_is_a_bad_request(
    function: Function, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is no event is the sender's mistake: said so, logged and counted."""
    with function.client() as client:
        answer = client.post("/events", content=content)
        assert answer.status_code == 400
        assert answer.json()["detail"].startswith("not an event: ")
        text = client.get("/metrics").text
    assert 'koubo_requests_refused_total{function="ingest",status="400"}' in text
    assert "asgi.refused" in capsys.readouterr().err


def test_endless_bodies_are_cut_off(function: Function) -> None:
    """More than a mebibyte is no event, whether its length is stated or not."""
    pieces = [b" " * (1 << 18)] * 5
    with function.client() as client:
        assert client.post("/events", content=b"".join(pieces)).status_code == 413
        assert client.post("/events", content=iter(pieces)).status_code == 413


def test_the_token_is_asked_for(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a token set, only who knows it gets in; health and metrics stay open."""
    monkeypatch.setenv("KOUBO_EVENTS_TOKEN", "let me in")
    with function.client() as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}):
            answer = client.post("/events", json=body(KEY), headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        good = {"Authorization": "Bearer let me in"}
        assert client.post("/events", json=body(KEY), headers=good).status_code == 202
        assert client.get("/healthz").status_code == 200
        assert client.get("/metrics").status_code == 200


def test_a_full_queue_asks_to_come_again(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When nothing more fits the sender is told when to try again, and then it fits."""
    monkeypatch.setenv("KOUBO_EVENTS_QUEUE", "1")
    function.gate.clear()
    keys = [f"t/news/{number}.wav" for number in range(3)]
    for key in keys:
        function.store.put(BUCKETS.input, key, b"content")
    with function.client() as client:
        assert client.post("/events", json=body(keys[0])).status_code == 202
        assert function.began.acquire(timeout=20), "one is in work, the queue is empty again"
        assert client.post("/events", json=body(keys[1])).status_code == 202
        answer = client.post("/events", json=body(keys[2]))
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        function.gate.set()
        until(lambda: client.post("/events", json=body(keys[2])).status_code == 202)


def test_what_waits_already_is_not_taken_twice(function: Function) -> None:
    """The same event ten times, while one is in work, is one more time of work."""
    function.gate.clear()
    with function.client() as client:
        client.post("/events", json=body(KEY))
        assert function.began.acquire(timeout=20)
        for _ in range(10):
            assert client.post("/events", json=body(KEY)).status_code == 202
        function.gate.set()
        assert function.began.acquire(timeout=20), "it may have changed since the first began"
        until(lambda: metric(client, "repeated") >= 9)
    assert not function.began.acquire(blocking=False)


def test_lost_events_are_made_good(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody told of is found at the start, and from time to time, and handled."""
    monkeypatch.setenv("KOUBO_EVENTS_STALE_SECONDS", "0")
    monkeypatch.setenv("KOUBO_EVENTS_RECONCILE_SECONDS", "0.1")
    with function.client():
        until(lambda: function.store.exists(BUCKETS.output, KEY))
        function.store.put(BUCKETS.input, "t/news/later.wav", b"later")
        until(lambda: function.store.exists(BUCKETS.output, "t/news/later.wav"))


def test_a_failing_event_is_tried_again(function: Function) -> None:
    """A failure is followed by another attempt, which succeeds."""
    function.fails = [RetryableError("a moment")]
    with function.client() as client:
        client.post("/events", json=body(KEY))
        until(lambda: function.store.exists(BUCKETS.output, KEY))


def test_a_refused_event_is_answered(function: Function) -> None:
    """What no retry can mend is written at the output and not tried again."""
    function.fails = [RejectedInput(Code.NO_FACE, "none")]
    with function.client() as client:
        client.post("/events", json=body(KEY))
        until(lambda: function.store.exists(BUCKETS.output, f"{KEY}.error.json"))
    error = json.loads(function.store.get(BUCKETS.output, f"{KEY}.error.json"))
    assert error["code"] == "no_face"
    assert function.began.acquire(blocking=False)
    assert not function.began.acquire(blocking=False)


def test_a_hopeless_event_is_dead_lettered(function: Function) -> None:
    """After the last attempt the event is a dead letter, and the next event is handled."""
    function.fails = [ZeroDivisionError(f"try {n}") for n in range(4)]
    with function.client() as client:
        client.post("/events", json=body(KEY))
        until(lambda: bool(list(function.store.entries(BUCKETS.work, "t/dead/ingest"))))
        until(lambda: metric(client, "settled") > 0)
        function.store.put(BUCKETS.input, "t/news/next.wav", b"next")
        client.post("/events", json=body("t/news/next.wav"))
        until(lambda: function.store.exists(BUCKETS.output, "t/news/next.wav"))
    assert not function.store.exists(BUCKETS.output, KEY)


def test_readiness_is_the_stores(function: Function, tmp_path: Path) -> None:
    """Ready means that the store answers; alive means that the process does."""
    with function.client() as client:
        assert client.get("/readyz").status_code == 200
        assert client.get("/healthz").json() == {"function": "ingest"}
    (tmp_path / BUCKETS.work).write_bytes(b"in the way")
    function.store = Store.folder(tmp_path)
    with function.client() as client:
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200


def test_what_waits_is_counted(function: Function) -> None:
    """The number of waiting events and the time of each attempt are there to scale by."""
    with function.client() as client:
        client.post("/events", json=body(KEY))
        until(lambda: function.store.exists(BUCKETS.output, KEY))
        text = client.get("/metrics").text
    assert 'koubo_events_waiting{function="ingest"}' in text
    assert 'koubo_handle_seconds_bucket{function="ingest",le="1.0"}' in text
