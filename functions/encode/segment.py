"""Encoding one segment: source frames, patches and label in, a part of the video out."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import ffmpeg

from functions.encode.composite import Canvas, blend
from functions.encode.label import Overlay
from functions.errors import RetryableError
from functions.ffmpeg_program import ffmpeg_path
from functions.patches import Patches
from functions.picture import Colour, Picture
from functions.process import Finished, Limits, run_supervised

Quality = Literal["speed", "standard", "quality"]

# Preset and constant rate factor. At 720p `faster` costs 1.6 times the time of `veryfast` for some
# 7 % less data, `superfast` two thirds of it for twice the data.
_PRESETS = {"speed": ("superfast", 18), "standard": ("veryfast", 18), "quality": ("faster", 20)}
# The names that ffmpeg has for the matrices; BT.601 has two with the same numbers.
_MATRICES = {"bt601": "smpte170m", "bt709": "bt709", "bt2020": "bt2020nc"}


@dataclass(frozen=True)
class VideoFormat:
    """What all parts of a video have in common; parts join because all of it is the same.

    Args:
        width: pixels, even.
        height: pixels, even.
        rate: frames a second.
        colour: tags of the output, and what the planes mean.
        quality: of the encoder, see `Options.quality`.
    """

    width: int
    height: int
    rate: Fraction
    colour: Colour
    quality: Quality

    @property
    def step(self) -> int:
        """Units of `timescale` that a frame lasts."""
        return self.rate.denominator * self._factor

    @property
    def timescale(self) -> int:
        """Units a second: a frame lasts a whole number of them, so that no time is rounded."""
        return self.rate.numerator * self._factor

    @property
    def _factor(self) -> int:
        factor = 1
        while self.rate.numerator * factor < 10_000:
            factor *= 2
        return factor


def encode_segment(
    frames: Iterable[bytes | memoryview],
    count: int,
    to: Path,
    video: VideoFormat,
    *,
    limits: Limits,
    on_progress: Callable[[int], None] | None = None,
) -> Finished:
    """Encodes packed yuv420p frames with one thread.

    Args:
        frames: of width * height * 3 / 2 bytes each.
        count: how many there are.
        to: a new `.mp4`.
        video: see `VideoFormat`.
        limits: of the encoder's process.
        on_progress: told how many frames are encoded, from another thread.

    Raises:
        RetryableError: the encoder failed, or came to another number of frames.
    """
    finished = run_supervised(
        encoder_command(to, video), limits=limits, feed=frames, on_progress=on_progress
    )
    if finished.frames != count:
        raise RetryableError(f"the encoder wrote {finished.frames} frames, not {count}")
    return finished


def encoder_command(to: Path, video: VideoFormat) -> list[str]:
    """The ffmpeg command that reads raw frames from its standard input."""
    preset, factor = _PRESETS[video.quality]
    tags = {
        "colorspace": _matrix(video.colour),
        "color_primaries": video.colour.primaries,
        "color_trc": video.colour.transfer,
        "color_range": "pc" if video.colour.full_range else "tv",
    }
    source = ffmpeg.input(
        "pipe:0",
        format="rawvideo",
        pix_fmt="yuv420p",
        s=f"{video.width}x{video.height}",
        framerate=str(video.rate),
        # Said on both sides, or ffmpeg would convert one range to the other.
        **tags,
    )
    output = source.output(
        str(to.absolute()),
        format="mp4",
        vcodec="libx264",
        preset=preset,
        crf=factor,
        pix_fmt="yuv420p",
        threads=1,
        fps_mode="passthrough",
        video_track_timescale=video.timescale,
        **{"x264-params": "open-gop=0"},
        **tags,
    )
    quiet = ["-nostdin", "-hide_banner", "-nostats", "-v", "warning", "-progress", "pipe:1"]
    program, *arguments = ffmpeg.compile(output, cmd=ffmpeg_path())
    return [program, *quiet, "-y", *arguments]


def compose(
    pictures: Iterable[Picture],
    patches: Patches,
    overlay: Overlay | None,
    labelled: int,
    video: VideoFormat,
) -> Iterator[memoryview]:
    """The finished frames of a segment, packed; each is valid until the next.

    Args:
        pictures: source frames, one for each output frame of the segment.
        patches: of the segment.
        overlay: the explicit label, if there is one.
        labelled: output frames, counted from the video's start, that carry it.
        video: see `VideoFormat`.

    Raises:
        RetryableError: there are not as many pictures or patches as the segment has frames.
    """
    header, placement = patches.header, patches.placement
    canvas = Canvas(video.width, video.height)
    count = header.last - header.first
    shown = 0
    for index, (picture, patch) in enumerate(zip(pictures, patches.frames(), strict=False)):
        canvas.load(picture)
        opacity = float(placement.opacity[index])
        if opacity > 0:
            blend(canvas.picture, patch, placement.affine[index], opacity, header.mask)
        if overlay is not None and header.first + index < labelled:
            overlay.draw(canvas.picture)
        shown += 1
        yield canvas.data
    if shown != count:
        raise RetryableError(f"the segment has {count} frames, but {shown} of its patches came")


def _matrix(colour: Colour) -> str:
    if colour.matrix == "bt601" and colour.primaries == "bt470bg":
        return "bt470bg"
    return _MATRICES[colour.matrix]
