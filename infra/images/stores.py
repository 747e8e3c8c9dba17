"""The images beside the functions: MinIO, and what wires it."""

import os
import secrets
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

from images import Measured, built, free_port
from workshop import Workshop, make_go


def verify_stores(shop: Workshop) -> list[Measured]:
    """Builds MinIO and what wires it, starts the one and has the other do its work."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    store = {
        "KOUBO_STORE_KIND": "s3",
        "KOUBO_STORE_ENDPOINT": endpoint,
        "KOUBO_STORE_ACCESS_KEY": "koubo",
        "KOUBO_STORE_SECRET_KEY": secrets.token_hex(16),
        "MINIO_ADDRESS": f"127.0.0.1:{port}",
    }
    given = [part for name, value in store.items() for part in ("--env", f"{name}={value}")]
    context = "infra/minio"
    with (
        built(shop, "minio", f"{context}/Dockerfile", *make_go(shop), context=context) as minio,
        built(shop, "wire", "infra/wire/Dockerfile") as wire,
    ):
        options = ("run", "--network", "host", *given)
        started = time.monotonic()
        with shop.serving(*options, minio.name, "--", *minio.config["Cmd"]) as server:
            wait_for(f"{endpoint}/minio/health/live")
            ready = time.monotonic()
            command = wire.config["Cmd"]
            shop.buildah(*options, wire.name, "--", *command)
            shop.buildah(*options, wire.name, "--", *command, "--check")
            wired = time.monotonic()
            memory = peak_mib(server)
        return [
            Measured("minio", minio.added, minio.build_s, figures(ready - started, 0.0, memory)),
            Measured("wire", wire.added, wire.build_s, figures(0.0, wired - ready, 0.0)),
        ]


def figures(ready: float, work: float, peak: float) -> dict[str, float]:
    """What a smoke prints."""
    return {"ready_s": ready, "work_s": work, "peak_mib": peak}


def wait_for(url: str) -> None:
    """Waits until a server answers."""
    deadline = time.monotonic() + 120
    while True:
        try:
            with urlopen(url, timeout=5):  # noqa: S310 -- our own
                return
        except OSError:
            if time.monotonic() > deadline:
                sys.exit(f"nothing answers at {url}")
            time.sleep(0.1)


def peak_mib(group: int) -> float:
    """The most memory that a process of a group ever had."""
    found = [0.0]
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.getpgid(int(process.name)) == group:
                lines = (process / "status").read_text().splitlines()
                found += [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")]
    return max(found)
