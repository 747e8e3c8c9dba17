"""Events that come twice, ten times, in any order: everything is made once."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from functions.ingest.face_models import FaceModels

from .embedded import Up, until
from .in_process import BUCKETS, Chain, build

TIMES = 10


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    """The log of what runs in this process."""
    before, capture = structlog.get_config(), LogCapture()
    structlog.configure(processors=[capture])
    yield capture.entries
    structlog.configure(**before)


def _count(lines: list[Any], event: str) -> int:
    return sum(line["event"] == event for line in lines)


def _shape(chain: Chain) -> dict[str, tuple[int, str | None]]:
    """Size and tag (which changes with every write) of all that was analysed and put out."""
    kept = {}
    for bucket in (BUCKETS.work, BUCKETS.output):
        for entry in chain.store.entries(bucket, ""):
            if "/runs/" not in entry.key or entry.key.endswith(("plan.json", "done.json")):
                kept[entry.key] = (entry.size, entry.etag)
    return kept


@pytest.mark.parametrize("seed", [1, 2])
def test_every_event_ten_times_in_any_order(
    seed: int,
    tmp_path: Path,
    face_models: FaceModels,
    short_voice: Path,
    short_face: Path,
    lines: list[Any],
) -> None:
    """Ten copies of each event, shuffled with what they bring: one analysis, one of each part."""
    chain = build(tmp_path / "data", face_models)
    chain.drop("job", "voice.wav", short_voice)
    chain.drop("job", "face.mp4", short_face)
    order, waiting = random.Random(seed), chain.new_events() * TIMES
    while waiting:
        chain.deliver(waiting.pop(order.randrange(len(waiting))))
        waiting += chain.new_events() * TIMES
    [plan] = chain.plans()
    segments = plan.segments
    assert segments == 1  # 3 s in pieces of 8
    assert len(chain.handled) == TIMES * (2 + 3 * segments)
    assert _count(lines, "ingest.analysed") == 2
    assert _count(lines, "infer.rendered") == segments
    assert _count(lines, "encode.part_made") == segments
    assert _count(lines, "encode.video_made") == 1
    names = sorted(entry.key for entry in chain.store.entries(BUCKETS.output, ""))
    assert names == [f"default/job/voice-face{suffix}" for suffix in (".jpg", ".json", ".mp4")]


def test_events_after_the_end_change_nothing(
    tmp_path: Path, face_models: FaceModels, short_voice: Path, short_face: Path, lines: list[Any]
) -> None:
    """A finished run's events, delivered again, write no object again."""
    chain = build(tmp_path / "data", face_models)
    chain.make("job", short_voice, short_face)
    before, logged = _shape(chain), len(lines)
    for event in random.Random(3).sample(chain.handled * TIMES, TIMES * len(chain.handled)):
        chain.deliver(event)
    assert _shape(chain) == before
    assert [line["event"] for line in lines[logged:]] == []


def test_files_dropped_twice(up: Up, short_voice: Path, short_face: Path) -> None:
    """The same files dropped again, one under another name too: seen, but nothing is made again."""
    folder = up.folder
    folder.drop("twice", "voice.wav", short_voice)
    folder.drop("twice", "face.mp4", short_face)
    up.wait_done("twice")
    output, analysis = _stamps(folder.output("twice")), _stamps(folder.root / "koubo-work/default")
    analysed = len(folder.log("ingest.analysed"))
    voices, faces = (
        len(folder.log("local.handled", key=f"default/twice/{name}"))
        for name in ("voice.wav", "face.mp4")
    )
    folder.drop("twice", "voice.wav", short_voice)
    folder.drop("twice", "face.mp4", short_face)
    assert until(
        lambda: (
            len(folder.log("local.handled", key="default/twice/voice.wav")) > voices
            and len(folder.log("local.handled", key="default/twice/face.mp4")) > faces
        ),
        30,
    )
    assert len(folder.log("ingest.analysed")) == analysed
    assert _stamps(folder.output("twice")) == output
    after = _stamps(folder.root / "koubo-work/default")
    assert {path: after[path] for path in analysis} == analysis
    assert all("/uploads/" in path for path in after.keys() - analysis.keys())


def _stamps(top: Path) -> dict[str, tuple[int, int]]:
    files = [path for path in top.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in files}


def test_second_voice_decodes_no_footage(
    up: Up, short_voice: Path, short_face: Path, tmp_path: Path
) -> None:
    """Another voice on the same footage: ingest reads the footage's digest and no frame of it."""
    folder = up.folder
    folder.drop("first", "voice.wav", short_voice)
    folder.drop("first", "face.mp4", short_face)
    up.wait_done("first")
    documents = _stamps(folder.root / "koubo-work/default/footage")
    other = tmp_path / "other.wav"
    shutil.copyfile(short_voice, other)
    with other.open("ab") as file:
        file.write(bytes(16_000))  # another digest; the header still says 3 s
    folder.drop("second", "other.wav", other)
    folder.drop("second", "again.mp4", short_face)
    up.wait_done("second")
    assert folder.log("ingest.analysed", key="default/second/other.wav")
    assert not folder.log("ingest.analysed", key="default/second/again.mp4")
    assert _stamps(folder.root / "koubo-work/default/footage") == documents
    handled = folder.log("local.handled", key="default/second/again.mp4")
    assert sum(line["cpu_seconds"] for line in handled) < 0.1
