"""Programs under supervision: how ffmpeg is run.

A program that reads what a stranger uploaded may hang, flood or grow. It gets a session of its own,
a wall deadline after which its whole process group is killed, and the kernel's limits on processor
time, memory, file size and open files. What it says is kept only as far as an error needs it.
"""

import fcntl
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

from functions.errors import RetryableError

Piece = bytes | bytearray | memoryview
"""What a feed yields; an array goes as its `.data`."""

_LINE_BYTES = 4096
_KEPT_LINES = 20
_JOIN_SECONDS = 5.0
# Linux's default of 64 KiB would wake both sides twenty times a frame.
_PIPE_BYTES = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What a program may use.

    Args:
        seconds: of wall time; then its process group is killed.
        cpu_seconds: of processor time, all its threads together.
        memory_bytes: of address space.
        file_bytes: the largest file that it may write.
        open_files: at a time.
    """

    seconds: float
    cpu_seconds: int = 3600
    memory_bytes: int = 4 << 30
    file_bytes: int = 8 << 30
    open_files: int = 64


@dataclass(frozen=True)
class Finished:
    """How a program that succeeded ended.

    Args:
        frames: the last `frame` that ffmpeg's `-progress pipe:1` reported; 0 without it.
        seconds: of wall time.
        cpu_seconds: of processor time.
        said: its last lines on standard error.
    """

    frames: int
    seconds: float
    cpu_seconds: float
    said: tuple[str, ...]


class ProgramFailedError(RetryableError):
    """A program ended badly or was stopped.

    Args:
        program: its name.
        what: how it ended.
        said: its last lines on standard error.
        timed_out: the wall deadline stopped it.
    """

    def __init__(
        self, program: str, what: str, said: tuple[str, ...], *, timed_out: bool = False
    ) -> None:
        tail = " | ".join(said[-5:]) or "it said nothing"
        super().__init__(f"{program} {what}: {tail}")
        self.said = said
        self.timed_out = timed_out


def run_supervised(
    command: Sequence[str],
    *,
    limits: Limits,
    feed: Iterable[Piece] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Finished:
    """Runs a program to its end.

    Args:
        command: the program and its arguments; no shell sees them.
        limits: what it may use.
        feed: what to write to its standard input; it has to read all of it. Without a feed its
            standard input is empty.
        on_progress: called from another thread with each `frame` that ffmpeg's `-progress pipe:1`
            reports.

    Raises:
        ProgramFailedError: it ended with a status other than 0, read less than the feed, or used
            up its time.
        Exception: whatever the feed or `on_progress` raised; the program is killed first.
    """
    return _Supervision(command, limits, on_progress).run(feed)


class _Supervision:
    """One run of a program: the process and the three threads around it."""

    def __init__(
        self, command: Sequence[str], limits: Limits, on_progress: Callable[[int], None] | None
    ) -> None:
        self._command = list(command)
        self._limits = limits
        self._on_progress = on_progress
        self._said: deque[bytes] = deque(maxlen=_KEPT_LINES)
        self._frames = 0
        self._cpu_seconds = 0.0
        self._timed_out = False
        self._listener_error: Exception | None = None

    def run(self, feed: Iterable[Piece] | None) -> Finished:
        started = time.monotonic()
        self._process = subprocess.Popen(
            _dying_with_us() + self._command,
            stdin=subprocess.DEVNULL if feed is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        deadline = threading.Timer(self._limits.seconds, self._expire)
        readers = [
            # `on_progress` is called from it, and has to know whose work this is.
            threading.Thread(
                target=copy_context().run, args=(self._listen, self._process.stdout), daemon=True
            ),
            threading.Thread(target=self._drain, args=(self._process.stderr,), daemon=True),
        ]
        try:
            _restrict(self._process.pid, self._limits)
            for thread in (deadline, *readers):
                thread.start()
            whole = feed is None or self._write(feed)
            self._reap()
        except BaseException:
            self._kill()
            self._reap()
            raise
        finally:
            deadline.cancel()
            # Whatever it left running would hold the pipes open.
            self._kill()
            for thread in readers:
                if thread.ident is not None:
                    thread.join(_JOIN_SECONDS)
            self._close()
        self._check(whole=whole)
        seconds = time.monotonic() - started
        return Finished(self._frames, seconds, self._cpu_seconds, self._lines())

    def _write(self, feed: Iterable[Piece]) -> bool:
        """Writes the feed; False where the program stopped reading before its end."""
        stdin = self._process.stdin
        assert stdin is not None
        if sys.platform == "linux":
            with suppress(OSError):
                fcntl.fcntl(stdin, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        for piece in feed:
            try:
                stdin.write(piece)
            except BrokenPipeError:
                return False
        try:
            stdin.close()
        except BrokenPipeError:
            return False
        return True

    def _listen(self, stdout: IO[bytes]) -> None:
        try:
            while line := stdout.readline(_LINE_BYTES):
                name, _, value = line.partition(b"=")
                if name == b"frame" and value.strip().isdigit():
                    self._frames = int(value)
                    if self._on_progress is not None:
                        self._on_progress(self._frames)
        except Exception as error:  # noqa: BLE001 -- handed to the thread that called us
            self._listener_error = error
            self._kill()

    def _drain(self, stderr: IO[bytes]) -> None:
        while line := stderr.readline(_LINE_BYTES):
            if line.strip():
                self._said.append(line)

    def _expire(self) -> None:
        self._timed_out = True
        self._kill()

    def _kill(self) -> None:
        # macOS answers EPERM for a group of which only the dead leader is left.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _reap(self) -> None:
        # Popen.wait would not tell what this one process used.
        _, status, used = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._cpu_seconds = used.ru_utime + used.ru_stime

    def _close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()

    def _lines(self) -> tuple[str, ...]:
        return tuple(line.decode("utf-8", "replace").strip() for line in self._said)

    def _check(self, *, whole: bool) -> None:
        program = Path(self._command[0]).name
        if self._listener_error is not None:
            raise self._listener_error
        if self._timed_out:
            what = f"did not end within {self._limits.seconds:g} s"
            raise ProgramFailedError(program, what, self._lines(), timed_out=True)
        if status := self._process.returncode:
            ended = f"ended with status {status}"
            what = ended if status > 0 else f"was stopped by {signal.Signals(-status).name}"
            raise ProgramFailedError(program, what, self._lines())
        if not whole:
            raise ProgramFailedError(program, "stopped reading its input", self._lines())


@cache
def _dying_with_us() -> list[str]:
    """What to put before a command so that the program is killed when our thread ends."""
    # A function run between fork and exec could do it too, but not safely beside other threads.
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def _restrict(pid: int, limits: Limits) -> None:
    """Sets the kernel's limits on a process that has just started; only Linux can."""
    if sys.platform != "linux":
        return
    wanted = {
        resource.RLIMIT_CPU: limits.cpu_seconds,
        resource.RLIMIT_AS: limits.memory_bytes,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_CORE: 0,
    }
    with suppress(ProcessLookupError):
        for kind, value in wanted.items():
            _, hard = resource.prlimit(pid, kind)
            ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.prlimit(pid, kind, (ceiling, ceiling))
