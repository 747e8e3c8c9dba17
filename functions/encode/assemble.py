"""Joining a run's parts and its voice into the finished video, without encoding anything again."""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import av
import ffmpeg

from functions.encode.segment import VideoFormat
from functions.errors import RetryableError
from functions.ffmpeg_program import ffmpeg_path
from functions.media import open_video
from functions.picture import whole_rgb
from functions.process import Limits, run_supervised
from functions.stills import jpeg

# AAC comes in packets of 1024 samples, so the sound may end that much later than the voice.
_SOUND_TOLERANCE = 0.05


def assemble(
    parts: Sequence[Path],
    sound: Path,
    to: Path,
    video: VideoFormat,
    *,
    frames: int,
    metadata: Mapping[str, str],
    limits: Limits,
) -> None:
    """Joins parts, in order, and muxes the voice once.

    Args:
        parts: made by `encode_segment` with this very `VideoFormat`, in one folder, with names of
            letters, digits, dots and dashes only.
        sound: AAC in MP4.
        to: a new `.mp4`.
        video: see `VideoFormat`.
        frames: that all parts together have.
        metadata: of the file.
        limits: of ffmpeg's process.

    Raises:
        RetryableError: the parts don't fit together, ffmpeg failed, or the result lacks frames.
    """
    _check_parts(parts)
    listing = parts[0].parent / "parts.txt"
    listing.write_text("".join(f"file '{part.name}'\n" for part in parts), encoding="utf-8")
    run_supervised(_command(listing, sound, to, video, metadata), limits=limits)
    _check_video(to, sound, video, frames)


def poster(video: Path, frame: int) -> bytes:
    """A frame of a video as JPEG.

    Raises:
        RetryableError: the video has no such frame.
    """
    with open_video(video) as file:
        for _, picture in islice(file.pictures(), frame, None):
            return jpeg(whole_rgb(picture, file.colour))
    raise RetryableError(f"the video has no frame {frame} for a poster")


def _command(
    listing: Path, sound: Path, to: Path, video: VideoFormat, metadata: Mapping[str, str]
) -> list[str]:
    # Each part's times start at a multiple of the step but for rounding, which this takes out.
    step = video.step
    exact = f"setts=pts=round(PTS/{step})*{step}:dts=round(DTS/{step})*{step}"
    output = ffmpeg.output(
        ffmpeg.input(str(listing.absolute()), format="concat", safe=1)["v:0"],
        ffmpeg.input(str(sound.absolute()))["a:0"],
        str(to.absolute()),
        format="mp4",
        c="copy",
        map_metadata=-1,
        video_track_timescale=video.timescale,
        movflags="+faststart+use_metadata_tags",
        # Each item needs an option of its own name; ffmpeg looks at the "g" (global) alone.
        **{f"metadata:g:{n}": f"{key}={value}" for n, (key, value) in enumerate(metadata.items())},
        **{"bsf:v": exact},
    )
    program, *arguments = ffmpeg.compile(output, cmd=ffmpeg_path())
    quiet = ["-nostdin", "-hide_banner", "-nostats", "-v", "warning", "-xerror"]
    return [program, *quiet, "-y", *arguments]


def _check_parts(parts: Sequence[Path]) -> None:
    """Parts are joined under the first one's codec parameters, so all have to have the same."""
    first: bytes | None = None
    for part in parts:
        with av.open(str(part)) as file:
            parameters = file.streams.video[0].codec_context.extradata
        if first is None:
            first = parameters
        if parameters != first:
            raise RetryableError(
                f"{part.name} was encoded with other parameters than {parts[0].name}; "
                "do all workers run the same ffmpeg?"
            )


def _check_video(to: Path, sound: Path, video: VideoFormat, frames: int) -> None:
    with av.open(str(to)) as file:
        stream = file.streams.video[0]
        times = sorted(p.pts for p in file.demux(stream) if p.pts is not None)
        if len(times) != frames:
            raise RetryableError(f"the joined video has {len(times)} frames, not {frames}")
        time_base = stream.time_base
        if time_base is None or any(
            pts * time_base * video.rate != index for index, pts in enumerate(times)
        ):
            raise RetryableError("the joined video's frames don't come at a constant rate")
        lasts = _sound_seconds(to)
    if abs(lasts - _sound_seconds(sound)) > _SOUND_TOLERANCE:
        raise RetryableError(f"the joined video has {lasts:.2f} s of sound")


def _sound_seconds(path: Path) -> float:
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        if stream.duration is None or stream.time_base is None:
            return 0.0
        return float(stream.duration * stream.time_base)
