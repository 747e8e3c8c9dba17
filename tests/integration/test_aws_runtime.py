"""The functions under AWS's own runtime client, as an image's entry point runs them."""

import json
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from functions.ingest.face_models import FaceModels
from functions.storage import Store
from tests.gateway.test_lambda_http import request as http_event

from .minio_server import BUCKETS, Process


class RuntimeApi(BaseHTTPRequestHandler):
    """AWS's Lambda Runtime API: gives out invocations and takes what comes back."""

    protocol_version = "HTTP/1.1"
    invocations: ClassVar["queue.Queue[dict[str, Any]]"]
    answers: ClassVar["queue.Queue[tuple[str, Any]]"]

    def do_GET(self) -> None:
        body = json.dumps(self.invocations.get(timeout=120)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Lambda-Runtime-Aws-Request-Id", "1")
        self.send_header("Lambda-Runtime-Deadline-Ms", "9999999999999")
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:::koubo")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answers.put((self.path.rpartition("/")[2], json.loads(body)))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Nothing: the test says what matters."""


@contextmanager
def aws_runtime(folder: Path, function: str, **more: str) -> Iterator[Callable[[Any], Any]]:
    """AWS's own runtime client with a function's handler; calls it and gives what came of it."""
    RuntimeApi.invocations, RuntimeApi.answers = queue.Queue(), queue.Queue()
    server = ThreadingHTTPServer(("127.0.0.1", 0), RuntimeApi)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    process = Process(
        [sys.executable, "-m", "awslambdaric", f"functions.{function}.main.lambda_handler"],
        {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}",
            "KOUBO_STORE_ROOT": str(folder),
            "OMP_NUM_THREADS": "1",
            **more,
        },
        folder / "runtime.log",
        ready="",
    )

    def call(event: Any) -> Any:
        RuntimeApi.invocations.put(event)
        return RuntimeApi.answers.get(timeout=60)

    try:
        process.start()
        yield call
    finally:
        process.kill()
        server.shutdown()


def test_aws_runtime(tmp_path: Path, face_models: FaceModels) -> None:
    """AWS's own runtime client runs the handler as an image's entry point would."""
    store = Store.folder(tmp_path)
    store.put(BUCKETS.input, "default/a/text.wav", b"no media")
    record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": BUCKETS.input}}}
    record["s3"]["object"] = {"key": "default/a/text.wav"}  # type: ignore[index]
    with aws_runtime(tmp_path, "ingest") as call:
        assert call({"Records": [record]}) == ("response", {"batchItemFailures": []})
        assert store.exists(BUCKETS.output, "default/a/text.wav.error.json")
        kind, error = call({"Records": [{"nothing": "known"}]})
        assert kind == "error"
        assert error["errorType"] == "RetryableError"


def test_the_gateway_under_aws_runtime(tmp_path: Path) -> None:
    """Requests as a function URL sends them are answered, one after the other, by one process."""
    with aws_runtime(tmp_path, "gateway", KOUBO_GATEWAY_TOKEN="secret") as call:
        body = json.dumps({"file": "v.wav"}).encode()
        asked = http_event("POST", "/v1/uploads", body)
        kind, place = call(asked)
        assert (kind, place["statusCode"]) == ("response", 201)
        url = json.loads(place["body"])["url"]
        for _ in range(2):
            kind, put = call(http_event("PUT", url, b"\x00\xff"))
            assert (kind, put["statusCode"]) == ("response", 201)
        assert call(http_event("GET", "/v1/runs", token="wrong"))[1]["statusCode"] == 401
        assert call(http_event("GET", "/docs"))[1]["statusCode"] == 200
