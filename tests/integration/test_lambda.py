"""The functions as AWS Lambda runs them: behind S3 and SQS, and under AWS's own runtime client.

ministack is the local AWS. It does not escape keys in its notifications as S3 does, so the names
here have neither plus nor percent signs; the golden events have.
"""

import io
import json
import queue
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import boto3
import pytest

from functions import documents
from functions.chain import DeadLetter
from functions.ingest.face_models import FaceModels
from functions.layout import RunKeys
from functions.settings import StoreSettings
from functions.storage import Store
from functions.wire import WireSettings, apply, differences, plan
from functions.wire_s3 import S3Wiring

from .minio_server import BUCKETS, FUNCTIONS, ROOT, Process, free_port, until

REGION = "eu-central-1"
RECEIVES = 6
"""After which a message goes to the queue's own dead-letter queue: more often than Koubo tries."""


@dataclass
class Aws:
    """A local AWS with the three functions behind queues, wired to the buckets."""

    url: str
    store: Store

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def queue_url(self, name: str) -> str:
        return str(self.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])

    def make_queues(self) -> dict[str, str]:
        """A queue for each function, and one for what none of them can use; name -> ARN."""
        sqs, arns = self.client("sqs"), {}
        for name in ("dead", *FUNCTIONS):
            attributes = {"VisibilityTimeout": "1"}
            if name != "dead":
                policy = {"deadLetterTargetArn": arns["dead"], "maxReceiveCount": str(RECEIVES)}
                attributes["RedrivePolicy"] = json.dumps(policy)
            url = sqs.create_queue(QueueName=f"koubo-{name}", Attributes=attributes)["QueueUrl"]
            found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
            arns[name] = found["Attributes"]["QueueArn"]
        return arns

    def make_functions(self, arns: dict[str, str], environment: dict[str, str]) -> None:
        lambdas = self.client("lambda")
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as file:
            file.writestr("README", "The code is where PYTHONPATH says.")
        for name in FUNCTIONS:
            lambdas.create_function(
                FunctionName=f"koubo-{name}",
                Runtime="python3.11",
                Handler=f"functions.{name}.main.lambda_handler",
                Role="arn:aws:iam::000000000000:role/koubo",
                Code={"ZipFile": package.getvalue()},
                Timeout=120,
                Environment={"Variables": environment},
            )
            lambdas.create_event_source_mapping(
                EventSourceArn=arns[name],
                FunctionName=f"koubo-{name}",
                BatchSize=10,
                FunctionResponseTypes=["ReportBatchItemFailures"],
            )


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory, face_models: FaceModels) -> Iterator[Aws]:
    """S3 tells SQS, SQS calls Lambda; every part of it is real but the company that runs it."""
    folder = tmp_path_factory.mktemp("aws")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "ministack"]
    environment = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    process = Process(command, environment, folder / "aws.log", url + "/_ministack/health")
    settings = StoreSettings(
        kind="s3", endpoint=url, region=REGION, access_key="test", secret_key="test"
    )
    try:
        process.start().wait()
        local = Aws(url, settings.open())
        arns = local.make_queues()
        wiring = S3Wiring.connect(settings)
        wire = WireSettings(
            **{name: arns[name] for name in FUNCTIONS}, cors_origins=["https://a.b"]
        )
        for change in differences(plan(wire, BUCKETS), wiring):
            apply(change, wiring)
        assert list(differences(plan(wire, BUCKETS), wiring)) == []
        local.make_functions(
            arns,
            {
                "PYTHONPATH": str(ROOT),
                "KOUBO_STORE_KIND": "s3",
                "KOUBO_STORE_ENDPOINT": url,
                "KOUBO_STORE_REGION": REGION,
                "KOUBO_STORE_ACCESS_KEY": "test",
                "KOUBO_STORE_SECRET_KEY": "test",
                "KOUBO_INGEST_SEGMENT_SECONDS": "1",
                "KOUBO_CACHE_INPUTS": str(folder / "inputs"),
            },
        )
        yield local
    finally:
        process.kill()


