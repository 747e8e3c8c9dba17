import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.encode.source import SourceFrames, is_forward, seek_times, stretches
from functions.errors import RetryableError
from functions.plans import source_frames

KINDS = ["cfr", "ntsc", "vfr", "bframes", "stream", "odd", "rotated"]


def assert_exact(clip, order: Sequence[int], scratch: Path, scratch_bytes: int = 1 << 30) -> None:
    source = SourceFrames(clip.path, clip.footage, clip.frame_map, scratch, scratch_bytes)
    shown = 0
    for frame, picture in zip(order, source.pictures(order), strict=True):
        assert np.array_equal(picture.packed(), clip.frames[frame]), frame
        shown += 1
    assert shown == len(order)
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_segments_read_the_frames_of_a_whole_pass(clips, kind: str, tmp_path: Path) -> None:
    """Wherever a segment starts, its frames are those of a decode from the beginning."""
    clip = clips[kind]
    for first in range(0, clip.footage.frames, 13):
        order = range(first, min(first + 20, clip.footage.frames))
        assert_exact(clip, order, tmp_path)


@pytest.mark.parametrize("loop", ["pingpong", "restart"])
@pytest.mark.parametrize("kind", KINDS)
def test_loops_show_the_right_frames(clips, kind: str, loop: str, tmp_path: Path) -> None:
    """Forth and back, or from the start again: each frame is the one that the order names."""
    clip = clips[kind]
    frames = clip.footage.frames
    order = list(source_frames(range(frames - 9, frames * 2 + 11), frames, loop))
    assert_exact(clip, order, tmp_path)


def test_little_scratch_is_enough(clips, tmp_path: Path) -> None:
    """Room for a few raw frames only costs time."""
    clip = clips["bframes"]
    order = list(source_frames(range(60, 150), clip.footage.frames, "pingpong"))
    assert_exact(clip, order, tmp_path, scratch_bytes=1)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each example tidies up
)
@given(order=st.lists(st.integers(0, 99), min_size=1, max_size=40))
def test_any_order_is_exact(clips, tmp_path: Path, order: list[int]) -> None:
    """The reader does not rely on the orders that loops make."""
    assert_exact(clips["bframes"], order, tmp_path, scratch_bytes=30 * 160 * 135)


def test_very_short_footage_is_decoded_once_a_segment(clips, tmp_path: Path, monkeypatch) -> None:
    """Two frames played forth and back for a segment open the file once, not a hundred times."""
    import functions.encode.source as module

    opened: list[Path] = []
    real = module.open_video

    def counted(path: Path):
        opened.append(path)
        return real(path)

    monkeypatch.setattr(module, "open_video", counted)
    assert_exact(clips["cfr"], [0, 1] * 100, tmp_path)
    assert len(opened) == 1


def test_changed_frame_is_named(clips, tmp_path: Path) -> None:
    """A frame that is not the one analysed is an error that names it, at any place."""
    clip = clips["cfr"]
    marks = clip.frame_map.checksums.copy()
    marks[70] ^= 1
    source = SourceFrames(
        clip.path, clip.footage, dataclasses.replace(clip.frame_map, checksums=marks), tmp_path
    )
    with pytest.raises(RetryableError, match="frame 70 of the footage"):
        list(source.pictures(range(60, 80)))
    assert len(list(source.pictures(range(71, 80)))) == 9


def test_frame_that_is_missing_is_named(clips, tmp_path: Path) -> None:
    """A file that ends before the analysed footage did is an error."""
    clip = clips["cfr"]
    later = clip.frame_map.pts.copy()
    later[99] += 10_000_000
    source = SourceFrames(
        clip.path, clip.footage, dataclasses.replace(clip.frame_map, pts=later), tmp_path
    )
    with pytest.raises(RetryableError, match="frame 99 of the footage"):
        list(source.pictures(range(90, 100)))


def test_seek_that_misleads_falls_back_to_a_whole_pass(clips, tmp_path: Path, monkeypatch) -> None:
    """Where a container's index leads past the frame, the frames are still exact."""
    import functions.encode.source as module

    clip = clips["bframes"]
    monkeypatch.setattr(module, "seek_times", lambda frames, frame: [int(frames.pts[80]), None])
    assert_exact(clip, range(50, 70), tmp_path)


def test_portrait_is_shown_again_and_again(clips, tmp_path: Path) -> None:
    """A portrait is footage of one frame, as often as the voice needs it."""
    assert_exact(clips["portrait"], [0] * 5, tmp_path)


def test_changed_portrait_is_noticed(clips, tmp_path: Path) -> None:
    """A portrait that reads differently from how it was analysed is an error."""
    clip = clips["portrait"]
    marks = clip.frame_map.checksums ^ 1
    source = SourceFrames(
        clip.path, clip.footage, dataclasses.replace(clip.frame_map, checksums=marks), tmp_path
    )
    with pytest.raises(RetryableError, match="frame 0 of the footage"):
        list(source.pictures([0]))


@given(st.lists(st.integers(0, 60), max_size=80), st.integers(1, 40))
def test_stretches_are_forward_or_small(order: list[int], kept: int) -> None:
    """Cutting an order loses nothing, and every piece can be read in one pass and kept."""
    pieces = list(stretches(order, kept))
    assert [frame for piece in pieces for frame in piece] == order
    for piece in pieces:
        assert piece
        assert is_forward(piece) or max(piece) - min(piece) < kept


def test_seek_tries_the_last_keyframe_then_the_one_before_then_the_start(clips) -> None:
    """Little is decoded for nothing, and an open GOP or a wrong index costs time only."""
    frame_map = clips["cfr"].frame_map
    first, second, third = (int(frame_map.pts[frame]) for frame in (12, 24, 36))
    assert [seek_times(frame_map, frame) for frame in (0, 11)] == [[None]] * 2
    assert seek_times(frame_map, 12) == seek_times(frame_map, 23) == [first, None]
    assert seek_times(frame_map, 24) == [second, first, None]
    assert seek_times(frame_map, 40) == [third, second, None]
