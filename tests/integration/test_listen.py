"""`koubo up` on a MinIO: it listens, with no webhook and no server of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.ingest.face_models import FaceModels

from .embedded import Folder, Up
from .minio_server import BUCKETS, Stack


@pytest.fixture(scope="module")
def listened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A MinIO whose webhooks lead nowhere."""
    with Stack(tmp_path_factory.mktemp("listened")) as stack:
        yield stack


def test_uploads_are_heard(
    listened: Stack,
    tmp_path: Path,
    short_voice: Path,
    short_face: Path,
    face_models: FaceModels,
) -> None:
    """What is there at the start, what is uploaded meanwhile, and what came in a gap, is done."""
    listened.client.upload_file(str(short_voice), BUCKETS.input, "default/新 job +1/voice 1%.wav")
    with Up(Folder(tmp_path), {**listened.environment, "KOUBO_LOCAL_HTTP": "off"}) as up:
        up.wait_ready()
        listened.client.upload_file(str(short_face), BUCKETS.input, "default/新 job +1/脸 a+b.mp4")
        up.wait_done("新 job +1")
        assert "voice 1%-脸 a+b.mp4" in listened.outputs("新 job +1")

        listened.minio.kill()
        listened.minio.start().wait()
        # In the gap nobody listens; the new connection is a reason to look around.
        for name, path in (("v.wav", short_voice), ("f.mp4", short_face)):
            listened.client.upload_file(str(path), BUCKETS.input, f"default/gap/{name}")
        up.wait_done("gap")
        listened.client.put_object(
            Bucket=BUCKETS.input, Key="default/bad/a b.wav", Body=b"no media"
        )
        up.wait_for("refused: default/bad/a b.wav")
    assert listened.outputs("bad") == {"a b.wav.error.json"}


def test_reconcile_does_what_nobody_heard(
    listened: Stack, short_voice: Path, short_face: Path, face_models: FaceModels
) -> None:
    """With no function running, the command alone makes the videos that are due in a store."""
    for name, path in (("voice.wav", short_voice), ("face.mp4", short_face)):
        listened.client.upload_file(str(path), BUCKETS.input, f"default/late/{name}")
    young = listened.koubo("reconcile", "--older", "3600")
    assert (young.returncode, young.stdout) == (0, "")
    done = listened.koubo("reconcile", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert f"{BUCKETS.input}/default/late/voice.wav" in done.stdout
    assert listened.outputs("late") == {"voice-face.mp4", "voice-face.jpg", "voice-face.json"}
    again = listened.koubo("reconcile")
    assert (again.returncode, again.stdout) == (0, "")
