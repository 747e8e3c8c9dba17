"""Uploads to a real MinIO, by every way of uploading, become videos."""

import io
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import minio
import pytest
from boto3.s3.transfer import TransferConfig

from functions.ingest.face_models import FaceModels

from .minio_server import BUCKETS, TOKEN, Stack, until


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, face_models: FaceModels) -> Iterator[Stack]:
    """MinIO and the functions, reached by webhooks."""
    with Stack(tmp_path_factory.mktemp("minio")) as running:
        yield running.start_functions()


def test_wiring_is_idempotent(stack: Stack) -> None:
    """What is wired shows no drift; what somebody changed does, and is put right again."""
    assert stack.koubo("wire", "--check").stdout == ""
    stack.client.put_bucket_notification_configuration(
        Bucket=BUCKETS.work, NotificationConfiguration={}
    )
    checked = stack.koubo("wire", "--check")
    assert checked.returncode == 1
    assert ".segment.json" in checked.stdout
    assert stack.koubo("wire", "--dry-run").stdout == checked.stdout
    assert stack.koubo("wire", "--check").returncode == 1, "neither changes anything"
    assert stack.koubo("wire").returncode == 0
    assert stack.koubo("wire", "--check").returncode == 0


def test_boto3(stack: Stack, short_voice: Path, short_face: Path) -> None:
    """Files put by boto3 become a video by webhooks alone, whatever is in their keys."""
    job = "新闻 +1 100%"
    for name, path in (("voice a+b%20.wav", short_voice), ("脸 1.mp4", short_face)):
        stack.client.upload_file(str(path), BUCKETS.input, f"default/{job}/{name}")
    assert stack.wait_done(job, "voice a+b%20-脸 1") == {
        "voice a+b%20-脸 1.mp4",
        "voice a+b%20-脸 1.jpg",
        "voice a+b%20-脸 1.json",
    }


def test_minio_py_and_multipart(stack: Stack, short_voice: Path, short_face: Path) -> None:
    """A voice put by minio-py and a face put in parts become a video."""
    client = minio.Minio(
        endpoint=stack.url("minio").removeprefix("http://"),
        access_key="koubo",
        secret_key="koubo-secret",
        secure=False,
    )
    client.fput_object(
        bucket_name=BUCKETS.input,
        object_name="default/parts/voice.wav",
        file_path=str(short_voice),
    )
    # What follows an MP4's last box is no part of it; S3's parts have 5 MiB at least.
    padded = short_face.read_bytes() + b"\0\0\0\x08free" * (1 << 20)
    stack.client.upload_fileobj(
        io.BytesIO(padded),
        BUCKETS.input,
        "default/parts/face.mp4",
        Config=TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20),
    )
    etag = stack.store.head(BUCKETS.input, "default/parts/face.mp4").etag
    assert etag is not None
    assert etag.strip('"').endswith("-2")
    stack.wait_done("parts", "voice-face")


def test_the_same_content_again_is_another_upload(stack: Stack) -> None:
    """MinIO gives it the same ETag; a later second tells them apart, in a HEAD and in a LIST."""

    def upload() -> str:
        stack.client.put_object(Bucket=BUCKETS.input, Key="default/again/.v.wav", Body=b"v")
        (listed,) = stack.store.entries(BUCKETS.input, "default/again")
        assert stack.store.head(BUCKETS.input, listed.key).identity == listed.identity
        return listed.identity

    first = upload()
    until(lambda: upload() != first, 5, "another identity")


def test_refusals_over_the_wire(stack: Stack) -> None:
    """Without the token, or with nonsense, a function answers clearly and counts it."""
    good = {"Authorization": f"Bearer {TOKEN}"}
    assert _post(stack, b"{}", {}) == 401
    assert _post(stack, b"{}", {"Authorization": "Bearer wrong"}) == 401
    assert _post(stack, b"{", good) == 400
    # Answered before all of it is read; a client that goes on sending may see a broken pipe.
    assert _post(stack, b" " * (2 << 20), good) in (413, None)
    foreign = {
        "eventName": "s3:ObjectCreated:Put",
        "s3": {"bucket": {"name": "foreign"}, "object": {"key": "a%2Fb.wav"}},
    }
    assert _post(stack, json.dumps({"Records": [foreign]}).encode(), good) == 422
    with urllib.request.urlopen(stack.url("ingest") + "/metrics", timeout=20) as answer:
        counted = answer.read().decode()
    for status in (400, 401, 413, 422):
        line = f'koubo_requests_refused_total{{function="ingest",status="{status}"}}'
        assert line in counted


def test_an_upload_outside_the_layout_is_answered(stack: Stack) -> None:
    """A file at a place where no job is gets an error document that says where files belong."""
    stack.client.put_object(Bucket=BUCKETS.input, Key="default/too/deep/voice.wav", Body=b"x")
    key = "default/too/deep/voice.wav.error.json"
    until(lambda: stack.store.exists(BUCKETS.output, key), 30, key)
    assert json.loads(stack.store.get(BUCKETS.output, key))["code"] == "bad_key"


def test_a_versioned_bucket(stack: Stack, short_voice: Path, short_face: Path) -> None:
    """With versions kept, an upload fires as ever, and one that replaces it makes a new video."""
    stack.client.put_bucket_versioning(
        Bucket=BUCKETS.input, VersioningConfiguration={"Status": "Enabled"}
    )
    for name, path in (("voice.wav", short_voice), ("face.mp4", short_face)):
        stack.client.upload_file(str(path), BUCKETS.input, f"default/versions/{name}")
    stack.wait_done("versions", "voice-face")
    key = "default/versions/voice-face.json"
    first = json.loads(stack.store.get(BUCKETS.output, key))
    again = short_voice.read_bytes() + b"junk" + (4).to_bytes(4, "little") + b"more"
    stack.client.put_object(Bucket=BUCKETS.input, Key="default/versions/voice.wav", Body=again)

    def made_again() -> bool:
        return bool(json.loads(stack.store.get(BUCKETS.output, key))["run"] != first["run"])

    until(made_again, 60, "the new video")
    stack.client.delete_object(Bucket=BUCKETS.input, Key="default/versions/voice.wav")
    assert stack.store.exists(BUCKETS.output, "default/versions/voice-face.mp4")


def _post(stack: Stack, body: bytes, headers: dict[str, str]) -> int | None:
    request = urllib.request.Request(stack.url("ingest") + "/events", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (urllib.error.URLError, ConnectionError):
        return None
