import dataclasses
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.encode.composite import touched
from functions.encode.label import render_label
from functions.encode.segment import VideoFormat, compose, encode_segment, encoder_command
from functions.encode.source import SourceFrames
from functions.errors import RetryableError
from functions.options import Label
from functions.picture import Colour, Picture

from .clips import LIMITS, make_patches

PLAIN = VideoFormat(160, 90, Fraction(25), Colour(), "standard")
KINDS = ["cfr", "ntsc", "vfr", "bframes", "rotated"]


def ramp(video: VideoFormat, count: int) -> Iterator[bytes]:
    """Frames that differ, with every luma value from 0 to 255 in them."""
    size = video.width * video.height
    luma = np.resize(np.arange(256, dtype=np.uint8).repeat(8), size)
    chroma = np.full(size // 2, 128, np.uint8)
    for index in range(count):
        yield np.roll(luma, index * 8).tobytes() + chroma.tobytes()


def decode(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as file:
        return list(file.decode(video=0))


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(60), Fraction(1)])
def test_every_frame_is_there_at_its_time(rate: Fraction, tmp_path: Path) -> None:
    """The part has each frame once, at whole multiples of a step that divides the timescale."""
    video = dataclasses.replace(PLAIN, rate=rate)
    part = tmp_path / "part.mp4"
    encode_segment(ramp(video, 33), 33, part, video, limits=LIMITS)
    frames = decode(part)
    assert [frame.pts for frame in frames] == [index * video.step for index in range(33)]
    assert frames[0].time_base == Fraction(1, video.timescale)


@given(st.integers(1, 120_000), st.sampled_from([1, 2, 1000, 1001]))
def test_frames_last_whole_ticks(numerator: int, denominator: int) -> None:
    """At any rate, a frame is a whole number of ticks, and a tick is short."""
    rate = Fraction(numerator, denominator)
    video = dataclasses.replace(PLAIN, rate=rate)
    assert Fraction(video.timescale, video.step) == rate
    assert video.timescale >= 10_000


def test_known_rates_have_the_usual_timescales() -> None:
    """25 and 29.97 frames a second get what joining was measured with."""
    ticks = {
        rate: (video.timescale, video.step)
        for rate in (Fraction(25), Fraction(30000, 1001))
        for video in [dataclasses.replace(PLAIN, rate=rate)]
    }
    assert ticks == {Fraction(25): (12800, 512), Fraction(30000, 1001): (30000, 1001)}


@pytest.mark.parametrize("full", [False, True])
def test_numbers_and_tags_pass_through(full: bool, tmp_path: Path) -> None:
    """No range or matrix is converted, and the file says what its numbers mean."""
    colour = Colour("bt601", full_range=full, primaries="smpte170m", transfer="smpte170m")
    video = dataclasses.replace(PLAIN, width=256, height=64, colour=colour, quality="quality")
    part = tmp_path / "part.mp4"
    source = list(ramp(video, 5))
    encode_segment(source, 5, part, video, limits=LIMITS)
    frames = decode(part)
    for frame, packed in zip(frames, source, strict=True):
        luma = np.frombuffer(packed, np.uint8)[: 256 * 64].reshape(64, 256).astype(int)
        got = np.frombuffer(frame.planes[0], np.uint8).reshape(64, -1)[:, :256]
        # Crf 20 blurs, a range conversion would move the ends by 16 and the mean by several.
        assert abs(got.mean() - luma.mean()) < 1
        assert got.min() < 8
        assert got.max() > 247
    tags = frames[0].color_range, frames[0].colorspace, frames[0].color_primaries
    assert tuple(map(int, tags)) == (2 if full else 1, 6, 6)
    assert int(frames[0].color_trc) == 6


@pytest.mark.parametrize("quality", ["speed", "standard", "quality"])
def test_gops_are_closed(quality: str, tmp_path: Path) -> None:
    """A part starts with a keyframe and refers to nothing before it."""
    video = dataclasses.replace(PLAIN, quality=quality)
    part = tmp_path / "part.mp4"
    encode_segment(ramp(video, 30), 30, part, video, limits=LIMITS)
    frames = decode(part)
    assert frames[0].key_frame
    command = encoder_command(part, video)
    assert command[command.index("-x264-params") + 1] == "open-gop=0"
    assert command[command.index("-threads") + 1] == "1"


def test_too_few_frames_are_an_error(tmp_path: Path) -> None:
    """A part that lacks a frame is never taken for whole."""
    with pytest.raises(RetryableError, match="wrote 4 frames, not 5"):
        encode_segment(ramp(PLAIN, 4), 5, tmp_path / "part.mp4", PLAIN, limits=LIMITS)


@pytest.mark.parametrize("kind", KINDS)
def test_only_mask_and_label_change(clips, kind: str, tmp_path: Path) -> None:
    """Before the encoder, each pixel outside the mask and the label's box is the source's."""
    clip = clips[kind]
    first = 10
    count = min(30, clip.footage.frames - first)
    footage = clip.footage
    size = (footage.width, footage.height)
    video = VideoFormat(*size, footage.rate, footage.colour, "standard")
    overlay = render_label(Label(), "top-right", *size, footage.colour)
    patches = make_patches(tmp_path, footage, range(first, first + count))
    source = SourceFrames(clip.path, footage, clip.frame_map, tmp_path)
    order = range(first, first + count)
    labelled = first + 12
    frames = compose(source.pictures(order), patches, overlay, labelled, video)
    changed = 0
    for index, data in enumerate(frames):
        made = Picture.unpack(np.frombuffer(data, np.uint8).reshape(-1, size[0]))
        before = Picture.unpack(clip.frames[first + index])
        luma, chroma = touched(
            size,
            patches.header.size,
            patches.placement.affine[index],
            float(patches.placement.opacity[index]),
            patches.header.mask,
        )
        if first + index < labelled:
            box = overlay.box
            luma[box.top : box.bottom, box.left : box.right] = True
            chroma[box.top // 2 : box.bottom // 2, box.left // 2 : box.right // 2] = True
        assert np.array_equal(made.y[~luma], before.y[~luma])
        assert np.array_equal(made.u[~chroma], before.u[~chroma])
        assert np.array_equal(made.v[~chroma], before.v[~chroma])
        changed += not np.array_equal(made.y, before.y)
    assert index == count - 1
    # Every fifth frame has no face, and passes through whole after the label's end.
    faceless = sum(1 for i in range(count) if i % 5 == 4 and first + i >= labelled)
    assert changed == count - faceless


def test_missing_patch_is_an_error(clips, tmp_path: Path) -> None:
    """Fewer patches than frames never become a shorter part."""
    clip = clips["cfr"]
    patches = make_patches(tmp_path, clip.footage, range(10))
    longer = dataclasses.replace(patches, header=dataclasses.replace(patches.header, last=11))
    source = SourceFrames(clip.path, clip.footage, clip.frame_map, tmp_path)
    with pytest.raises(RetryableError, match="11 frames, but 10"):
        list(compose(source.pictures(range(11)), longer, None, 0, PLAIN))
