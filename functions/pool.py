"""Worker processes of the embedded default: one event at a time each, killed when they hang.

A worker says how far it is; one that says nothing for too long is killed like one that crashed, and
its event comes again. Workers end with the process that started them, even when that one is killed.
"""

import ctypes
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from pydantic import ValidationError

from functions.chain import Delivery, FunctionName
from functions.errors import KouboError, NotSetUpError, WrongSettingError
from functions.events import ObjectCreated
from functions.progress import Progress
from functions.runs import Attempt
from functions.settings import wrong_setting

_PR_SET_PDEATHSIG = 1
_PROGRESS_EVERY = 0.1
_MAX_STILLBORN = 5


@dataclass(frozen=True)
class Job:
    """An event on its way to a function, with the attempts that failed so far."""

    function: FunctionName
    event: ObjectCreated
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True)
class Advance:
    """A worker got further with a job."""

    job: Job
    done: int
    total: int


@dataclass(frozen=True)
class Outcome:
    """A worker has finished with a job; `failed` says that the event is to come again."""

    job: Job
    failed: Attempt | None
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class _Ready:
    """A worker can take jobs, or `broken` is why it never will."""

    broken: NotSetUpError | None


Functions = Callable[[Progress], dict[FunctionName, Delivery]]
"""Builds the deliveries inside a worker; it is sent there, so it must be picklable."""


@dataclass
class _Worker:
    process: BaseProcess
    line: Connection
    job: Job | None = None
    ready: bool = False
    heard: float = field(default_factory=time.monotonic)


class WorkerPool:
    """A fixed number of worker processes.

    Args:
        size: how many.
        functions: builds what a worker needs.
        silence: seconds without a sign of life after which a busy worker is killed.
        on_death: told the process id of each worker that died, once it has.
    """

    def __init__(
        self,
        size: int,
        functions: Functions,
        silence: float,
        on_death: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._functions = functions
        self._silence = silence
        self._on_death = on_death
        self._stillborn = 0
        self._workers = [self._start() for _ in range(size)]

    @property
    def idle(self) -> int:
        """Workers that can take a job now."""
        return sum(worker.job is None for worker in self._workers)

    @property
    def jobs(self) -> list[Job]:
        """What is being worked on."""
        return [worker.job for worker in self._workers if worker.job is not None]

    def submit(self, job: Job) -> None:
        """Gives a job to an idle worker; there must be one."""
        worker = next(worker for worker in self._workers if worker.job is None)
        worker.job, worker.heard = job, time.monotonic()
        with suppress(OSError):  # it died while idle; `news` finds that and says so
            worker.line.send(job)

    def news(self, timeout: float) -> Iterator[Advance | Outcome]:
        """What workers said, waiting at most `timeout` seconds for the first word.

        Raises:
            WrongSettingError: workers can't start with these settings.
        NotSetUpError: workers can't start here.
        """
        handles = [handle for w in self._workers for handle in (w.line, w.process.sentinel)]
        ready = set(wait(handles, timeout))
        for worker in list(self._workers):
            if ready & {worker.line, worker.process.sentinel}:
                yield from self._hear(worker)
        for worker in list(self._workers):
            if worker.job and time.monotonic() - worker.heard > self._silence:
                worker.process.kill()
                worker.process.join()
                yield from self._buried(worker, f"said nothing for {self._silence:.0f} s")

    def close(self) -> None:
        """Ends the workers, in the middle of their jobs if need be: nothing is lost by that."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.line.close()

    def _hear(self, worker: _Worker) -> Iterator[Advance | Outcome]:
        try:
            while worker.line.poll():
                message = worker.line.recv()
                worker.heard = time.monotonic()
                if isinstance(message, _Ready):
                    # The next one would break too: better say so than start them for ever.
                    if message.broken is not None:
                        raise message.broken
                    worker.ready, self._stillborn = True, 0
                    continue
                if isinstance(message, Outcome):
                    worker.job = None
                yield message
        except (EOFError, OSError):
            pass
        if not worker.process.is_alive():
            yield from self._buried(worker, f"ended with code {worker.process.exitcode}")

    def _buried(self, worker: _Worker, why: str) -> Iterator[Outcome]:
        job = worker.job
        worker.line.close()
        self._on_death(worker.process.pid or 0)
        self._stillborn += not worker.ready
        if self._stillborn >= _MAX_STILLBORN:
            raise NotSetUpError(f"workers die before they can work: the last {why}")
        self._workers[self._workers.index(worker)] = self._start()
        if job is not None:
            attempt = Attempt(time.time(), job.function, f"the worker process {why}")
            yield Outcome(job, attempt, 0.0, 0.0)

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_work, args=(theirs, self._functions, os.getpid()), daemon=True
        )
        process.start()
        theirs.close()
        return _Worker(process, ours)


def _work(line: Connection, functions: Functions, parent: int) -> None:
    _end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    said = 0.0
    job: Job | None = None

    def progress(done: int, total: int) -> None:
        nonlocal said
        now = time.monotonic()
        if job is not None and now - said >= _PROGRESS_EVERY:
            said = now
            line.send(Advance(job, done, total))

    try:
        deliveries = functions(progress)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the parent has to tell
        line.send(_Ready(_broken(error)))
        return
    line.send(_Ready(None))
    while True:
        try:
            job = line.recv()
        except EOFError:
            return
        if job is None:
            return
        began, cpu = time.monotonic(), _cpu_seconds()
        failed = deliveries[job.function].deliver(job.event, job.attempts)
        line.send(Outcome(job, failed, time.monotonic() - began, _cpu_seconds() - cpu))


def _broken(error: Exception) -> NotSetUpError:
    """The error in words for a person, as far as somebody wrote such words."""
    wrong = wrong_setting(error) if isinstance(error, ValidationError) else None
    said = str(error) if isinstance(error, KouboError) else f"{type(error).__name__}: {error}"
    is_setting = wrong is not None or isinstance(error, WrongSettingError)
    kind = WrongSettingError if is_setting else NotSetUpError
    return kind(f"a worker can't start: {wrong or said}")


def _cpu_seconds() -> float:
    """Of this process and of those it has waited for, such as ffmpeg."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _end_with(parent: int) -> None:
    """Has the kernel kill this process when its parent ends, however that ends (Linux only)."""
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (AttributeError, OSError):
        return  # elsewhere the broken pipe ends the worker after its job
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
