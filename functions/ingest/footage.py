"""A face video or portrait, analysed once, in one decoding pass and at constant memory."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from functions.analysis import Chunk, Footage, FrameMap, Track, checksum, content_digest
from functions.errors import Code, RejectedInput
from functions.ingest.constant_rate import at_constant_rate, choose_rate
from functions.ingest.faces import FaceFinder, FaceFollower
from functions.ingest.track import TrackEntry, TrackSmoother
from functions.ingest.windows import WindowCutter
from functions.media import (
    VideoFile,
    decoder_version,
    open_video,
)
from functions.options import FaceChoice
from functions.picture import Colour, Picture, whole_rgb
from functions.progress import Progress
from functions.stills import PORTRAIT_COLOUR, jpeg, read_portrait

_MAX_DAMAGE = 0.02


@dataclass(frozen=True)
class FootageLimits:
    """What footage may be; see `IngestSettings` for the meaning."""

    max_seconds: float
    max_rate: int
    min_face_share: float
    chunk_seconds: float
    threads: int


class Keeper(Protocol):
    """Puts what the analysis makes where it belongs."""

    def chunk(self, chunk: Chunk, windows: Path, track: Track) -> None:
        """A chunk of face windows, as soon as it is whole."""

    def frames(self, frames: FrameMap) -> None:
        """Which source frame each frame shows."""

    def poster(self, jpeg: bytes) -> None:
        """A frame with a face."""


@dataclass
class _Analysis:
    """What one pass over the pictures, each of this size, gathers."""

    size: tuple[int, int]
    follower: FaceFollower
    smoother: TrackSmoother
    cutter: WindowCutter
    colour: Colour
    keeper: Keeper
    pts: list[int] = field(default_factory=list)
    checksums: list[int] = field(default_factory=list)
    faces: int = 0
    poster_frame: int | None = None

    def take(self, pts: int, picture: Picture, times: int) -> None:
        face = self.follower.follow(picture, self.colour)
        if face is not None and self.poster_frame is None:
            self.poster_frame = len(self.pts)
            self.keeper.poster(jpeg(whole_rgb(picture, self.colour)))
        mark = checksum(picture)
        for _ in range(times):
            self.pts.append(pts)
            self.checksums.append(mark)
            self.faces += face is not None
            self.cutter.cut(picture, None if face is None else face.landmarks)
            self._smooth(self.smoother.push(face))

    def _smooth(self, entries: Iterable[TrackEntry]) -> None:
        for entry in entries:
            self.cutter.track(entry)

    def finish(self, keyframes: list[int], time_base: Fraction) -> FrameMap:
        self._smooth(self.smoother.flush())
        self.cutter.finish()
        frames = FrameMap(
            np.array(self.pts, np.int64),
            np.array(self.checksums, np.uint32),
            np.array(sorted(set(keyframes)), np.int64),
            np.array([time_base.numerator, time_base.denominator], np.int64),
        )
        self.keeper.frames(frames)
        return frames


def analyse_video(
    path: Path,
    sha256: str,
    *,
    finder: FaceFinder,
    limits: FootageLimits,
    keeper: Keeper,
    scratch: Path,
    progress: Progress,
    face: FaceChoice = "largest",
) -> Footage:
    """Decodes a video once: constant rate, upright, face tracked, windows cut.

    Args:
        path: the video; the name's suffix says nothing.
        sha256: of its content.
        finder: finds faces.
        limits: what is refused.
        keeper: takes chunks as they come, then the frame map and the poster.
        scratch: an empty folder.
        progress: told in frames.
        face: which one is followed.

    Raises:
        RejectedInput: no face, too long, damaged, or what opening it raises.
    """
    with open_video(path, limits.threads) as video:
        _check_length(video.stated_seconds, limits.max_seconds)
        rate = choose_rate(video.nominal_rate, limits.max_rate)

        def begin(picture: Picture) -> _Analysis:
            size = (picture.width, picture.height)
            chunk_frames = max(1, round(limits.chunk_seconds * rate))
            cutter = WindowCutter(size, chunk_frames, scratch, keeper.chunk)
            follower, smoother = FaceFollower(finder, face), TrackSmoother()
            return _Analysis(size, follower, smoother, cutter, video.colour, keeper)

        analysis = _watch(video, rate, begin, limits.max_seconds, progress)
        _check_damage(video, len(analysis.pts) / rate)
        _check_faces(analysis, limits.min_face_share)
        frames = analysis.finish(video.keyframes, video.time_base)
        rotation, container = video.rotation, video.container_name
    return Footage(
        digest=content_digest(sha256, face),
        sha256=sha256,
        kind="video",
        width=analysis.size[0],
        height=analysis.size[1],
        rate_numerator=rate.numerator,
        rate_denominator=rate.denominator,
        frames=len(analysis.pts),
        colour=analysis.colour,
        rotation=rotation,
        faces=analysis.faces,
        hidden=analysis.cutter.hidden,
        chunks=tuple(analysis.cutter.chunks),
        poster_frame=analysis.poster_frame or 0,
        container=container,
        decoder=decoder_version(),
        keyframe_distance=frames.keyframe_distance,
    )


def _watch(
    video: VideoFile,
    rate: Fraction,
    begin: Callable[[Picture], _Analysis],
    max_seconds: float,
    progress: Progress,
) -> _Analysis:
    """Takes every frame into an analysis that begins with the first one."""
    stated = round(video.stated_seconds * rate)
    analysis: _Analysis | None = None
    for pts, picture, times in at_constant_rate(video.pictures(), video.time_base, rate):
        if analysis is None:
            analysis = begin(picture)
        # First, since one frame with a wrong time can be shown for days.
        _check_length((len(analysis.pts) + times) / rate, max_seconds)
        analysis.take(pts, picture, times)
        progress(len(analysis.pts), stated)
    if analysis is None:
        raise RejectedInput(Code.DAMAGED_MEDIA, "No frame of the video can be decoded.")
    return analysis


def analyse_portrait(
    path: Path,
    sha256: str,
    *,
    finder: FaceFinder,
    keeper: Keeper,
    scratch: Path,
    face: FaceChoice = "largest",
) -> Footage:
    """Analyses a portrait: footage of one frame.

    Raises:
        RejectedInput: no face, or what reading the picture raises.
    """
    picture = read_portrait(path)
    size = (picture.width, picture.height)
    cutter = WindowCutter(size, 1, scratch, keeper.chunk)
    follower, smoother = FaceFollower(finder, face), TrackSmoother()
    analysis = _Analysis(size, follower, smoother, cutter, PORTRAIT_COLOUR, keeper)
    analysis.take(0, picture, 1)
    _check_faces(analysis, 1.0)
    analysis.finish([0], Fraction(1))
    return Footage(
        digest=content_digest(sha256, face),
        sha256=sha256,
        kind="portrait",
        width=size[0],
        height=size[1],
        rate_numerator=1,
        rate_denominator=1,
        frames=1,
        colour=PORTRAIT_COLOUR,
        rotation=0,
        faces=1,
        chunks=tuple(analysis.cutter.chunks),
        poster_frame=0,
        container="picture",
        decoder=decoder_version(),
    )


def _check_length(seconds: float | Fraction, limit: float) -> None:
    if seconds > limit:
        raise RejectedInput(
            Code.TOO_LONG,
            f"The video lasts {float(seconds) / 60:.0f} minutes or more; the limit is "
            f"{limit / 60:.0f}.",
        )


def _check_damage(video: VideoFile, seconds: float | Fraction) -> None:
    if video.damaged_packets > _MAX_DAMAGE * video.packets + 2:
        raise RejectedInput(
            Code.DAMAGED_MEDIA,
            f"{video.damaged_packets} of {video.packets} frames can't be decoded.",
        )
    # An index that lists more frames than the file holds: the copy was cut off.
    missing = video.stated_frames - video.packets
    if missing > _MAX_DAMAGE * video.stated_frames + 2 and seconds < 0.95 * video.stated_seconds:
        raise RejectedInput(
            Code.DAMAGED_MEDIA,
            f"The file lists {video.stated_frames} frames but holds {video.packets}.",
        )


def _check_faces(analysis: _Analysis, share: float) -> None:
    frames = len(analysis.pts)
    if analysis.faces == 0:
        raise RejectedInput(Code.NO_FACE, "No face was found.")
    if analysis.faces < share * frames:
        raise RejectedInput(
            Code.NO_FACE, f"A face was found in only {analysis.faces} of {frames} frames."
        )
