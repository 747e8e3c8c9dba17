"""Runs inside an image: starts its server, gives it work by HTTP, waits for what must come of it.

    python smoke.py FUNCTION COMMAND...

The store is a folder (KOUBO_STORE_ROOT) in which the functions before this one have left their
objects. Prints one line of JSON: `ready_s` until the server answered, `work_s` until its work was
done, `peak_mib` of memory in the server or the largest of the programs that it ran.
"""

import json
import os
import resource
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import quote_plus
from urllib.request import Request, urlopen

DATA = Path(os.environ["KOUBO_STORE_ROOT"])
SERVER = f"http://127.0.0.1:{os.environ['UVICORN_PORT']}"
FRAMES = 50
READY_SECONDS = 300.0
WORK_SECONDS = 900.0
POLL_SECONDS = 0.1

RUNS = "koubo-work/default/runs"
OUTPUT = "koubo-output/default/smoke/voice-face"


class SmokeError(Exception):
    """The image does not do what it is for."""


def ingest() -> None:
    """Two uploads become a plan of one segment."""
    post("koubo-input/default/smoke/voice.flac", "koubo-input/default/smoke/face.mp4")
    appears(f"{RUNS}/*/0000.segment.json")
    one("koubo-work/default/footage/*/windows/*.mkv")
    one(f"{RUNS}/*/*.segment.json")


def infer() -> None:
    """The segment becomes patches."""
    post(f"{RUNS}/*/0000.segment.json")
    with zipfile.ZipFile(appears(f"{RUNS}/*/0000.patches.zip")) as patches:
        expect(patches.testzip() is None, "the patches are damaged")
        expect(len(patches.namelist()) > 0, "there are no patches")


def encode() -> None:
    """The patches become a part, the part becomes the video."""
    import av  # noqa: PLC0415 -- only this function's image has it for certain

    post(f"{RUNS}/*/0000.patches.zip")
    appears(f"{RUNS}/*/0000.part.mp4")
    post(f"{RUNS}/*/0000.part.mp4")
    appears(f"{RUNS}/*/done.json")
    with av.open(str(DATA / f"{OUTPUT}.mp4")) as video:
        count = sum(1 for _ in video.decode(video=0))
    expect(count == FRAMES, f"the video has {count} frames, not {FRAMES}")


def gateway() -> None:
    """The run that the others made is listed as done."""
    _, listed = ask("/v1/runs")
    expect(b'"done"' in listed, f"no run is done: {listed!r}")


SMOKES: dict[str, Callable[[], None]] = {
    "ingest": ingest,
    "infer": infer,
    "encode": encode,
    "gateway": gateway,
}


def expect(true: bool, otherwise: str) -> None:  # noqa: FBT001 -- it reads like assert
    """Raises SmokeError where an assert would be left out by -O."""
    if not true:
        raise SmokeError(otherwise)


def ask(path: str, body: object = None) -> tuple[int, bytes]:
    """Asks the server, with the token that it was started with: the status and the answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {os.environ['SMOKE_TOKEN']}"}
    url = SERVER + path
    asking = Request(url, data, {**headers, "Content-Type": "application/json"})  # noqa: S310 -- ours
    with urlopen(asking, timeout=60) as answer:  # noqa: S310
        return answer.status, answer.read()


def post(*patterns: str) -> None:
    """Tells the server, as MinIO would, that these objects were created."""
    for pattern in patterns:
        bucket, _, key = str(one(pattern).relative_to(DATA)).partition("/")
        told = {"bucket": {"name": bucket}, "object": {"key": quote_plus(key)}}
        record = {"eventName": "s3:ObjectCreated:Put", "s3": told}
        status, _ = ask("/events", {"Records": [record]})
        expect(status == 202, f"an event was answered with {status}")


def one(pattern: str) -> Path:
    """The only object that the pattern fits."""
    found = sorted(DATA.glob(pattern))
    expect(len(found) == 1, f"{pattern} fits {len(found)} objects")
    return found[0]


def appears(pattern: str) -> Path:
    """Waits for the object; an error document, wherever it lies, ends the waiting."""
    for _ in until(WORK_SECONDS, f"no {pattern}"):
        for refused in (*DATA.rglob("*.error.json"), *DATA.rglob("failed.json")):
            raise SmokeError(refused.read_text())
        if any(DATA.glob(pattern)):
            return one(pattern)
    raise AssertionError


def until(seconds: float, otherwise: str) -> Iterator[None]:
    """Yields again and again; raises when the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(POLL_SECONDS)
    raise SmokeError(f"{otherwise} within {seconds:g} s")


def wait_ready(server: "subprocess.Popen[bytes]") -> None:
    """Waits until the image's own health check is content; then the store must be reachable."""
    check = json.loads(os.environ["SMOKE_HEALTH_CHECK"])
    for _ in until(READY_SECONDS, "not healthy"):
        expect(server.poll() is None, f"the server ended with status {server.returncode}")
        with suppress(HTTPError, URLError, ConnectionError):
            ask("/healthz")
            break
    subprocess.run(check, check=True, timeout=120)
    ask("/readyz")


def writable() -> list[str]:
    """Folders outside the mounts that this user may write in; the root is to be none of them."""
    mounts = {"/dev", "/proc", "/sys", "/tmp", "/var/tmp", "/run", "/scratch", str(DATA)}  # noqa: S108
    found = []
    for folder, below, _ in os.walk("/"):
        below[:] = [name for name in below if os.path.join(folder, name) not in mounts]  # noqa: PTH118
        if os.access(folder, os.W_OK):
            found.append(folder)
    return found


def main(function: str, command: list[str]) -> None:
    """Runs one smoke."""
    expect(os.getuid() != 0, "it runs as root")
    expect(not writable(), f"it may write in {writable()}")
    started = time.monotonic()
    server = subprocess.Popen(command)
    try:
        wait_ready(server)
        ready = time.monotonic()
        SMOKES[function]()
        done = time.monotonic()
    finally:
        server.terminate()
        status = server.wait(120)
    expect(status in (0, -15), f"told to stop, the server ended with status {status}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    figures = {"ready_s": ready - started, "work_s": done - ready, "peak_mib": peak}
    sys.stdout.write(json.dumps({name: round(value, 1) for name, value in figures.items()}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
