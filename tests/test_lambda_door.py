import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions import documents
from functions.chain import DeadLetter, Handle, Surroundings
from functions.errors import Code, RejectedInput, RetryableError
from functions.events import ObjectCreated
from functions.input_cache import InputCache
from functions.lambda_door import LambdaHandler, lambda_for
from functions.progress import silent
from functions.settings import BucketSettings
from functions.storage import Store

BUCKETS = BucketSettings()


class Function:
    """A small function: copies an upload to the output, unless told otherwise."""

    def __init__(self) -> None:
        self.store = Store.memory()
        self.errors: dict[str, Exception] = {}
        self.built = 0
        self.handler: LambdaHandler = lambda_for("ingest", self.build, self.around)

    def around(self) -> Surroundings:
        return Surroundings(self.store, BUCKETS, InputCache(Path(), 0), Path(), Path(), silent)

    def build(self, around: Surroundings) -> Handle:
        self.built += 1

        def handle(event: ObjectCreated) -> None:
            if event.key in self.errors:
                raise self.errors[event.key]
            around.store.put(BUCKETS.output, event.key, b"done")

        return handle

    @property
    def made(self) -> set[str]:
        return {entry.key for entry in self.store.entries(BUCKETS.output, "")}


@pytest.fixture
def function() -> Iterator[Function]:
    return Function()


def s3(*keys: str, bucket: str = BUCKETS.input) -> dict[str, object]:
    return {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": bucket}, "object": {"key": key.replace(" ", "+")}},
            }
            for key in keys
        ]
    }


def sqs(*bodies: object, tries: int = 1) -> dict[str, object]:
    return {
        "Records": [
            {
                "messageId": f"m-{number}",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": str(tries)},
                "eventSource": "aws:sqs",
            }
            for number, body in enumerate(bodies)
        ]
    }


def http(method: str, path: str, body: object = None, **headers: str) -> dict[str, object]:
    """What a function URL sends."""
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "x.lambda-url.eu-central-1.on.aws", **headers},
        "requestContext": {"http": {"method": method, "path": path, "sourceIp": "203.0.113.7"}},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


def test_s3_is_handled_before_the_answer(function: Function) -> None:
    """When the invocation ends the work is done, whatever characters the keys have."""
    function.handler(s3("t/news/a b.wav", "t/news/c.mp4"), None)
    assert function.made == {"t/news/a b.wav", "t/news/c.mp4"}


def test_models_are_loaded_once(function: Function) -> None:
    """Nothing is built at import; the first event builds, the next ones find it built."""
    assert function.built == 0
    for number in range(3):
        function.handler(s3(f"t/news/{number}.wav"), None)
    assert function.built == 1


def test_eventbridge(function: Function) -> None:
    """EventBridge's form of the news is handled alike."""
    detail = {"bucket": {"name": BUCKETS.input}, "object": {"key": "t/news/a+b.wav"}}
    function.handler({"detail-type": "Object Created", "detail": detail}, None)
    assert function.made == {"t/news/a+b.wav"}


def test_the_test_event_is_acknowledged(function: Function) -> None:
    """What S3 sends when a rule is made is no failure, directly and through SQS."""
    test = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKETS.input}
    function.handler(test, None)
    assert function.handler(sqs(test), None) == {"batchItemFailures": []}


@pytest.mark.parametrize("error", [RetryableError("disk"), ZeroDivisionError("odd")])
def test_a_failure_is_raised(function: Function, error: Exception) -> None:
    """The invocation fails, so that the platform tries again; then it succeeds."""
    function.errors["t/a.wav"] = error
    with pytest.raises(RetryableError, match=type(error).__name__):
        function.handler(s3("t/a.wav", "t/b.wav"), None)
    assert function.made == {"t/b.wav"}, "one failure does not keep the others back"
    function.errors.clear()
    function.handler(s3("t/a.wav", "t/b.wav"), None)
    assert function.made == {"t/a.wav", "t/b.wav"}


def test_a_refusal_is_settled(function: Function) -> None:
    """What no retry can mend is written at the output, and the invocation succeeds."""
    function.errors["t/a.wav"] = RejectedInput(Code.NO_FACE, "none")
    function.handler(s3("t/a.wav"), None)
    assert function.made == {"t/a.wav.error.json"}


def test_of_a_batch_only_what_failed_comes_back(function: Function) -> None:
    """SQS is told which messages failed: those with a failure, and those that are no event."""
    function.errors["t/b.wav"] = RetryableError("disk")
    batch = sqs(s3("t/a.wav"), s3("t/b.wav"), "no JSON", s3("t/c.wav"))
    assert function.handler(batch, None) == {
        "batchItemFailures": [{"itemIdentifier": "m-1"}, {"itemIdentifier": "m-2"}]
    }
    assert function.made == {"t/a.wav", "t/c.wav"}


def test_a_hopeless_message_is_a_dead_letter(function: Function) -> None:
    """At its fourth delivery a failing message is given up, recorded and deleted."""
    function.errors["t/b.wav"] = RetryableError("disk")
    for tries in (1, 2, 3):
        answer = function.handler(sqs(s3("t/b.wav"), tries=tries), None)
        assert answer == {"batchItemFailures": [{"itemIdentifier": "m-0"}]}
    assert function.handler(sqs(s3("t/b.wav"), tries=4), None) == {"batchItemFailures": []}
    (entry,) = function.store.entries(BUCKETS.work, "t/dead")
    letter = documents.load(DeadLetter, function.store.get(BUCKETS.work, entry.key))
    assert letter.event == ObjectCreated(BUCKETS.input, "t/b.wav")
    assert len(letter.attempts) == 4
    assert "disk" in letter.attempts[-1].error


def test_events_of_others_are_passed_over(function: Function) -> None:
    """An event that fires another function, or is about a foreign bucket, does nothing."""
    function.handler(s3("t/runs/r/0000.part.mp4", bucket=BUCKETS.work), None)
    function.handler(s3("t/a.wav", bucket="foreign"), None)
    assert function.made == set()


def test_http(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a function URL it is the same door: statuses instead of exceptions, and the token."""
    assert function.handler(http("GET", "/healthz"), None)["statusCode"] == 200
    assert function.handler(http("POST", "/events", s3("t/a.wav")), None)["statusCode"] == 200
    assert function.made == {"t/a.wav"}
    assert function.handler(http("POST", "/events", {"x": 1}), None)["statusCode"] == 400
    foreign = http("POST", "/events", s3("t/a.wav", bucket="foreign"))
    assert function.handler(foreign, None)["statusCode"] == 422
    function.errors["t/a.wav"] = RetryableError("disk")
    assert function.handler(http("POST", "/events", s3("t/a.wav")), None)["statusCode"] == 500
    monkeypatch.setenv("KOUBO_EVENTS_TOKEN", "secret")
    assert function.handler(http("POST", "/events", s3("t/b.wav")), None)["statusCode"] == 401
    good = http("POST", "/events", s3("t/b.wav"), authorization="Bearer secret")
    assert function.handler(good, None)["statusCode"] == 200
    function.handler(s3("t/c.wav"), None)
    assert function.made >= {"t/c.wav"}, "the platform's own events need no token"
