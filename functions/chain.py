"""The chain: which function an object fires, what a handler is given, and what becomes of failures.

Every door (folder watcher, HTTP, queue) delivers through `Delivery`, so that an event means the
same wherever it came in.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from functions import cancel, documents, runs
from functions.analysis import Upload
from functions.errors import CancelledRun, Code, KouboError, RejectedInput
from functions.events import ObjectCreated
from functions.input_cache import InputCache
from functions.input_keys import error_key, is_unfinished, parse_input
from functions.layout import (
    RunKeys,
    dead_letter,
    event_id,
    parse_run_object,
)
from functions.logs import bound, logger
from functions.plans import find_plan
from functions.progress import Progress
from functions.runs import Attempt, Failure
from functions.settings import BucketSettings
from functions.storage import Store

log = logger()

FunctionName = Literal["ingest", "infer", "encode"]
Handle = Callable[[ObjectCreated], None]


@dataclass(frozen=True)
class Surroundings:
    """What every function's composition root is given.

    Args:
        store: where everything is.
        buckets: their names.
        cache: big inputs on local disk.
        models: the folder that set-up filled.
        scratch: a folder for files in the making.
        progress: who watches.
    """

    store: Store
    buckets: BucketSettings
    cache: InputCache
    models: Path
    scratch: Path
    progress: Progress


def fired_by(event: ObjectCreated, buckets: BucketSettings) -> FunctionName | None:
    """The function that an object fires; None for one that fires nothing."""
    if event.bucket == buckets.input:
        return None if is_unfinished(event.key) else "ingest"
    if event.bucket != buckets.work:
        return None
    item = parse_run_object(event.key)
    if item is None:
        return None
    return "infer" if item.kind == "segment" else "encode"


@dataclass(frozen=True)
class Delivery:
    """Delivers events to one function.

    Args:
        function: its name.
        handle: its handler.
        store: where failures are recorded.
        buckets: their names.
        attempts: how often an event is tried before it is given up.
    """

    function: FunctionName
    handle: Handle
    store: Store
    buckets: BucketSettings
    attempts: int = 4

    def deliver(self, event: ObjectCreated, before: tuple[Attempt, ...] = ()) -> Attempt | None:
        """Handles an event once.

        Args:
            event: what happened.
            before: the failed attempts so far.

        Returns:
            None when the event is settled: handled, refused, or given up after this attempt and
            dead-lettered. Otherwise the failed attempt; the event is to come again.
        """
        with bound(function=self.function, **_names(event, self.buckets)):
            try:
                self._handle(event, before)
            except Exception as error:
                attempt = Attempt(time.time(), self.function, f"{type(error).__name__}: {error}")
                if len(before) + 1 < self.attempts:
                    log.warning("chain.failed", attempt=len(before) + 1, exc_info=True)
                    return attempt
                log.exception("chain.gave_up", attempt=len(before) + 1)
                give_up(self.store, self.buckets, self.function, event, (*before, attempt))
        return None

    def _handle(self, event: ObjectCreated, before: tuple[Attempt, ...]) -> None:
        try:
            with cancel.watching(self.store, self.buckets, event):
                self.handle(event)
        except CancelledRun:
            log.info("chain.cancelled", key=event.key)
            cancel.settle(self.store, self.buckets, event)
        except RejectedInput as refusal:
            log.warning("chain.refused", code=refusal.code.public, what=refusal.what)
            refuse(self.store, self.buckets, event, refusal, before)


def refuse(
    store: Store,
    buckets: BucketSettings,
    event: ObjectCreated,
    refusal: RejectedInput,
    attempts: tuple[Attempt, ...],
) -> None:
    """Records that an event will never succeed: the run fails, and the output says why."""
    item = parse_run_object(event.key) if event.bucket == buckets.work else None
    if item is None:
        error = refusal.written(event.key)
        store.put(buckets.output, error_key(event.key), documents.dump(error))
        return
    keys = RunKeys(item.tenant, item.run)
    if _is_over(store, buckets, event):
        return
    failure = Failure(item.run, refusal.code.public, refusal.what, refusal.code.value.fix, attempts)
    store.put_new(buckets.work, keys.failed, documents.dump(failure))
    plan = find_plan(store, buckets.work, keys)
    if plan is None or runs.is_overtaken(store, buckets.work, plan):
        return
    place = plan.group.output(plan.output, ".error.json")
    store.put(buckets.output, place, documents.dump(refusal.written(plan.output)))
    if runs.is_overtaken(store, buckets.work, plan):
        # Planned in between; whatever has become of it, this is no word of its.
        store.delete(buckets.output, place)


def _is_over(store: Store, buckets: BucketSettings, event: ObjectCreated) -> bool:
    """Whether the event's run has ended without failing: there is nothing to complain of."""
    item = parse_run_object(event.key) if event.bucket == buckets.work else None
    if item is None:
        return False
    state = runs.read_state(store, buckets.work, RunKeys(item.tenant, item.run))
    return state.phase in ("done", "cancelled", "superseded") or state.segments == 0


def give_up(
    store: Store,
    buckets: BucketSettings,
    function: FunctionName,
    event: ObjectCreated,
    attempts: tuple[Attempt, ...],
) -> None:
    """Records an event that failed too often: dead letter, failed run, and a word for people.

    Where even that fails, the log has it, and reconcile will find the event again. Of a run that
    ended meanwhile there is nothing to record.
    """
    last = attempts[-1].error if attempts else "unknown"
    refusal = RejectedInput(
        Code.GAVE_UP, f"It failed {len(attempts)} times in {function}; the last time: {last}"
    )
    tenant = event.key.partition("/")[0]
    identity = event_id(event.bucket, event.key)
    letter = DeadLetter(event, function, attempts)
    try:
        if _is_over(store, buckets, event):
            log.info("chain.over", key=event.key)
            return
        store.put(buckets.work, dead_letter(tenant, function, identity), documents.dump(letter))
        refuse(store, buckets, event, refusal, attempts)
        _mark_given_up(store, buckets, event)
    except KouboError:
        log.exception("chain.unrecorded", key=event.key)


def _mark_given_up(store: Store, buckets: BucketSettings, event: ObjectCreated) -> None:
    """Leaves the record of a refused upload, or reconcile would bring it back for ever."""
    if event.bucket != buckets.input:
        return
    with suppress(FileNotFoundError, RejectedInput):
        file = parse_input(event.key)
        entry = store.head(buckets.input, event.key)
        upload = Upload(file.file, "refused", "", Code.GAVE_UP.public)
        store.put_new(buckets.work, file.upload(entry.identity), documents.dump(upload))
        store.put_new(buckets.work, file.handled(entry.identity), b"")


@dataclass(frozen=True)
class DeadLetter:
    """An event that was given up on, with its history."""

    event: ObjectCreated
    function: FunctionName
    attempts: tuple[Attempt, ...]


def _names(event: ObjectCreated, buckets: BucketSettings) -> dict[str, object]:
    tenant = event.key.partition("/")[0]
    item = parse_run_object(event.key) if event.bucket == buckets.work else None
    if item is None:
        return {"tenant": tenant, "key": event.key}
    return {"tenant": tenant, "run": item.run, "segment": item.index}
