"""`koubo` as people start it: a process of its own on a data folder, heard and killed."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

KOUBO = (sys.executable, "-m", "functions.cli")
ROOT = Path(__file__).parents[2]
QUICK = {
    "OMP_NUM_THREADS": "1",
    "KOUBO_LOCAL_WORKERS": "2",
    "KOUBO_LOCAL_SETTLE_SECONDS": "0.3",
    "KOUBO_INGEST_SEGMENT_SECONDS": "1",
}
"""Settings under which a job of some seconds has several segments."""


@dataclass
class Folder:
    """A data folder, seen from outside: dropped into, looked at."""

    root: Path

    def drop(self, job: str, name: str, content: Path | bytes) -> Path:
        """Copies a file into a job's folder under a hidden name and renames it, as copiers do."""
        to = self.root / "koubo-input" / "default" / job / name
        to.parent.mkdir(parents=True, exist_ok=True)
        hidden = to.with_name(f".{name}.copying")
        if isinstance(content, Path):
            shutil.copyfile(content, hidden)
        else:
            hidden.write_bytes(content)
        hidden.rename(to)
        return to

    def output(self, job: str, name: str = "") -> Path:
        """A file of a job in the output bucket."""
        return self.root / "koubo-output" / "default" / job / name

    def error(self, job: str, name: str) -> dict[str, Any]:
        """What `<file>.error.json` says."""
        return json.loads(self.output(job, f"{name}.error.json").read_bytes())

    def files(self, bucket: str) -> set[str]:
        """Every file of a bucket, unfinished ones of the store with them."""
        top = self.root / bucket
        return {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}

    @property
    def log_file(self) -> Path:
        """Where `Up` sends the log of every start."""
        return self.root / "log.jsonl"

    def log(self, event: str | None = None, **having: object) -> list[dict[str, Any]]:
        """Lines of the log so far: of one event, with these values."""
        if not self.log_file.exists():
            return []
        found = []
        for text in self.log_file.read_text("utf-8").splitlines():
            # A process that was killed in the middle of a line leaves half of it.
            with suppress(json.JSONDecodeError):
                line = json.loads(text)
                if event in (None, line["event"]) and having.items() <= line.items():
                    found.append(line)
        return found


@dataclass
class Up:
    """A running `koubo up`; a context manager that leaves no process behind.

    Args:
        folder: its data.
        settings: more of the environment.
    """

    folder: Folder
    settings: Mapping[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def __enter__(self) -> "Up":
        environment = {**os.environ, **QUICK, **self.settings}
        environment["KOUBO_LOG_FILE"] = str(self.folder.log_file)
        self.process = psutil.Popen(
            [*KOUBO, "up", "--data", str(self.folder.root)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self.lines.append("(ended)")
            self._news.notify_all()

    def wait_for(self, starts: str, about: str = "", *, seconds: float = 60) -> str:
        """Waits for a line that starts so and has `about` in it, and returns it."""

        def said() -> str | None:
            hits = (line for line in self.lines if line.startswith(starts) and about in line)
            return next(hits, None)

        with self._news:
            self._news.wait_for(lambda: said() or "(ended)" in self.lines, seconds)
            found = said()
        assert found, f"never said {starts!r} {about!r}, but:\n" + "\n".join(self.lines)
        return found

    def wait_ready(self) -> None:
        """Waits until dropped files are seen."""
        self.wait_for("Videos appear in")

    def wait_done(self, job: str, seconds: float = 60) -> None:
        """Waits until a run of the job is finished."""
        self.wait_for("done: ", f"{os.sep}{job}{os.sep}", seconds=seconds)

    def kill(self) -> None:
        """SIGKILL to the process alone; checks that all that it had started ends by itself."""
        family = _family(self.process)
        with suppress(psutil.NoSuchProcess):  # it may have ended by itself
            self.process.kill()
        self.process.wait(10)
        left = _still_running(family, 10)
        for process in left:
            process.kill()
        self._reader.join(10)
        assert not left, f"outlived the kill: {left}"

    def still_runs(self, seconds: float) -> bool:
        """Whether the process is alive after a while."""
        try:
            self.process.wait(seconds)
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            return True
        return False


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _still_running(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that don't end in time; one that only waits for its parent to notice has ended."""
    deadline = time.monotonic() + seconds
    left = processes
    while left and time.monotonic() < deadline:
        _, left = psutil.wait_procs(left, timeout=0.2)
        left = [process for process in left if not _is_zombie(process)]
    return left


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def koubo(
    *arguments: object, seconds: float = 120, settings: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Runs the command to its end."""
    return subprocess.run(
        [*KOUBO, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **QUICK, **(settings or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether a condition comes true in time; for what no line tells."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.05)
    return True
