"""MinIO and the functions beside it, as processes: started, killed, looked at over S3."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from functions.settings import BucketSettings, StoreSettings
from functions.storage import Store
from functions.wire_s3 import s3_client

ROOT = Path(__file__).parents[2]
BUCKETS = BucketSettings()
TOKEN = "the shared token".replace(" ", "-")
FUNCTIONS: tuple[Literal["ingest", "infer", "encode"], ...] = ("ingest", "infer", "encode")


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def until(true: Callable[[], Any], seconds: float = 60, what: str = "it") -> Any:
    """Waits for what other processes are about to do, and returns it."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, f"{what} did not happen in {seconds:.0f} s"
        time.sleep(0.05)
    return found


def answers(url: str) -> bool:
    """Whether a server answers well."""
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


@dataclass
class Process:
    """A program that runs until it is killed; its output goes to a file."""

    command: list[str]
    environment: Mapping[str, str]
    log: Path
    ready: str
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Process":
        """Starts it; `wait` waits until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def wait(self, seconds: float = 90) -> None:
        """Until it answers."""

        def up() -> bool:
            assert self._process is not None
            code = self._process.poll()
            assert code is None, f"{self.command[:3]} ended with {code}:\n{self.tail()}"
            return answers(self.ready)

        until(up, seconds, self.ready)

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Ends it and all that it started, at once or as politely as `how` is."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, how)
        try:
            self._process.wait(20)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process = None

    def ended(self, seconds: float = 60) -> int:
        """Waits for its end and returns its exit status."""
        assert self._process is not None
        return self._process.wait(seconds)

    def tail(self) -> str:
        """The end of what it said."""
        return self.log.read_text(errors="replace")[-3000:]


@dataclass
class Stack:
    """MinIO, wired, and the three functions on loopback; a context manager.

    Args:
        folder: for data and logs.
        settings: more of the functions' environment.
        chosen: ports that functions must have.
    """

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    chosen: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        free = {name: free_port() for name in ("minio", *FUNCTIONS)}
        self.ports = {**free, **self.chosen}
        self.environment = {
            "OMP_NUM_THREADS": "1",
            "KOUBO_STORE_KIND": "s3",
            "KOUBO_STORE_ENDPOINT": self.url("minio"),
            "KOUBO_STORE_ACCESS_KEY": "koubo",
            "KOUBO_STORE_SECRET_KEY": "koubo-secret",
            "KOUBO_EVENTS_TOKEN": TOKEN,
            "KOUBO_INGEST_SEGMENT_SECONDS": "1",
            "KOUBO_CACHE_INPUTS": str(self.folder / "inputs"),
            **{f"KOUBO_{name.upper()}_URL": self.url(name) for name in FUNCTIONS},
            **self.settings,
        }
        self.minio = Process(
            ["infra/minio/serve", str(self.folder / "minio")],
            self.environment,
            self.folder / "minio.log",
            self.url("minio") + "/minio/health/live",
        )
        self.functions = {name: self._function(name) for name in FUNCTIONS}
        self.store: Store = self.store_settings.open()
        self.client = s3_client(self.store_settings)

    def __enter__(self) -> "Stack":
        self.folder.mkdir(parents=True, exist_ok=True)
        self.minio.start().wait()
        assert self.koubo("wire").returncode == 0
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self.functions.values(), self.minio):
            process.kill()

    def start_functions(self) -> "Stack":
        """Starts all three."""
        for process in self.functions.values():
            process.start()
        for process in self.functions.values():
            process.wait()
        return self

    @property
    def store_settings(self) -> StoreSettings:
        """For this MinIO."""
        return StoreSettings(
            kind="s3",
            endpoint=self.url("minio"),
            access_key=self.environment["KOUBO_STORE_ACCESS_KEY"],
            secret_key=self.environment["KOUBO_STORE_SECRET_KEY"],
        )

    def url(self, name: str) -> str:
        """Where a process listens."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def koubo(self, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Runs the command on this store."""
        return subprocess.run(
            [sys.executable, "-m", "functions.cli", *arguments],
            cwd=ROOT,
            env={**os.environ, **self.environment, **more},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def outputs(self, job: str) -> set[str]:
        """The names of a job's outputs."""
        prefix = f"default/{job}"
        return {
            entry.key.rpartition("/")[2] for entry in self.store.entries(BUCKETS.output, prefix)
        }

    def wait_done(self, job: str, output: str, seconds: float = 120) -> set[str]:
        """Waits until a video, its poster and report are there; a refusal fails at once."""

        def done() -> bool:
            found = self.outputs(job)
            errors = {name for name in found if name.endswith(".error.json")}
            assert not errors, [
                self.store.get(BUCKETS.output, f"default/{job}/{name}") for name in errors
            ]
            return {f"{output}.mp4", f"{output}.jpg", f"{output}.json"} <= found

        try:
            until(done, seconds, f"{job}/{output}")
        except AssertionError as error:
            logs = "\n".join(process.tail() for process in self.functions.values())
            raise AssertionError(f"{error}\n{logs}") from error
        return self.outputs(job)

    def _function(self, name: str) -> Process:
        command = [
            *(sys.executable, "-m", "uvicorn", f"functions.{name}.main:app"),
            *("--host", "127.0.0.1", "--port", str(self.ports[name]), "--no-access-log"),
        ]
        log = self.folder / f"{name}.log"
        return Process(command, self.environment, log, self.url(name) + "/readyz")
