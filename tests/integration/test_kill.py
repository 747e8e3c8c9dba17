"""`koubo up`, killed at any moment and started again: nothing is lost, broken or left behind."""

import hashlib
import json
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import psutil
import pytest

from functions.ingest.face_models import FaceModels

from .embedded import Folder, Up, until

JOB = "job"
LONGEST = 3.0
"""Seconds; what an undisturbed run takes from the moment at which a worker has started."""


def _drop(folder: Folder, voice: Path, face: Path) -> None:
    folder.drop(JOB, "voice.wav", voice)
    folder.drop(JOB, "face.mp4", face)


def _hashes(video: Path) -> dict[str, list[str]]:
    """Of every decoded frame, picture and sound."""
    found = {}
    for kind in ("video", "audio"):
        with av.open(str(video)) as container:
            frames = container.decode(container.streams.get(**{kind: 0}))
            found[kind] = [hashlib.sha256(frame.to_ndarray()).hexdigest() for frame in frames]
    return found


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory,
    face_models: FaceModels,
    short_voice: Path,
    short_face: Path,
) -> dict[str, list[str]]:
    """The frames of a run that nobody disturbs."""
    folder = Folder(tmp_path_factory.mktemp("undisturbed"))
    _drop(folder, short_voice, short_face)
    with Up(folder) as up:
        up.wait_done(JOB)
    hashes = _hashes(folder.output(JOB, "voice-face.mp4"))
    assert len(hashes["video"]) == 75
    return hashes


def _finish(folder: Folder) -> None:
    """Starts once more and lets the run finish; it may have finished before."""
    with Up(folder) as up:
        up.wait_ready()
        if not _is_done(folder):
            up.wait_done(JOB)
        assert until(lambda: not _unfinished(folder), 30), _unfinished(folder)


def _is_done(folder: Folder) -> bool:
    return any(folder.root.glob("koubo-work/default/runs/*/done.json"))


def _check(folder: Folder, undisturbed: dict[str, list[str]]) -> None:
    """The run has the undisturbed run's frames, and nothing half-made lies about."""
    output = {f"default/{JOB}/voice-face{suffix}" for suffix in (".mp4", ".jpg", ".json")}
    assert folder.files("koubo-output") == output
    assert _hashes(folder.output(JOB, "voice-face.mp4")) == undisturbed
    report = json.loads(folder.output(JOB, "voice-face.json").read_bytes())
    video = folder.output(JOB, "voice-face.mp4").read_bytes()
    assert report["video"]["sha256"] == hashlib.sha256(video).hexdigest()
    assert not [name for name in folder.files("koubo-work") if "#" in name]
    assert len(list(folder.root.glob("koubo-work/default/runs/*/plan.json"))) == 1
    assert not list(folder.root.glob("koubo-work/default/runs/*/failed.json"))
    assert not list(folder.root.glob("koubo-work/default/dead/**/*.json"))
    assert not _unfinished(folder)


def _unfinished(folder: Folder) -> list[Path]:
    """Files in the making; a run's last ones go shortly after it is done."""
    own = folder.root / ".koubo"
    files = [path for path in (own / "scratch").rglob("*") if path.is_file()]
    return [*files, *own.glob("inputs/held-*")]


def _kill_at(folder: Folder, delay: float, *, at_work: bool) -> None:
    """Starts, waits, and kills the process alone; what it had started has to end by itself."""
    with Up(folder) as up:
        if at_work:
            up.wait_ready()
            # Each worker makes its folder when it starts; those of the last start are swept.
            assert until(lambda: any((folder.root / ".koubo" / "scratch").iterdir()), 60)
        try:
            up.process.wait(delay)
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            return  # leaving the context kills
    raise AssertionError("ended by itself:\n" + "\n".join(up.lines))


def _moments(count: int) -> Iterator[tuple[float, bool]]:
    """Delays: every fourth counts from the process's very start, the others from a worker's."""
    chosen = random.Random(count)
    for index in range(count):
        yield chosen.uniform(0.05, LONGEST), index % 4 != 3


@pytest.mark.parametrize("kills", [6, pytest.param(30, marks=pytest.mark.slow)])
def test_killed_at_random_moments(
    kills: int,
    tmp_path: Path,
    undisturbed: dict[str, list[str]],
    short_voice: Path,
    short_face: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Every run finishes with the undisturbed run's frames, whatever moments it was killed at."""
    folders = []
    for delay, at_work in _moments(kills):
        if not folders or _is_done(folders[-1]):
            folders.append(Folder(tmp_path / f"data-{len(folders)}"))
            _drop(folders[-1], short_voice, short_face)
        _kill_at(folders[-1], delay, at_work=at_work)
    record_property("runs that the kills fell on", len(folders))
    for folder in folders:
        _finish(folder)
        _check(folder, undisturbed)


def test_leftovers_of_killed_writers_are_swept(
    tmp_path: Path, undisturbed: dict[str, list[str]], short_voice: Path, short_face: Path
) -> None:
    """What a writer leaves that dies within a write goes away at the next start."""
    folder = Folder(tmp_path)
    _drop(folder, short_voice, short_face)
    left = (
        f"koubo-output/default/{JOB}/voice-face.mp4#1",
        "koubo-work/default/runs/r/0001.patches.zip#12",
        ".koubo/scratch/encode-x/0000.mp4",
        ".koubo/inputs/held-1-a",
    )
    for name in left:
        path = folder.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    with Up(folder) as up:
        up.wait_done(JOB)
        assert until(lambda: not _unfinished(folder), 30), _unfinished(folder)
    assert [name for name in left if (folder.root / name).exists()] == []
    _check(folder, undisturbed)


def test_worker_that_dies_is_replaced(
    tmp_path: Path, undisturbed: dict[str, list[str]], short_voice: Path, short_face: Path
) -> None:
    """A worker killed at its work costs an attempt; another one finishes the run."""
    folder = Folder(tmp_path)
    with Up(folder) as up:
        up.wait_ready()
        _drop(folder, short_voice, short_face)
        up.wait_for("frames: ")
        busy = max(up.process.children(), key=lambda child: sum(child.cpu_times()[:2]))
        busy.kill()
        up.wait_done(JOB)
        assert up.still_runs(0)
    _check(folder, undisturbed)
