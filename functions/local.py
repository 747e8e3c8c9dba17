"""The embedded default: a folder as the store, watched, all functions in one command.

One process watches, keeps the queue and gives events to workers, one per core. What is further
along goes first, so that what lies between stages stays small. The queue has a size: what does not
fit is left to `reconcile.due`, which finds it in the store.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from types import TracebackType

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from functions import chain
from functions.cancel import stopping
from functions.chain import Delivery, FunctionName, Surroundings
from functions.data_folder import DataFolder, lock
from functions.events import ObjectCreated
from functions.layout import PART_SUFFIX
from functions.logs import logger, set_up
from functions.pool import Advance, Job, Outcome, WorkerPool
from functions.progress import Progress
from functions.reconcile import due
from functions.settings import BucketSettings, CacheSettings, LogSettings

log = logger()

_ORDER: dict[FunctionName, int] = {"encode": 0, "infer": 1, "ingest": 2}


class LocalSettings(BaseSettings):
    """KOUBO_LOCAL_*: the embedded default.

    Args:
        workers: processes; 0 is one per core.
        queue: events that wait in memory; more are found again in the store.
        settle_seconds: for which a dropped file must not have grown.
        reconcile_seconds: between looks for what was missed.
        silence_seconds: without progress, after which a worker is killed.
        attempts: at an event before it is given up.
    """

    model_config = SettingsConfigDict(env_prefix="KOUBO_LOCAL_", env_ignore_empty=True, frozen=True)

    workers: int = Field(default=0, ge=0)
    queue: int = Field(default=10_000, ge=1)
    settle_seconds: float = Field(default=1.5, ge=0)
    reconcile_seconds: float = Field(default=300, gt=0)
    silence_seconds: float = Field(default=300, gt=0)
    attempts: int = Field(default=4, ge=1)

    @property
    def processes(self) -> int:
        """How many workers to start."""
        return self.workers or len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Queued:
    """An event was taken into the queue."""

    job: Job


@dataclass(frozen=True)
class Idle:
    """Nothing happened for a moment; `empty` when nothing waits and nobody works."""

    empty: bool


News = Queued | Advance | Outcome | Idle


def build_functions(
    data: DataFolder, attempts: int, logs: LogSettings, progress: Progress
) -> dict[FunctionName, Delivery]:
    """What a worker process needs; imports the functions there, not in the one that watches."""
    from functions.encode.build import build as build_encode  # noqa: PLC0415 -- see above
    from functions.infer.build import build as build_infer  # noqa: PLC0415
    from functions.ingest.build import build as build_ingest  # noqa: PLC0415

    set_up(logs)
    store, buckets = data.store(), BucketSettings()
    scratch = data.scratch_of(os.getpid())
    scratch.mkdir(parents=True, exist_ok=True)
    around = Surroundings(
        store, buckets, data.cache(), CacheSettings().models, scratch, stopping(progress)
    )
    handles = {
        "ingest": build_ingest(around),
        "infer": build_infer(around),
        "encode": build_encode(around),
    }
    return {name: Delivery(name, handles[name], store, buckets, attempts) for name in _ORDER}


class Local:
    """A running embedded Koubo; a context manager, one at a time for a data folder.

    Args:
        data: the folder.
        settings: see `LocalSettings`.
        logs: where workers log to.

    Raises:
        KouboError: another one works on this folder.
    """

    def __init__(self, data: DataFolder, settings: LocalSettings, logs: LogSettings) -> None:
        self._data = data
        self._settings = settings
        self._buckets = BucketSettings()
        self.store = data.store()
        self._lock = lock(data)
        data.sweep(self._buckets)
        functions = partial(build_functions, data, settings.attempts, logs)
        self._pool = WorkerPool(
            settings.processes, functions, settings.silence_seconds, data.sweep_after
        )
        self._arrivals = data.arrivals(self._buckets, settings.settle_seconds)
        self._queue: dict[tuple[str, str], Job] = {}
        self._later: list[tuple[float, Job]] = []
        self._overflowed = False
        self._reconciled = -float("inf")

    def __enter__(self) -> "Local":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._arrivals.close()
        self._pool.close()
        self._lock.release()

    def put(self, event: ObjectCreated) -> Job | None:
        """Takes an event into the queue, once; None where it fires nothing or nothing fits."""
        function = chain.fired_by(event, self._buckets)
        identity = (event.bucket, event.key)
        if function is None or identity in self._queue:
            return None
        if len(self._queue) >= self._settings.queue:
            self._overflowed = True
            return None
        self._queue[identity] = Job(function, event)
        return self._queue[identity]

    def work(self) -> Iterator[News]:
        """Watches and works for as long as it is iterated; says what happens."""
        while True:
            yield from self._listen()
            self._dispatch()
            busy = False
            for news in self._pool.news(timeout=0.05):
                busy = True
                if isinstance(news, Outcome):
                    self._settle(news)
                yield news
            if not busy:
                yield Idle(empty=self._is_empty())

    def _is_empty(self) -> bool:
        waiting = self._queue or self._later or self._overflowed
        return not waiting and not self._pool.jobs and self._arrivals.is_quiet

    def _listen(self) -> Iterator[News]:
        now = time.monotonic()
        events = self._arrivals.events(now)
        if self._is_reconcile_due(now):
            self._overflowed, self._reconciled = False, now
            for event in due(self.store, self._buckets):
                events += self._arrivals.found(event, now)
        for event in events:
            job = self.put(event)
            if job is not None:
                yield Queued(job)
        for when, job in list(self._later):
            if when <= now:
                self._later.remove((when, job))
                self._queue.setdefault((job.event.bucket, job.event.key), job)

    def _is_reconcile_due(self, now: float) -> bool:
        if self._arrivals.may_have_lost() or (self._overflowed and not self._queue):
            return True
        return now - self._reconciled >= self._settings.reconcile_seconds

    def _dispatch(self) -> None:
        busy = {_lane(job.event) for job in self._pool.jobs}
        while self._pool.idle:
            ready = [job for job in self._queue.values() if _lane(job.event) not in busy]
            if not ready:
                return
            job = min(ready, key=lambda job: (_ORDER[job.function], job.event.key))
            del self._queue[job.event.bucket, job.event.key]
            busy.add(_lane(job.event))
            self._pool.submit(job)

    def _settle(self, outcome: Outcome) -> None:
        log.info(
            "local.handled",
            function=outcome.job.function,
            key=outcome.job.event.key,
            seconds=round(outcome.seconds, 3),
            cpu_seconds=round(outcome.cpu_seconds, 3),
        )
        if outcome.failed is None:
            return
        attempts = (*outcome.job.attempts, outcome.failed)
        job = Job(outcome.job.function, outcome.job.event, attempts)
        if len(attempts) >= self._settings.attempts:
            # Only a worker that dies or hangs each time gets here; others give up themselves.
            chain.give_up(self.store, self._buckets, job.function, job.event, attempts)
            return
        self._later.append((time.monotonic() + 2.0 ** len(attempts) / 2, job))


def _lane(event: ObjectCreated) -> str:
    """What only one worker at a time should work on.

    Any part fires the assembly; of two at once, both would find all parts there and join them.
    """
    if event.key.endswith(PART_SUFFIX):
        return event.key.rpartition("/")[0]
    return f"{event.bucket}/{event.key}"
