"""Big files: whatever comes in, the gateway's memory stays flat."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

ROOT = Path(__file__).parents[2]
MIB = 1 << 20


@contextmanager
def server(root: Path) -> Iterator[tuple[httpx.Client, psutil.Process]]:
    """A gateway as an image starts it: uvicorn, a folder as the store."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "functions.gateway.main:app", "--port", str(port)]
    environment = {**os.environ, "KOUBO_STORE_ROOT": str(root)}
    process = psutil.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "Uvicorn running" in line:
                break
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=300, trust_env=False
        ) as client:
            yield client, process
    finally:
        process.kill()
        process.wait()


def peak(process: psutil.Process) -> int:
    """The most memory that a process ever had, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text("ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


@pytest.mark.parametrize(
    "size", [300 * MIB, pytest.param(2048 * MIB, marks=pytest.mark.slow)], ids=["300M", "2G"]
)
@pytest.mark.parametrize("how", ["form", "upload"])
def test_memory_is_flat(tmp_path: Path, how: str, size: int) -> None:
    """A file of any size passes through a form or a PUT in a fixed amount of memory."""
    face = sparse(tmp_path / "face.mp4", size)
    with server(tmp_path / "store") as (client, process):
        small = {"voice": ("v.wav", b"v"), "faces": ("f.mp4", b"f")}
        assert client.post("/v1/runs", files=small).status_code == 201
        before = peak(process)
        with face.open("rb") as file:
            if how == "form":
                files = {"voice": ("v.wav", b"v"), "faces": ("face.mp4", file)}
                answer = client.post("/v1/runs", files=files)
                assert answer.status_code == 201, answer.text
                key = answer.json()["runs"][0]["inputs"]["face"]
            else:
                place = client.post("/v1/uploads", json={"file": "face.mp4", "size": size}).json()
                answer = client.put(place["url"], content=file)
                assert answer.json()["size"] == size
                key = f"default/{place['upload']}/.face.mp4"
        grown = peak(process) - before
    stored = tmp_path / "store" / "koubo-input" / key
    assert stored.stat().st_size == size
    stored.unlink()
    assert grown < 150 * MIB, f"grew by {grown / MIB:.0f} MiB"
