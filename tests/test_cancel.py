import sys
import threading
import time
from collections.abc import Iterator

import pytest

from functions import cancel, documents, runs
from functions.analysis import Upload
from functions.cancel import stopping, watching
from functions.chain import Delivery
from functions.errors import CancelledRun
from functions.events import ObjectCreated
from functions.layout import RunKeys
from functions.process import Limits, run_supervised
from functions.progress import silent
from functions.request_keys import RequestKeys
from functions.settings import BucketSettings
from functions.storage import Store

BUCKETS = BucketSettings()
KEYS = RunKeys("t", "run")
SEGMENT = ObjectCreated(BUCKETS.work, KEYS.segment(0))
REQUEST = RequestKeys("t", "r0123456789abcdef0123")
FILE = REQUEST.input("face.mp4")
INPUT = ObjectCreated(BUCKETS.input, FILE.key)


@pytest.fixture
def store() -> Store:
    made = Store.memory()
    made.put(BUCKETS.work, KEYS.plan, b"{}")
    made.put(BUCKETS.input, FILE.key, b"face")
    return made


def work_until_stopped(seconds: float = 10) -> float:
    """A handler that reports progress all the time; how long it took until that stopped it."""
    report = stopping(silent)
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            report(1, 2)
        except CancelledRun:
            return time.monotonic() - began
        time.sleep(0.01)
    pytest.fail("nothing stopped it")


@pytest.mark.parametrize("how", ["cancelled", "removed"])
def test_a_run_that_is_over_stops_its_handlers(store: Store, how: str) -> None:
    """Work on a run that is cancelled or removed ends at the next look, within a second."""
    with watching(store, BUCKETS, SEGMENT):
        stopping(silent)(0, 2)
        if how == "cancelled":
            runs.cancel(store, BUCKETS.work, KEYS, 1.0)
        else:
            store.delete(BUCKETS.work, KEYS.plan)
        assert work_until_stopped() < 1


@pytest.mark.parametrize("how", ["cancelled", "taken away"])
def test_a_file_that_is_over_stops_ingest(store: Store, how: str) -> None:
    """Work on a file whose run is cancelled, or that was taken away, ends; the others go on."""
    with watching(store, BUCKETS, INPUT):
        if how == "cancelled":
            store.put(BUCKETS.work, REQUEST.cancelled("other.mp4"), b"")
            stopping(silent)(0, 2)
            store.put(BUCKETS.work, REQUEST.cancelled(FILE.file), b"")
        else:
            store.delete(BUCKETS.input, FILE.key)
        assert work_until_stopped() < 1


def test_a_cancelled_file_is_not_begun(store: Store) -> None:
    """An event of a file that is cancelled already is settled without its handler, for good."""
    store.put(BUCKETS.work, REQUEST.cancelled(FILE.file), b"")
    handled: list[ObjectCreated] = []
    delivery = Delivery("ingest", handled.append, store, BUCKETS)
    assert delivery.deliver(INPUT) is None
    assert handled == []
    entry = store.head(BUCKETS.input, FILE.key)
    record = store.get(BUCKETS.work, FILE.upload(entry.identity))
    upload = documents.load(Upload, record)
    assert (upload.role, upload.refusal) == ("refused", cancel.CANCELLED)
    assert store.exists(BUCKETS.work, FILE.handled(entry.identity))


def test_a_cancelled_run_is_no_failure(store: Store) -> None:
    """A handler that was stopped settles its event: it doesn't come again, and nothing failed."""
    runs.cancel(store, BUCKETS.work, KEYS, 1.0)
    before = [entry.key for entry in store.entries(BUCKETS.work, "")]

    def handle(_: ObjectCreated) -> None:
        report = stopping(silent)
        while True:
            report(0, 0)
            time.sleep(0.01)

    assert Delivery("infer", handle, store, BUCKETS).deliver(SEGMENT) is None
    assert [entry.key for entry in store.entries(BUCKETS.work, "")] == before
    assert not list(store.entries(BUCKETS.output, ""))


def test_other_events_are_not_watched(store: Store) -> None:
    """Files that people dropped, and work outside a delivery, are never stopped."""
    store.delete(BUCKETS.work, KEYS.plan)
    report = stopping(silent)
    report(0, 0)
    for key in ("t/news/face.mp4", "t/face.mp4", "t/too/deep/x.mp4"):
        with watching(store, BUCKETS, ObjectCreated(BUCKETS.input, key)):
            report(0, 0)


def test_looks_are_few(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress may be reported every frame: the store is asked twice a second at most."""
    looks = 0
    exists = Store.exists

    def counted(self: Store, bucket: str, key: str) -> bool:
        nonlocal looks
        looks += 1
        return exists(self, bucket, key)

    monkeypatch.setattr(Store, "exists", counted)
    with watching(store, BUCKETS, SEGMENT):
        report = stopping(silent)
        until = time.monotonic() + 1.2
        while time.monotonic() < until:
            report(0, 0)
    # Each look asks for two marks and for the plan.
    assert 0 < looks <= 3 * 2


def test_a_store_that_fails_stops_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not being able to look is no reason to throw work away."""
    from functions.errors import RetryableError

    def failing(self: Store, bucket: str, key: str) -> bool:
        raise RetryableError("no store")

    monkeypatch.setattr(Store, "exists", failing)
    seen: list[int] = []
    with watching(store, BUCKETS, INPUT):
        stopping(lambda done, _: seen.append(done))(7, 9)
    assert seen == [7]


def test_threads_watch_their_own_run(store: Store) -> None:
    """Of two runs that are worked on at once, cancelling one stops that one alone."""
    other = RunKeys("t", "other")
    store.put(BUCKETS.work, other.plan, b"{}")
    stop = threading.Event()
    ended: dict[str, str] = {}

    def handle(event: ObjectCreated) -> None:
        report = stopping(silent)
        try:
            while not stop.is_set():
                report(0, 0)
                time.sleep(0.01)
            ended[event.key] = "done"
        except CancelledRun:
            ended[event.key] = "cancelled"
            raise

    delivery = Delivery("infer", handle, store, BUCKETS)
    events = [SEGMENT, ObjectCreated(BUCKETS.work, other.segment(0))]
    threads = [threading.Thread(target=delivery.deliver, args=(event,)) for event in events]
    for thread in threads:
        thread.start()
    runs.cancel(store, BUCKETS.work, KEYS, 1.0)
    threads[0].join(5)
    assert not threads[0].is_alive()
    assert threads[1].is_alive()
    stop.set()
    threads[1].join(5)
    assert ended == {SEGMENT.key: "cancelled", events[1].key: "done"}


def test_the_program_that_is_fed_is_killed(store: Store) -> None:
    """A cancelled run ends the program that its handler feeds, from the thread that hears it."""
    echo = "import sys\nfor line in sys.stdin: print('frame=1', flush=True)\n"
    began = time.monotonic()

    def lines() -> Iterator[bytes]:
        while time.monotonic() - began < 20:
            yield b"x" * 65_535 + b"\n"
            time.sleep(0.02)

    report = stopping(silent)
    with watching(store, BUCKETS, SEGMENT):
        runs.cancel(store, BUCKETS.work, KEYS, 1.0)
        with pytest.raises(CancelledRun):
            run_supervised(
                [sys.executable, "-c", echo],
                limits=Limits(seconds=30),
                feed=lines(),
                on_progress=lambda done: report(done, 10),
            )
    assert time.monotonic() - began < 2
