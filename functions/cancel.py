"""Cancelling: how work that is going on learns that nobody wants it any more.

Whoever delivers an event watches for its run's end (`watching`), and what the handler reports its
progress to looks there (`stopping`), at most twice a second. What it finds leaves the handler as
`CancelledRun`, which also kills the ffmpeg that the handler may be feeding.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass

from functions import documents
from functions.analysis import Upload
from functions.errors import CancelledRun, RejectedInput, RetryableError
from functions.events import ObjectCreated
from functions.input_keys import InputFile, parse_input
from functions.layout import RunKeys, parse_run_object
from functions.logs import logger
from functions.progress import Progress
from functions.request_keys import RequestKeys, is_request
from functions.settings import BucketSettings
from functions.storage import Store

log = logger()

_LOOK_EVERY = 0.5

CANCELLED = "cancelled"
"""Stands in an upload's record where a refusal's code would."""


@dataclass
class _Watch:
    """Looks whether the work of one event is still wanted."""

    is_over: Callable[[], bool]
    looked: float

    def look(self) -> None:
        now = time.monotonic()
        if now - self.looked < _LOOK_EVERY:
            return
        self.looked = now
        try:
            over = self.is_over()
        except RetryableError as error:
            # Not knowing is no reason to stop.
            log.warning("cancel.unknown", error=str(error))
            return
        if over:
            raise CancelledRun("nobody wants this any more")


_WATCH: ContextVar[_Watch | None] = ContextVar("watch", default=None)


@contextmanager
def watching(store: Store, buckets: BucketSettings, event: ObjectCreated) -> Iterator[None]:
    """Has `stopping` look after an event, for as long as the context lasts.

    Raises:
        CancelledRun: the event's file was cancelled before anybody began.
    """
    watch = _watch_for(store, buckets, event)
    token = _WATCH.set(watch)
    try:
        if watch is not None:
            watch.look()
        yield
    finally:
        _WATCH.reset(token)


def stopping(progress: Progress) -> Progress:
    """Reports on to `progress`, unless the work has been cancelled.

    Raises:
        CancelledRun: from each report, once it has.
    """

    def report(done: int, total: int) -> None:
        watch = _WATCH.get()
        if watch is not None:
            watch.look()
        progress(done, total)

    return report


def is_cancelled(store: Store, work: str, file: InputFile) -> bool:
    """Whether a file was handed in over HTTP and cancelled since."""
    if file.job is None or not is_request(file.job):
        return False
    return store.exists(work, RequestKeys(file.tenant, file.job).cancelled(file.file))


def settle(store: Store, buckets: BucketSettings, event: ObjectCreated) -> None:
    """Records that an upload need not be looked at, or reconcile would bring it back."""
    if event.bucket != buckets.input:
        return
    file = parse_input(event.key)
    with suppress(FileNotFoundError):
        entry = store.head(buckets.input, file.key)
        upload = Upload(file.file, "refused", "", CANCELLED)
        store.put_new(buckets.work, file.upload(entry.identity), documents.dump(upload))
        store.put_new(buckets.work, file.handled(entry.identity), b"")


def _watch_for(store: Store, buckets: BucketSettings, event: ObjectCreated) -> _Watch | None:
    item = parse_run_object(event.key) if event.bucket == buckets.work else None
    if item is not None:
        keys = RunKeys(item.tenant, item.run)

        def is_run_over() -> bool:
            ends = (keys.cancelled, keys.superseded)
            over = any(store.exists(buckets.work, end) for end in ends)
            return over or not store.exists(buckets.work, keys.plan)

        # Handlers look at the run before they begin.
        return _Watch(is_run_over, time.monotonic())
    try:
        file = parse_input(event.key) if event.bucket == buckets.input else None
    except RejectedInput:
        return None
    if file is None or not is_request(file.job):
        return None

    def is_file_over() -> bool:
        if is_cancelled(store, buckets.work, file):
            return True
        return not store.exists(buckets.input, file.key)

    return _Watch(is_file_over, 0.0)
