import random
from pathlib import Path

import av
import numpy as np
import pytest

from functions import documents
from functions.events import ObjectCreated
from functions.options import Options
from functions.picture import Picture
from functions.plans import source_frames
from functions.runs import Done

from .jobs import BUCKETS, VOICE_SECONDS


def decode(path: Path) -> list[Picture]:
    with av.open(str(path)) as file:
        return [Picture.unpack(frame.to_ndarray()) for frame in file.decode(video=0)]


def test_patches_become_a_video(prepared, tmp_path: Path) -> None:
    """From patches to video, poster and report; what only the making needed is gone."""
    job = prepared()
    job.run()
    assert job.names(BUCKETS.output) == {"voice-face.mp4", "voice-face.jpg", "voice-face.json"}
    left = job.names(BUCKETS.work, job.plan.keys.prefix)
    segments = {f"{index:04d}.segment.json" for index in range(3)}
    assert left == {"plan.json", "done.json", *segments}
    done = documents.load(Done, job.store.get(BUCKETS.work, job.plan.keys.done))
    assert (done.frames, done.video) == (182, "t/job/voice-face.mp4")
    assert len(decode(job.video(tmp_path / "out.mp4"))) == round(VOICE_SECONDS * 25) == 182
    assert list(job.encode.scratch.iterdir()) == []


@pytest.mark.parametrize("kind", ["ntsc", "rotated"])
def test_video_shows_the_footage_forth_and_back(prepared, clips, kind: str, tmp_path: Path) -> None:
    """Away from mask and label, output frame k looks like the source frame that its time names."""
    job = prepared(kind)
    job.run()
    shown = decode(job.video(tmp_path / "out.mp4"))
    assert len(shown) == job.plan.frames == round(VOICE_SECONDS * clips[kind].footage.rate)
    order = list(source_frames(range(len(shown)), clips[kind].footage.frames, "pingpong"))
    # The lower right of the picture has neither patch nor label.
    truths = np.stack([Picture.unpack(f).y[60:, 60:].astype(np.int16) for f in clips[kind].frames])
    for index in range(0, len(shown), 7):
        picture = shown[index].y[60:, 60:].astype(np.int16)
        error = np.abs(truths - picture).mean(axis=(1, 2))
        # Some frames of the test pattern hardly differ in this corner.
        assert error[order[index]] <= error.min() + 0.5, index
        assert error[order[index]] < np.median(error) / 2


def test_portrait_becomes_a_video(prepared, clips, tmp_path: Path) -> None:
    """A portrait lasts as long as the voice, at the rate that the plan gives it."""
    job = prepared("portrait")
    job.run()
    shown = decode(job.video(tmp_path / "out.mp4"))
    assert len(shown) == 182
    truth = Picture.unpack(clips["portrait"].frames[0])
    for picture in (shown[0], shown[181]):
        error = picture.y[60:, 80:].astype(int) - truth.y[60:, 80:]
        assert np.abs(error).mean() < 2
    assert job.report().face.kind == "portrait"


def test_label_is_shown_for_its_seconds(prepared, tmp_path: Path) -> None:
    """White text stands in the corner for the first 3 seconds, and not after them."""
    job = prepared(options=Options(label_language="en"))
    job.run()
    shown = decode(job.video(tmp_path / "out.mp4"))

    # Footage of 100 frames plays forth and back: frames k and 198 - k show the same.
    def difference(index: int) -> float:
        again = shown[198 - index].y[2:16, 110:156].astype(int)
        return float(np.abs(shown[index].y[2:16, 110:156] - again).mean())

    assert min(difference(index) for index in range(20, 75)) > 10
    assert max(difference(index) for index in range(75, 99)) < 10
    assert job.report().label.explicit == "AI-generated"


def test_events_in_any_order_and_often_make_one_video(prepared, tmp_path: Path) -> None:
    """Ten deliveries of every event, shuffled, end as one quiet run does."""
    job = prepared()
    events = [job.patches(index) for index in range(3)] + [job.part(index) for index in range(3)]
    events *= 10
    random.Random(5).shuffle(events)
    for event in [*events, job.part(1)]:
        job.encode.handle(event)
    first = job.store.head(BUCKETS.output, "t/job/voice-face.mp4")
    for event in events:
        job.encode.handle(event)
    assert job.store.head(BUCKETS.output, "t/job/voice-face.mp4") == first
    assert len(job.names(BUCKETS.output)) == 3


def test_run_that_was_killed_while_tidying_is_tidied(prepared) -> None:
    """Parts and patches that were left behind go with the next event."""
    job = prepared()
    job.run()
    job.store.put(BUCKETS.work, job.plan.keys.part(1), b"left")
    job.store.put(BUCKETS.work, job.plan.keys.part_report(1), b"left")
    job.encode.handle(job.part(1))
    assert not any(".part." in name for name in job.names(BUCKETS.work, job.plan.keys.prefix))


def test_early_part_waits_for_the_others(prepared) -> None:
    """A part makes no video while others are missing."""
    job = prepared()
    job.encode.handle(job.patches(2))
    job.encode.handle(job.part(2))
    assert job.names(BUCKETS.output) == set()
    assert {"0002.part.mp4", "0002.part.json"} <= job.names(BUCKETS.work, job.plan.keys.prefix)


@pytest.mark.parametrize("end", ["failed", "cancelled", "superseded"])
def test_ended_run_is_left_alone(prepared, end: str) -> None:
    """Nothing more is made for a run that failed or was cancelled."""
    job = prepared()
    job.store.put(BUCKETS.work, getattr(job.plan.keys, end), b"{}")
    job.run()
    assert job.names(BUCKETS.output) == set()
    assert "0000.part.mp4" not in job.names(BUCKETS.work, job.plan.keys.prefix)


def test_other_objects_are_ignored(prepared) -> None:
    """Objects of other buckets, other kinds and runs that are gone fire nothing."""
    job = prepared()
    before = job.names(BUCKETS.work)
    for bucket, key in (
        (BUCKETS.input, job.plan.keys.patches(0)),
        (BUCKETS.work, job.plan.keys.segment(0)),
        (BUCKETS.work, job.plan.keys.plan),
        (BUCKETS.work, "t/runs/gone/0000.patches.zip"),
    ):
        job.encode.handle(ObjectCreated(bucket, key))
    assert job.names(BUCKETS.work) == before
