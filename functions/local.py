"""The embedded default: a folder as the store, watched, all functions in one command.

One process watches, keeps the queue and gives events to workers, one per core. What is further
along goes first, so that what lies between stages stays small. The queue has a size: what does not
fit is left to `chain.due`, which finds it in the store.
"""

import fcntl
import os
import queue
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

import watchfiles
from pydantic_settings import BaseSettings, SettingsConfigDict

from functions import chain
from functions.chain import Delivery, FunctionName, Surroundings
from functions.errors import KouboError
from functions.events import ObjectCreated, from_folder
from functions.layout import PART_SUFFIX
from functions.logs import logger, set_up
from functions.pool import Advance, Job, Outcome, WorkerPool
from functions.progress import Progress
from functions.settings import BucketSettings, CacheSettings, LogSettings
from functions.storage import InputCache, Store

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

    workers: int = 0
    queue: int = 10_000
    settle_seconds: float = 1.5
    reconcile_seconds: float = 300
    silence_seconds: float = 300
    attempts: int = 4

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


@dataclass(frozen=True)
class DataFolder:
    """The folder of an embedded Koubo: buckets, and a corner of its own.

    Args:
        root: absolute.
    """

    root: Path

    @property
    def own(self) -> Path:
        """What may be deleted whenever nobody works here."""
        return self.root / ".koubo"

    @property
    def scratch(self) -> Path:
        """Files in the making."""
        return self.own / "scratch"

    def scratch_of(self, worker: int) -> Path:
        """Those of one worker, by its process id."""
        return self.scratch / str(worker)

    def sweep_after(self, worker: int) -> None:
        """Removes what a worker left that died at its work."""
        shutil.rmtree(self.scratch_of(worker), ignore_errors=True)
        for held in self.inputs.glob(f"held-{worker}-*"):
            held.unlink(missing_ok=True)

    def sweep(self, buckets: BucketSettings) -> None:
        """Removes what processes left that were killed; nobody may be at work here."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        for held in self.inputs.glob("held-*"):
            held.unlink()
        for bucket in (buckets.work, buckets.output):
            for path in (self.root / bucket).rglob("*#*"):
                # The store writes `<name>#<number>` and renames it; no key of ours ends so.
                if path.name.rpartition("#")[2].isdecimal() and path.is_file():
                    path.unlink()

    @property
    def inputs(self) -> Path:
        """Copies of inputs."""
        return self.own / "inputs"

    def store(self) -> Store:
        """The store that the folder is."""
        return Store.folder(self.root)

    def cache(self) -> InputCache:
        """Copies of inputs that nobody can change under our hands."""
        return InputCache(self.inputs, CacheSettings().inputs_limit)


def build_functions(
    data: DataFolder, attempts: int, logs: LogSettings, progress: Progress
) -> dict[FunctionName, Delivery]:
    """What a worker process needs; imports the functions there, not in the one that watches."""
    from functions.encode.main import build as build_encode  # noqa: PLC0415 -- see above
    from functions.infer.main import build as build_infer  # noqa: PLC0415
    from functions.ingest.main import build as build_ingest  # noqa: PLC0415

    set_up(logs)
    store, buckets = data.store(), BucketSettings()
    scratch = data.scratch_of(os.getpid())
    scratch.mkdir(parents=True, exist_ok=True)
    around = Surroundings(store, buckets, data.cache(), CacheSettings().models, scratch, progress)
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
        self._watch = _Watch(
            [data.root / bucket for bucket in (self._buckets.input, self._buckets.work)]
        )
        self._queue: dict[tuple[str, str], Job] = {}
        self._later: list[tuple[float, Job]] = []
        self._arriving: dict[Path, tuple[tuple[int, int], float]] = {}
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
        self._watch.close()
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
        waiting = self._queue or self._later or self._arriving or self._overflowed
        return not waiting and not self._pool.jobs and self._watch.is_quiet

    def _listen(self) -> Iterator[News]:
        now = time.monotonic()
        events = [event for path in self._watch.changes() for event in self._notice(path, now)]
        events += self._settled(now)
        if self._is_reconcile_due(now):
            self._overflowed, self._reconciled = False, now
            events += self._missed()
        for event in events:
            job = self.put(event)
            if job is not None:
                yield Queued(job)
        for when, job in list(self._later):
            if when <= now:
                self._later.remove((when, job))
                self._queue.setdefault((job.event.bucket, job.event.key), job)

    def _is_reconcile_due(self, now: float) -> bool:
        if self._overflowed and not self._queue:
            return True
        return now - self._reconciled >= self._settings.reconcile_seconds

    def _missed(self) -> list[ObjectCreated]:
        events = []
        due = chain.due(self.store, self._buckets) + chain.groups(self.store, self._buckets)
        for event in due:
            path = self._data.root / event.bucket / event.key
            if event.bucket == self._buckets.input:
                # It may be half copied, as much as one that was just noticed.
                self._notice(path, time.monotonic())
            else:
                events.append(event)
        return events

    def _notice(self, path: Path, now: float) -> list[ObjectCreated]:
        event = from_folder(self._data.root, path)
        if event is None:
            return []
        if event.bucket != self._buckets.input:
            return [event]
        self._arriving[path] = (_shape(path), now)
        return []

    def _settled(self, now: float) -> list[ObjectCreated]:
        events = []
        for path, (shape, since) in list(self._arriving.items()):
            current = _shape(path)
            if current != shape:
                self._arriving[path] = (current, now)
            elif now - since >= self._settings.settle_seconds:
                del self._arriving[path]
                event = from_folder(self._data.root, path)
                if event is not None:
                    events.append(event)
        return events

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


class _Lock:
    def __init__(self, file: int) -> None:
        self._file = file

    def release(self) -> None:
        os.close(self._file)


def lock(data: DataFolder) -> _Lock:
    """Takes the data folder for this process, until it ends.

    Raises:
        KouboError: somebody has it.
    """
    data.own.mkdir(parents=True, exist_ok=True)
    file = os.open(data.own / "lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise KouboError(f"another koubo works in {data.root}") from error
    return _Lock(file)


def _shape(path: Path) -> tuple[int, int]:
    """Size and time of change: what a growing file changes; of one that is gone, (-1, -1)."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return (-1, -1)
    return (stat.st_size, stat.st_mtime_ns)


class _Watch:
    """Changes below some folders, gathered by a thread; bounded, since sets of paths collapse."""

    def __init__(self, folders: list[Path]) -> None:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        self._stop = threading.Event()
        self._changes: queue.SimpleQueue[set[tuple[watchfiles.Change, str]]] = queue.SimpleQueue()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._gather, args=(folders,), daemon=True)
        self._thread.start()
        self._ready.wait(10)

    def _gather(self, folders: list[Path]) -> None:
        watcher = watchfiles.watch(
            *folders,
            watch_filter=None,
            debounce=200,
            step=20,
            rust_timeout=100,
            yield_on_timeout=True,
            stop_event=self._stop,
            raise_interrupt=False,
        )
        for changes in watcher:
            self._ready.set()
            if changes:
                self._changes.put(changes)

    @property
    def is_quiet(self) -> bool:
        return self._changes.empty()

    def changes(self) -> set[Path]:
        paths: set[Path] = set()
        while not self._changes.empty():
            for change, path in self._changes.get():
                if change != watchfiles.Change.deleted:
                    paths.add(Path(path))
                if change == watchfiles.Change.added:
                    # What is in a new folder may have come before the folder was watched.
                    for folder, _, files in os.walk(path):
                        paths.update(Path(folder, file) for file in files)
        return paths

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)
