"""Runs over HTTP on a real MinIO: every function a process of its own, wired by webhooks."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from functions.ingest.face_models import FaceModels

from .minio_server import BUCKETS, Process, Stack, free_port, until

AUTHORIZATION = {"Authorization": "Bearer of-default"}


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, face_models: FaceModels
) -> Iterator[tuple[httpx.Client, Stack]]:
    """MinIO, the functions, and the gateway as its image starts it."""
    folder = tmp_path_factory.mktemp("minio-http")
    port = free_port()
    with Stack(folder) as stack:
        stack.start_functions()
        environment = {
            **stack.environment,
            "UVICORN_PORT": str(port),
            "KOUBO_GATEWAY_TOKENS": json.dumps({"of-default": "default", "of-other": "other"}),
        }
        url = f"http://127.0.0.1:{port}"
        gateway = Process(
            [sys.executable, "-m", "uvicorn", "functions.gateway.main:app"],
            environment,
            folder / "gateway.log",
            f"{url}/readyz",
        )
        gateway.start()
        try:
            gateway.wait()
            with httpx.Client(
                base_url=url, headers=AUTHORIZATION, timeout=60, trust_env=False
            ) as client:
                yield client, stack
        finally:
            gateway.kill()


def upload(client: httpx.Client, path: Path) -> str:
    """Sends a file straight into MinIO, by the link that the gateway gives."""
    place = client.post("/v1/uploads", json={"file": f"新闻 +1 {path.name}"}).json()
    assert place["presigned"]
    with httpx.Client(trust_env=False) as plain:
        sent = plain.put(place["url"], content=path.read_bytes())
    assert sent.status_code == 200, sent.text
    return place["upload"]


def last_event(client: httpx.Client, run: str) -> str:
    with client.stream("GET", f"/v1/runs/{run}/events", timeout=120) as stream:
        return [line for line in stream.iter_lines() if line.startswith("data: ")][-1]


def test_presigned_from_upload_to_result(
    served: tuple[httpx.Client, Stack], short_voice: Path, short_face: Path
) -> None:
    """Files go into the store and the video comes out of it by links; removed, nothing is left."""
    client, stack = served
    body = {
        "voice": {"upload": upload(client, short_voice)},
        "faces": [{"upload": upload(client, short_face)}],
    }
    key = {"Idempotency-Key": "once"}
    accepted = client.post("/v1/runs", json=body, headers=key)
    assert accepted.status_code == 201, accepted.text
    assert client.post("/v1/runs", json=body, headers=key).json() == accepted.json()
    run = accepted.json()["runs"][0]["id"]
    assert '"phase":"done"' in last_event(client, run)
    answer = client.get(f"/v1/runs/{run}/result")
    assert answer.status_code == 307
    with httpx.Client(trust_env=False) as plain:
        video = plain.get(answer.headers["Location"], headers={"Range": "bytes=0-15"})
    assert video.status_code == 206
    assert b"ftyp" in video.content
    other = {"Authorization": "Bearer of-other"}
    assert client.get(f"/v1/runs/{run}", headers=other).status_code == 404
    assert client.delete(f"/v1/runs/{run}").status_code == 204
    request = accepted.json()["request"]
    for bucket in (BUCKETS.input, BUCKETS.output):
        assert not [e.key for e in stack.store.entries(bucket, "default") if request in e.key]
    work = [e.key for e in stack.store.entries(BUCKETS.work, "default") if request in e.key]
    assert work == []


def test_a_form_of_many_parts(served: tuple[httpx.Client, Stack], tmp_path: Path) -> None:
    """A form larger than one part of an upload lies in the store whole."""
    client, stack = served
    big = tmp_path / "big.mp4"
    with big.open("wb") as file:
        file.truncate(100 << 20)
    with big.open("rb") as file:
        files = {"voice": ("v.wav", b"v"), "faces": ("big.mp4", file)}
        answer = client.post("/v1/runs", files=files)
    assert answer.status_code == 201, answer.text
    face = answer.json()["runs"][0]["inputs"]["face"]
    assert stack.store.head(BUCKETS.input, face).size == 100 << 20
    run = answer.json()["runs"][0]["id"]
    until(lambda: client.get(f"/v1/runs/{run}").json()["phase"] == "failed", 60, "a refusal")
    assert client.get(f"/v1/runs/{run}").json()["error"]["fix"]


def test_cancel_on_a_store(
    served: tuple[httpx.Client, Stack], voice_file: Path, short_face: Path
) -> None:
    """A run that is cancelled while its functions work stops, and tried again is made."""
    client, _ = served
    files = {
        "voice": ("voice.flac", voice_file.read_bytes()),
        "faces": ("face.mp4", short_face.read_bytes()),
    }
    run = client.post("/v1/runs", files=files).json()["runs"][0]["id"]
    until(lambda: client.get(f"/v1/runs/{run}").json()["phase"] == "inferring", 60, "inferring")
    assert client.post(f"/v1/runs/{run}/cancel").json()["phase"] == "cancelled"
    assert '"phase":"cancelled"' in last_event(client, run)
    assert client.post(f"/v1/runs/{run}/retry").json()["phase"] != "cancelled"
    assert '"phase":"done"' in last_event(client, run)
