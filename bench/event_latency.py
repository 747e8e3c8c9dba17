"""From an upload to the start of the function, on a real MinIO: by webhook, and by listening.

The clock starts before the upload does and stops where the function has the event in its hands.
"""

import os
import queue
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory

import uvicorn

from functions.asgi import app_for
from functions.chain import Handle, Surroundings
from functions.local import DataFolder, Local, LocalSettings, Queued
from functions.logs import set_up
from functions.progress import silent
from functions.settings import BucketSettings, LogSettings, StoreSettings
from functions.storage import InputCache, Store
from functions.wire import WireSettings, apply, differences, plan
from functions.wire_s3 import S3Wiring

ROOT = Path(__file__).parents[1]
UPLOADS = 200
_PAUSE = 0.01

Latency = dict[str, float]
"""Milliseconds: `p50` and `p99`."""


def measure(uploads: int = UPLOADS) -> dict[str, Latency]:
    """Both latencies, under the names that the results have."""
    with TemporaryDirectory(prefix="koubo-latency-") as folder:
        port = _free_port()
        with _minio(Path(folder), port) as settings:
            return {
                "event_latency_ms_webhook": _summary(_webhook(settings, port, uploads)),
                "event_latency_ms_listen": _summary(_listen(settings, Path(folder), uploads)),
            }


def _webhook(settings: StoreSettings, port: int, uploads: int) -> list[float]:
    """Seconds from each upload to the handler, through the HTTP door."""
    started: queue.Queue[tuple[str, float]] = queue.Queue()

    def build(_around: Surroundings) -> Handle:
        return lambda event: started.put((event.key, time.perf_counter()))

    def around() -> Surroundings:
        cache = InputCache(Path(), 0)
        store = settings.open()
        return Surroundings(store, BucketSettings(), cache, Path(), Path(), silent)

    config = uvicorn.Config(
        app_for("ingest", build, around), host="127.0.0.1", port=port, log_level="warning"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        _wait(lambda: server.started)
        return _upload(settings.open(), "webhook", uploads, lambda: started.get(timeout=30))
    finally:
        server.should_exit = True
        thread.join()


def _listen(settings: StoreSettings, folder: Path, uploads: int) -> list[float]:
    """Seconds from each upload to the queue of `koubo up`, which gives it to a free worker."""
    data = DataFolder(folder / "data", settings)
    started: queue.Queue[tuple[str, float]] = queue.Queue()
    over = threading.Event()

    def work() -> None:
        with Local(data, LocalSettings(workers=1), LogSettings(file=folder / "log")) as local:
            for news in local.work():
                if isinstance(news, Queued):
                    started.put((news.job.event.key, time.perf_counter()))
                if over.is_set():
                    return

    thread = threading.Thread(target=work)
    thread.start()
    try:
        store = settings.open()
        # The first one shows that it listens; the look around at the start may find it, too.
        _upload(store, "first", 1, lambda: started.get(timeout=60))
        return _upload(store, "listen", uploads, lambda: started.get(timeout=60))
    finally:
        over.set()
        thread.join()


def _upload(
    store: Store, job: str, uploads: int, started: Callable[[], tuple[str, float]]
) -> list[float]:
    """Uploads small files one after the other, each when the one before has arrived."""
    found = []
    bucket = BucketSettings().input
    for number in range(uploads):
        key = f"default/{job}/{number:04d}.wav"
        began = time.perf_counter()
        store.put(bucket, key, b"RIFF")
        while True:
            name, at = started()
            if name == key:
                break
        found.append(at - began)
        time.sleep(_PAUSE)
    return found


def _summary(seconds: list[float]) -> Latency:
    cuts = quantiles((second * 1000 for second in seconds), n=100, method="inclusive")
    return {"p50": round(cuts[49], 1), "p99": round(cuts[98], 1)}


@contextmanager
def _minio(folder: Path, ingest: int) -> Iterator[StoreSettings]:
    """A wired MinIO that sends uploads to a port of loopback."""
    endpoint = f"http://127.0.0.1:{_free_port()}"
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
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait(lambda: _answers(f"{endpoint}/minio/health/live"))
        wiring = S3Wiring.connect(settings)
        for change in differences(plan(WireSettings(), BucketSettings()), wiring):
            apply(change, wiring)
        yield settings
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder / "minio", ignore_errors=True)


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 -- our own
        return bool(answer.status == 200)
    return False


def _wait(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not up after {seconds:.0f} s")
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


if __name__ == "__main__":
    set_up(LogSettings(level="WARNING"))
    print(measure(int(sys.argv[1]) if len(sys.argv) > 1 else UPLOADS))
