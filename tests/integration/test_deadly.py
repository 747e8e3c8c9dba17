"""An event that kills the server that handles it, each time."""

import json
import sys
import urllib.request
from pathlib import Path
from urllib.parse import quote_plus

from functions import dead, documents, runs
from functions.errors import ErrorDocument
from functions.layout import RunKeys, interrupted_key
from functions.runs import Failure
from functions.storage import Store
from tests.test_chain import KEYS, PLAN

from .deadly import DEADLY
from .minio_server import BUCKETS, Process, free_port, until

DEATHS = 3


def server(root: Path, port: int) -> Process:
    """The server, which finds by itself what is due."""
    return Process(
        [sys.executable, "-m", "uvicorn", "tests.integration.deadly:app", "--port", str(port)],
        {
            "KOUBO_STORE_ROOT": str(root),
            "KOUBO_EVENTS_DEATHS": str(DEATHS),
            "KOUBO_EVENTS_RETRY_SECONDS": "0.05",
            "KOUBO_EVENTS_RECONCILE_SECONDS": "0.2",
            "KOUBO_EVENTS_STALE_SECONDS": "0",
        },
        root / "server.log",
        f"http://127.0.0.1:{port}/readyz",
    )


def post(port: int, key: str) -> int:
    """Tells of an object as MinIO does."""
    told = {"bucket": {"name": BUCKETS.work}, "object": {"key": quote_plus(key)}}
    record = {"eventName": "s3:ObjectCreated:Put", "s3": told}
    body = json.dumps({"Records": [record]}).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/events", body, timeout=20) as answer:
        return int(answer.status)


def marks(store: Store) -> list[str]:
    prefix = interrupted_key("t", "infer", "x").rpartition("/")[0]
    return [entry.key for entry in store.entries(BUCKETS.work, prefix)]


def test_an_event_that_kills_its_server_is_given_up(tmp_path: Path) -> None:
    """Counted across the deaths, it ends as a dead letter and a failed run; the server lives on."""
    store, port = Store.folder(tmp_path), free_port()
    runs.start(store, BUCKETS.work, PLAN)
    for _ in range(DEATHS):
        killed = server(tmp_path, port).start()
        assert killed.ended(60) == -9
    assert len(marks(store)) == 1
    last = server(tmp_path, port).start()
    try:
        last.wait()
        until(lambda: store.exists(BUCKETS.work, KEYS.failed), 30, "the failure")
        ((_, letter),) = until(lambda: list(dead.letters(store, BUCKETS)), 30, "the dead letter")
        until(lambda: not marks(store), 30, "the end of the marks")
        assert letter.event.key == KEYS.segment(DEADLY)
        assert [attempt.error for attempt in letter.attempts] == [
            "the process that handled it died"
        ] * DEATHS
        failure = documents.load(Failure, store.get(BUCKETS.work, KEYS.failed))
        assert (failure.code, failure.attempts) == ("gave_up", letter.attempts)
        written = store.get(BUCKETS.output, PLAN.group.output(PLAN.output, ".error.json"))
        assert "the process that handled it died" in documents.load(ErrorDocument, written).what
        # Others are handled, by the very same process.
        other = RunKeys("t", "other")
        store.put(BUCKETS.work, other.segment(0), b"{}")
        assert post(port, other.segment(0)) == 202
        until(lambda: store.exists(BUCKETS.work, other.patches(0)), 30, "the next event")
        assert store.exists(BUCKETS.work, KEYS.patches(0)), "its neighbours came first"
    finally:
        last.kill()
