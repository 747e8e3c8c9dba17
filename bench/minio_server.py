"""A real MinIO for a measurement: started, wired, and gone afterwards."""

import os
import secrets
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from functions.settings import BucketSettings, StoreSettings
from functions.wire import WireSettings, apply, differences, plan
from functions.wire_s3 import S3Wiring

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class MinioServer:
    """A running MinIO.

    Args:
        settings: how to reach it.
        process: of the server alone.
    """

    settings: StoreSettings
    process: psutil.Process

    @property
    def cpu(self) -> float:
        """Seconds of user and system time that it has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    @property
    def environment(self) -> dict[str, str]:
        """What has a process of Koubo's use it."""
        access, secret = self.settings.keys or ("", "")
        return {
            "KOUBO_STORE_KIND": "s3",
            "KOUBO_STORE_ENDPOINT": self.settings.endpoint or "",
            "KOUBO_STORE_ACCESS_KEY": access,
            "KOUBO_STORE_SECRET_KEY": secret,
        }


@contextmanager
def minio_server(folder: Path, ingest: int) -> Iterator[MinioServer]:
    """A wired MinIO that sends uploads to a port of loopback."""
    endpoint = f"http://127.0.0.1:{free_port()}"
    keys = {"access_key": "koubo", "secret_key": secrets.token_hex()}
    settings = StoreSettings(kind="s3", endpoint=endpoint, **keys)
    environment = {
        **os.environ,
        "KOUBO_STORE_ENDPOINT": endpoint,
        "KOUBO_STORE_ACCESS_KEY": keys["access_key"],
        "KOUBO_STORE_SECRET_KEY": keys["secret_key"],
        "KOUBO_INGEST_URL": f"http://127.0.0.1:{ingest}",
    }
    command = [str(ROOT / "infra" / "minio" / "serve"), str(folder / "minio")]
    with (folder / "minio.log").open("wb") as log:
        # The script becomes the server.
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        wait_for(lambda: _answers(f"{endpoint}/minio/health/live"))
        wiring = S3Wiring.connect(settings)
        for change in differences(plan(WireSettings(), BucketSettings()), wiring):
            apply(change, wiring)
        yield MinioServer(settings, psutil.Process(process.pid))
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder / "minio", ignore_errors=True)


def wait_for(true: Callable[[], bool], seconds: float = 60) -> None:
    """Waits until something is up."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not up after {seconds:.0f} s")
        time.sleep(0.05)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 -- our own
        return bool(answer.status == 200)
    return False
