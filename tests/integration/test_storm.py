"""Nothing is lost and nothing is made twice, whatever happens to events, functions and MinIO."""

import hashlib
import random
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import av
import pytest

from functions.ingest.face_models import FaceModels

from .minio_server import BUCKETS, FUNCTIONS, TOKEN, Stack, free_port
from .storm import BadNetwork

RECONCILE = {"KOUBO_EVENTS_RECONCILE_SECONDS": "1", "KOUBO_EVENTS_STALE_SECONDS": "0"}


@pytest.mark.parametrize(
    ("jobs", "kills", "pauses"),
    [(3, 3, 2.5), pytest.param(20, 30, 5.0, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])],
)
def test_storm(
    tmp_path: Path,
    short_voice: Path,
    short_face: Path,
    face_models: FaceModels,
    jobs: int,
    kills: int,
    pauses: float,
) -> None:
    """Every run ends with one output, equal in frames to an undisturbed run's.

    A third of the events is lost, the others come five times and shuffled; each function is killed
    at random points, and MinIO once in the middle.
    """
    with ExitStack() as entered:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        ports = {name: free_port() for name in FUNCTIONS}
        networks = {
            name: entered.enter_context(
                BadNetwork(f"http://127.0.0.1:{ports[name]}/events", headers, seed)
            )
            for seed, name in enumerate(FUNCTIONS)
        }
        through = {f"KOUBO_{name.upper()}_URL": net.url for name, net in networks.items()}
        stack = Stack(tmp_path / "minio", {**RECONCILE, **through}, ports)
        entered.enter_context(stack).start_functions()
        names = [f"job-{number:02d}" for number in range(jobs)]
        drops = [lambda job=job: _drop(stack, job, short_voice, short_face) for job in names]
        _rage(stack, kills, pauses, drops)
        videos = {job: _video(stack, job, tmp_path) for job in names}
        made = {
            entry.key.split("/")[2] for entry in stack.store.entries(BUCKETS.work, "default/runs")
        }
        assert len(made) == jobs
        assert sum(net.counted["lost"] for net in networks.values()) > 0
        assert sum(net.counted["delivered"] for net in networks.values()) > 0
        _drop(stack, "calm", short_voice, short_face)
        calm = _video(stack, "calm", tmp_path)
    assert len(calm) == 75
    for job, frames in videos.items():
        assert frames == calm, job


def _rage(stack: Stack, kills: int, longest: float, drops: list[Callable[[], None]]) -> None:
    """Kills each function so often, at random points, and MinIO once, while files are dropped."""
    chance = random.Random(5)
    victims = [name for name in FUNCTIONS for _ in range(kills)]
    chance.shuffle(victims)
    pause, total = threading.Event(), len(drops)
    for number, name in enumerate(victims):
        while drops and len(drops) * len(victims) >= (len(victims) - number) * total:
            drops.pop()()
        pause.wait(chance.uniform(0.3, longest))
        if number == len(victims) // 2:
            stack.minio.kill()
            stack.minio.start().wait()
        stack.functions[name].kill()
        stack.functions[name].start()
    for process in stack.functions.values():
        process.wait()


def _drop(stack: Stack, job: str, voice: Path, face: Path) -> None:
    # A chunk that players pass over makes each file a new one, which is analysed anew.
    mark = job.encode().ljust(8)
    for name, content in (
        ("voice.wav", voice.read_bytes() + b"junk" + len(mark).to_bytes(4, "little") + mark),
        ("face.mp4", face.read_bytes() + (8 + len(mark)).to_bytes(4, "big") + b"free" + mark),
    ):
        stack.client.put_object(Bucket=BUCKETS.input, Key=f"default/{job}/{name}", Body=content)


def _video(stack: Stack, job: str, folder: Path) -> list[str]:
    """A digest of each frame of a job's video, which must be its only output."""
    outputs = stack.wait_done(job, "voice-face", seconds=240)
    assert outputs == {"voice-face.mp4", "voice-face.jpg", "voice-face.json"}
    path = folder / f"{job}.mp4"
    stack.store.download(BUCKETS.output, f"default/{job}/voice-face.mp4", path)
    with av.open(str(path)) as container:
        return [
            hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest()
            for frame in container.decode(video=0)
        ]
