"""From an upload to the start of the function, on a real MinIO: by webhook, and by listening.

The clock starts before the upload does and stops where the function has the event in its hands.
"""

import queue
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory

import uvicorn

from bench.minio_server import free_port, minio_server, wait_for
from functions.asgi import app_for
from functions.chain import Handle, Surroundings
from functions.data_folder import DataFolder
from functions.input_cache import InputCache
from functions.local import Local, LocalSettings, Queued
from functions.logs import set_up
from functions.progress import silent
from functions.settings import BucketSettings, LogSettings, StoreSettings
from functions.storage import Store

UPLOADS = 200
_PAUSE = 0.01

Latency = dict[str, float]
"""Milliseconds: `p50` and `p99`."""


def measure(uploads: int = UPLOADS) -> dict[str, Latency]:
    """Both latencies, under the names that the results have."""
    with TemporaryDirectory(prefix="koubo-latency-") as folder:
        port = free_port()
        with minio_server(Path(folder), port) as server:
            store = server.settings
            return {
                "event_latency_ms_webhook": _summary(_webhook(store, port, uploads)),
                "event_latency_ms_listen": _summary(_listen(store, Path(folder), uploads)),
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
        wait_for(lambda: server.started)
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


if __name__ == "__main__":
    set_up(LogSettings(level="WARNING"))
    print(measure(int(sys.argv[1]) if len(sys.argv) > 1 else UPLOADS))
