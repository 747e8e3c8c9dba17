import pytest

from functions.backlog import Backlog
from functions.events import ObjectCreated
from functions.interrupted import Interruptions
from tests.test_asgi import BUCKETS, KEY, Function, body, function, until

__all__ = ["function"]


def test_an_end_that_was_asked_for_is_no_death(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is told to end while it handles an event leaves no mark against the event."""
    monkeypatch.setattr(Backlog.stop, "__defaults__", (0.1,))
    function.gate.clear()
    with function.client() as client:
        client.post("/events", json=body(KEY))
        assert function.began.acquire(timeout=20)
        assert list(function.store.entries(BUCKETS.work, "t/interrupted"))
    assert not list(function.store.entries(BUCKETS.work, "t/interrupted"))
    function.gate.set()


def test_an_event_that_a_process_died_over_lets_others_go_first(function: Function) -> None:
    """One that may be deadly waits a little; it is handled then, and the mark goes."""
    marks = Interruptions(function.store, BUCKETS.work, "ingest")
    marks.begin(ObjectCreated(BUCKETS.input, KEY), ())
    other = "t/news/other.wav"
    function.store.put(BUCKETS.input, other, b"other")
    with function.client() as client:
        client.post("/events", json=body(KEY, other))
        until(lambda: function.store.exists(BUCKETS.output, KEY))
        assert function.store.exists(BUCKETS.output, other)
        until(lambda: not list(function.store.entries(BUCKETS.work, "t/interrupted")))
