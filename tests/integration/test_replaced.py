"""Footage and voices that are overwritten or deleted while their run is going."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo import sample_face
from functions.ingest.face_models import FaceModels
from functions.layout import active_prefix
from functions.storage import Store

from .embedded import Folder, Up, koubo, until
from .minio_server import BUCKETS, Stack

SLOW = {"KOUBO_LOCAL_WORKERS": "1", "KOUBO_LOCAL_SETTLE_SECONDS": "0.1"}
VIDEO = "voice-face"


@pytest.fixture(scope="module")
def other_face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other footage than `short_face`, which makes a video of another size."""
    return sample_face.clip(tmp_path_factory.mktemp("other") / "face.mp4", 1.0, (256, 192))


@pytest.fixture(scope="module")
def some_voice(
    tmp_path_factory: pytest.TempPathFactory, voice_file: Path, ffmpeg: Callable[..., Path]
) -> Path:
    """Long enough for a run to have a middle: 5 seconds, and as many segments."""
    return ffmpeg("-i", voice_file, "-t", 5, tmp_path_factory.mktemp("some") / "voice.wav")


def report(store: Store, job: str) -> dict[str, object]:
    return json.loads(store.get(BUCKETS.output, f"default/{job}/{VIDEO}.json"))


def outputs(store: Store, job: str) -> set[str]:
    found = store.entries(BUCKETS.output, f"default/{job}")
    return {entry.key.rpartition("/")[2] for entry in found}


def has_patches(store: Store, job: str) -> bool:
    """Whether the run of a job, the only one that is going, is in its middle."""
    names = [entry.key for entry in store.entries(BUCKETS.work, "default/runs")]
    return any(name.endswith(".patches.zip") for name in names)


WHOLE = {f"{VIDEO}.mp4", f"{VIDEO}.jpg", f"{VIDEO}.json"}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.mark.parametrize("name", ["face.mp4", "voice.wav"])
def test_replaced_in_a_folder(
    folder: Folder,
    face_models: FaceModels,
    some_voice: Path,
    short_voice: Path,
    short_face: Path,
    other_face: Path,
    name: str,
) -> None:
    """The run ends as superseded, without an error or a retry; what lies there is made."""
    store = Store.folder(folder.root)
    with Up(folder, SLOW) as up:
        up.wait_ready()
        folder.drop("job", "voice.wav", some_voice)
        folder.drop("job", "face.mp4", short_face)
        assert until(lambda: has_patches(store, "job"), 60)
        folder.drop("job", name, other_face if name == "face.mp4" else short_voice)
        up.wait_for("done: ", f"{VIDEO}.mp4", seconds=90)
        assert any(line.startswith("superseded: ") for line in up.lines)
        assert not [line for line in up.lines if "will try again" in line or "failed" in line]
    assert outputs(store, "job") == WHOLE
    made = report(store, "job")
    width, frames = (256, 125) if name == "face.mp4" else (320, 75)
    assert (made["video"]["width"], made["video"]["frames"]) == (width, frames)  # type: ignore[index]
    listed = koubo("status", "--data", folder.root, "--json").stdout.splitlines()
    phases = {json.loads(line)["run"]: json.loads(line)["phase"] for line in listed}
    assert sorted(phases.values()) == ["done", "superseded"]
    assert phases[str(made["run"])] == "done"
    assert not list(store.entries(BUCKETS.work, "default/dead"))


@pytest.mark.parametrize("name", ["face.mp4", "voice.wav"])
def test_deleted_from_a_folder(
    folder: Folder, face_models: FaceModels, some_voice: Path, short_face: Path, name: str
) -> None:
    """The run is refused at once, in words; put back, the file gets its video and the words go."""
    store = Store.folder(folder.root)
    content = {"voice.wav": some_voice, "face.mp4": short_face}
    with Up(folder, SLOW) as up:
        up.wait_ready()
        for file, path in content.items():
            folder.drop("job", file, path)
        assert until(lambda: has_patches(store, "job"), 60)
        (folder.root / "koubo-input" / "default" / "job" / name).unlink()
        told = up.wait_for("failed: ", "was taken away", seconds=60)
        assert f"default/job/{name}" in told
        error = folder.error("job", VIDEO)
        assert (error["code"], error["fix"]) == (
            "taken_away",
            "Upload the file again; its video is made then.",
        )
        assert not folder.log("chain.failed"), "nothing was tried twice"
        folder.drop("job", name, content[name])
        up.wait_for("done: ", f"{VIDEO}.mp4", seconds=90)
    assert outputs(store, "job") == WHOLE


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, face_models: FaceModels) -> Iterator[Stack]:
    """MinIO and the functions; events that are lost are found within a second."""
    settings = {"KOUBO_EVENTS_STALE_SECONDS": "0", "KOUBO_EVENTS_RECONCILE_SECONDS": "1"}
    with Stack(tmp_path_factory.mktemp("replaced"), settings) as running:
        yield running.start_functions()


