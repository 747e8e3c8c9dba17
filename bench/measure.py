"""Running a command and counting what it and all its descendants used."""

import os
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_SAMPLE_EVERY = 0.2


@dataclass(frozen=True)
class Usage:
    """What a command used.

    Args:
        wall: seconds.
        cpu: seconds of user and system time, of the command and of all that it waited for.
        peak_worker_mb: the largest resident set that any worker process of Koubo's ever had, MiB.
    """

    wall: float
    cpu: float
    peak_worker_mb: float


def run(command: list[str], log: Path, environment: dict[str, str]) -> Usage:
    """Runs a command to its end; its output goes to a file.

    Raises:
        RuntimeError: it failed.
    """
    began = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        )
        peaks = _Peaks(process.pid)
        peaks.start()
        _, status, used = os.wait4(process.pid, 0)
        peaks.stop()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}; see {log}")
    wall = time.monotonic() - began
    return Usage(wall, used.ru_utime + used.ru_stime, peaks.worker_mb)


@dataclass
class _Peaks:
    """Reads the kernel's own high-water mark of each worker while it lives."""

    pid: int
    _stop: threading.Event = field(default_factory=threading.Event)
    _high: float = 0.0

    def start(self) -> None:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def worker_mb(self) -> float:
        return self._high

    def _watch(self) -> None:
        while not self._stop.wait(_SAMPLE_EVERY):
            try:
                children = psutil.Process(self.pid).children()
            except psutil.NoSuchProcess:
                return
            for child in children:
                self._high = max(self._high, _high_water(child.pid))


def _high_water(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
