"""Runs inside an image: starts its server, gives it work by HTTP, waits for what must come of it.

    python smoke.py FUNCTION COMMAND...
    python smoke.py --lambda FUNCTION       the function as AWS Lambda runs it

The store is a folder (KOUBO_STORE_ROOT) in which the functions before this one have left their
objects. Prints one line of JSON: `ready_s` until the server answered, `work_s` until its work was
done, `peak_mib` of memory in the server or the largest of the programs that it ran.
"""

import json
import os
import queue
import resource
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
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
    one("koubo-work/default/footage/*/windows/*.avi")
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


class RuntimeApi(BaseHTTPRequestHandler):
    """AWS Lambda's Runtime API: gives out one invocation and takes what comes of it."""

    protocol_version = "HTTP/1.1"
    invocation: ClassVar[bytes]
    answered: ClassVar["queue.Queue[tuple[str, bytes]]"] = queue.Queue()

    def do_GET(self) -> None:
        """The only invocation, then silence."""
        if not self.answered.empty():
            time.sleep(WORK_SECONDS)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Lambda-Runtime-Aws-Request-Id", "1")
        self.send_header("Lambda-Runtime-Deadline-Ms", "9999999999999")
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:::koubo")
        self.send_header("Content-Length", str(len(self.invocation)))
        self.end_headers()
        self.wfile.write(self.invocation)

    def do_POST(self) -> None:
        """What came of it: `response` or `error`, and its JSON."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answered.put((self.path.rpartition("/")[2], body))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Nothing: the smoke says what matters."""


def run_lambda(function: str) -> None:
    """An event for an object that is gone is settled; the gateway says that it lives."""
    record = {"bucket": {"name": "koubo-work"}, "object": {"key": "default/runs/gone/none"}}
    event: dict[str, object] = {"Records": [{"eventName": "ObjectCreated:Put", "s3": record}]}
    if function == "gateway":
        via = {"http": {"method": "GET", "path": "/healthz", "sourceIp": "192.0.2.1"}}
        told = {"headers": {"host": "x"}, "requestContext": via, "isBase64Encoded": False}
        event = {"version": "2.0", "rawPath": "/healthz", "rawQueryString": "", **told}
    RuntimeApi.invocation = json.dumps(event).encode()
    server = ThreadingHTTPServer(("127.0.0.1", 0), RuntimeApi)
    server.daemon_threads = True
    # The runtime is killed while it asks for more.
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["AWS_LAMBDA_RUNTIME_API"] = f"127.0.0.1:{server.server_port}"
    handler = f"functions.{function}.main.lambda_handler"
    started = time.monotonic()
    runtime = subprocess.Popen([sys.executable, "-m", "awslambdaric", handler])
    try:
        kind, body = RuntimeApi.answered.get(timeout=READY_SECONDS)
    finally:
        runtime.kill()
        runtime.wait()
    answer = json.loads(body)
    well = (
        answer.get("statusCode") == 200 if function == "gateway" else "batchItemFailures" in answer
    )
    expect(kind == "response" and well, f"Lambda's {kind}: {answer}")
    print_figures(time.monotonic() - started, 0.0)


def print_figures(ready: float, work: float) -> None:
    """Prints what was measured."""
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    figures = {"ready_s": ready, "work_s": work, "peak_mib": peak}
    sys.stdout.write(json.dumps({name: round(value, 1) for name, value in figures.items()}) + "\n")


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
    print_figures(ready - started, done - ready)


if __name__ == "__main__":
    if sys.argv[1] == "--lambda":
        run_lambda(sys.argv[2])
    else:
        main(sys.argv[1], sys.argv[2:])
