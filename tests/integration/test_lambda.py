"""The functions as AWS Lambda runs them, behind S3, SQS and EventBridge.

ministack is the local AWS. To SQS it does not escape keys as S3 does, so the names that go that way
have neither plus nor percent signs; the golden events have.
"""

import io
import json
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from functions import documents
from functions.chain import DeadLetter
from functions.ingest.face_models import FaceModels
from functions.layout import PART_SUFFIX, PATCHES_SUFFIX, SEGMENT_SUFFIX, RunKeys
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
    settings: StoreSettings

    @property
    def store(self) -> Store:
        return self.settings.open()

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

    def make_functions(self, folder: Path) -> dict[str, str]:
        """The three functions; name -> ARN."""
        environment = {
            "PYTHONPATH": str(ROOT),
            "KOUBO_STORE_KIND": "s3",
            "KOUBO_STORE_ENDPOINT": self.url,
            "KOUBO_STORE_REGION": REGION,
            "KOUBO_STORE_ACCESS_KEY": "test",
            "KOUBO_STORE_SECRET_KEY": "test",
            "KOUBO_INGEST_SEGMENT_SECONDS": "1",
            "KOUBO_CACHE_INPUTS": str(folder / "inputs"),
        }
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as file:
            file.writestr("README", "The code is where PYTHONPATH says.")
        made = {}
        for name in FUNCTIONS:
            made[name] = self.client("lambda").create_function(
                FunctionName=f"koubo-{name}",
                Runtime="python3.11",
                Handler=f"functions.{name}.main.lambda_handler",
                Role="arn:aws:iam::000000000000:role/koubo",
                Code={"ZipFile": package.getvalue()},
                Timeout=120,
                Environment={"Variables": environment},
            )["FunctionArn"]
        return made

    def attach_queues(self, arns: dict[str, str]) -> None:
        for name in FUNCTIONS:
            self.client("lambda").create_event_source_mapping(
                EventSourceArn=arns[name],
                FunctionName=f"koubo-{name}",
                BatchSize=10,
                FunctionResponseTypes=["ReportBatchItemFailures"],
            )

    def bridge(self, functions: dict[str, str]) -> None:
        """Has both buckets tell EventBridge, and a rule for each function call it."""
        s3, events = self.client("s3"), self.client("events")
        for bucket in (BUCKETS.input, BUCKETS.work):
            s3.create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
            )
            s3.put_bucket_notification_configuration(
                Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
            )
        s3.create_bucket(
            Bucket=BUCKETS.output, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        suffixes = {"infer": [SEGMENT_SUFFIX], "encode": [PATCHES_SUFFIX, PART_SUFFIX]}
        for name, arn in functions.items():
            bucket = BUCKETS.input if name == "ingest" else BUCKETS.work
            detail: dict[str, Any] = {"bucket": {"name": [bucket]}}
            if name in suffixes:
                detail["object"] = {"key": [{"suffix": suffix} for suffix in suffixes[name]]}
            pattern = {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": detail}
            events.put_rule(Name=f"koubo-{name}", EventPattern=json.dumps(pattern))
            events.put_targets(Rule=f"koubo-{name}", Targets=[{"Id": name, "Arn": arn}])


@contextmanager
def local_aws(folder: Path) -> Iterator[Aws]:
    """A local AWS with nothing in it."""
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
        yield Aws(url, settings)
    finally:
        process.kill()


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory, face_models: FaceModels) -> Iterator[Aws]:
    """S3 tells SQS, SQS calls Lambda; every part of it is real but the company that runs it."""
    folder = tmp_path_factory.mktemp("aws")
    with local_aws(folder) as local:
        arns = local.make_queues()
        wiring = S3Wiring.connect(local.settings)
        wire = WireSettings(
            **{name: arns[name] for name in FUNCTIONS}, cors_origins=["https://a.b"]
        )
        for change in differences(plan(wire, BUCKETS), wiring):
            apply(change, wiring)
        assert list(differences(plan(wire, BUCKETS), wiring)) == []
        local.make_functions(folder)
        local.attach_queues(arns)
        yield local


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


def test_the_chain_by_event_bridge(
    tmp_path: Path, face_models: FaceModels, short_voice: Path, short_face: Path
) -> None:
    """S3 tells EventBridge, its rules call the functions: two uploads become a video."""
    with local_aws(tmp_path) as aws:
        aws.bridge(aws.make_functions(tmp_path))
        # EventBridge tells keys as they are, so here they may have anything in them.
        for name, path in (("voice 1+2.wav", short_voice), ("脸 100%.mp4", short_face)):
            aws.client("s3").upload_file(str(path), BUCKETS.input, f"default/新闻 +1/{name}")
        key = "default/新闻 +1/voice 1+2-脸 100%.json"
        until(lambda: aws.store.exists(BUCKETS.output, key), 120, key)
        assert json.loads(aws.store.get(BUCKETS.output, key))["video"]["frames"] == 75