def upload(stack: Stack, job: str, name: str, path: Path) -> None:
    stack.client.upload_file(str(path), BUCKETS.input, f"default/{job}/{name}")


def phases(stack: Stack, job: str) -> dict[str, str]:
    """The job's runs and how they are."""
    lines = [json.loads(line) for line in stack.koubo("status", "--json").stdout.splitlines()]
    runs = [
        line for line in lines if "run" in line and line["output"].startswith(f"default/{job}/")
    ]
    return {line["run"]: line["phase"] for line in runs}


def is_quiet(stack: Stack) -> bool:
    """Whether no run is going."""
    return not list(stack.store.entries(BUCKETS.work, active_prefix("default")))


def test_replaced_on_minio(
    stack: Stack, some_voice: Path, short_face: Path, other_face: Path
) -> None:
    """Three contents of one name in a row: the last one's video is there, and nothing else is."""
    job = "replaced"
    upload(stack, job, "voice.wav", some_voice)
    upload(stack, job, "face.mp4", short_face)
    assert until(lambda: has_patches(stack.store, job), 60)
    upload(stack, job, "face.mp4", other_face)
    upload(stack, job, "face.mp4", short_face)
    stack.wait_done(job, VIDEO)
    assert until(lambda: is_quiet(stack), 60)
    assert outputs(stack.store, job) == WHOLE
    made = report(stack.store, job)
    assert made["video"]["width"] == 320  # type: ignore[index]
    found = phases(stack, job)
    assert found.pop(str(made["run"])) == "done"
    assert set(found.values()) <= {"superseded"}
    assert not list(stack.store.entries(BUCKETS.work, "default/dead"))


@pytest.mark.slow
def test_replaced_and_back_on_minio(
    stack: Stack, some_voice: Path, short_face: Path, other_face: Path
) -> None:
    """The first content again, once the second one's video is there: it gets its video back."""
    job = "back"
    upload(stack, job, "voice.wav", some_voice)
    upload(stack, job, "face.mp4", short_face)
    assert until(lambda: has_patches(stack.store, job), 60)
    upload(stack, job, "face.mp4", other_face)

    def width(wanted: int) -> bool:
        return VIDEO + ".json" in outputs(stack.store, job) and (
            report(stack.store, job)["video"]["width"] == wanted  # type: ignore[index]
        )

    assert until(lambda: width(256), 90)
    assert sorted(phases(stack, job).values()) == ["done", "superseded"]
    upload(stack, job, "face.mp4", short_face)
    assert until(lambda: width(320), 90)
    assert outputs(stack.store, job) == WHOLE


def test_deleted_on_minio(stack: Stack, some_voice: Path, short_face: Path) -> None:
    """Refused at once; the same content uploaded again, with the same ETag, is made."""
    job = "deleted"
    upload(stack, job, "voice.wav", some_voice)
    upload(stack, job, "face.mp4", short_face)
    assert until(lambda: has_patches(stack.store, job), 60)
    stack.store.delete(BUCKETS.input, f"default/{job}/face.mp4")
    error = f"default/{job}/{VIDEO}.error.json"
    assert until(lambda: stack.store.exists(BUCKETS.output, error), 60)
    assert json.loads(stack.store.get(BUCKETS.output, error))["code"] == "taken_away"
    upload(stack, job, "face.mp4", short_face)
    assert until(lambda: outputs(stack.store, job) == WHOLE, 90)


@pytest.mark.slow
def test_a_version_is_taken_back_on_minio(
    stack: Stack, some_voice: Path, short_face: Path, other_face: Path
) -> None:
    """Removing the newest version brings back the one before; its video is made, untold."""
    job = "versions"
    stack.client.put_bucket_versioning(
        Bucket=BUCKETS.input, VersioningConfiguration={"Status": "Enabled"}
    )
    upload(stack, job, "voice.wav", some_voice)
    upload(stack, job, "face.mp4", other_face)
    stack.wait_done(job, VIDEO)
    # The video is there before the first run's patches are tidied away.
    assert until(lambda: not has_patches(stack.store, job), 60)
    upload(stack, job, "face.mp4", short_face)
    assert until(lambda: has_patches(stack.store, job), 60)
    key = f"default/{job}/face.mp4"
    listed = stack.client.list_object_versions(Bucket=BUCKETS.input, Prefix=key)["Versions"]
    (newest,) = [version["VersionId"] for version in listed if version["IsLatest"]]
    stack.client.delete_object(Bucket=BUCKETS.input, Key=key, VersionId=newest)
    assert until(lambda: "superseded" in phases(stack, job).values(), 60)
    assert until(lambda: is_quiet(stack), 60)
    assert outputs(stack.store, job) == WHOLE
    assert report(stack.store, job)["video"]["width"] == 256  # type: ignore[index]