def test_the_chain(aws: Aws, short_voice: Path, short_face: Path) -> None:
    """Two uploads become a video by S3, SQS and three Lambda functions alone."""
    s3 = aws.client("s3")
    for name, path in (("voice 1.wav", short_voice), ("脸.mp4", short_face)):
        s3.upload_file(str(path), BUCKETS.input, f"default/news 口播/{name}")
    key = "default/news 口播/voice 1-脸"
    until(lambda: aws.store.exists(BUCKETS.output, f"{key}.json"), 120, key)
    report = json.loads(aws.store.get(BUCKETS.output, f"{key}.json"))
    assert report["video"]["frames"] == 75


def test_a_batch_with_bad_messages(aws: Aws) -> None:
    """What is no event ends in the queue's dead-letter queue; its neighbours are handled."""
    sqs, url = aws.client("sqs"), aws.queue_url("koubo-ingest")
    aws.store.put(BUCKETS.input, "default/odd/text.wav", b"no media")
    event = {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "s3": {
                    "bucket": {"name": BUCKETS.input},
                    "object": {"key": "default/odd/text.wav"},
                },
            }
        ]
    }
    bodies = ["no JSON", json.dumps(event), json.dumps({"Event": "s3:TestEvent"})]
    sqs.send_message_batch(
        QueueUrl=url,
        Entries=[{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)],
    )
    error = "default/odd/text.wav.error.json"
    until(lambda: aws.store.exists(BUCKETS.output, error), 60, error)

    def dead() -> list[str]:
        found = sqs.receive_message(QueueUrl=aws.queue_url("koubo-dead"), MaxNumberOfMessages=10)
        return [message["Body"] for message in found.get("Messages", ())]

    assert until(dead, 60, "the dead letter") == ["no JSON"]


def test_failures_are_retried_and_end(aws: Aws) -> None:
    """A segment that can't be rendered is tried four times, then the run has failed."""
    keys = RunKeys("default", "lost")
    aws.store.put(BUCKETS.work, keys.segment(0), b"{}")
    until(lambda: aws.store.exists(BUCKETS.work, keys.failed), 60, "the failure")
    (entry,) = aws.store.entries(BUCKETS.work, "default/dead/infer")
    letter = documents.load(DeadLetter, aws.store.get(BUCKETS.work, entry.key))
    assert letter.event.key == keys.segment(0)
    assert len(letter.attempts) == 4


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


def test_aws_runtime(tmp_path: Path, face_models: FaceModels) -> None:
    """AWS's own runtime client runs the handler as an image's entry point would."""
    RuntimeApi.invocations, RuntimeApi.answers = queue.Queue(), queue.Queue()
    server = ThreadingHTTPServer(("127.0.0.1", 0), RuntimeApi)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    process = Process(
        [sys.executable, "-m", "awslambdaric", "functions.ingest.main.lambda_handler"],
        {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}",
            "KOUBO_STORE_ROOT": str(tmp_path),
            "OMP_NUM_THREADS": "1",
        },
        tmp_path / "runtime.log",
        ready="",
    )
    store = Store.folder(tmp_path)
    store.put(BUCKETS.input, "default/a/text.wav", b"no media")
    record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": BUCKETS.input}}}
    record["s3"]["object"] = {"key": "default/a/text.wav"}  # type: ignore[index]
    try:
        process.start()
        RuntimeApi.invocations.put({"Records": [record]})
        assert RuntimeApi.answers.get(timeout=30) == ("response", {"batchItemFailures": []})
        assert store.exists(BUCKETS.output, "default/a/text.wav.error.json")
        RuntimeApi.invocations.put({"Records": [{"nothing": "known"}]})
        kind, error = RuntimeApi.answers.get(timeout=30)
        assert kind == "error"
        assert error["errorType"] == "RetryableError"
    finally:
        process.kill()
        server.shutdown()
