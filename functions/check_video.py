"""The lip-sync check of a finished video, ours or anybody's: `koubo check`.

One pass over the pictures, as many of them as the limit says; what is kept of each is one number.
"""

import wave
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from functions.check import (
    FARTHEST,
    Check,
    Tally,
    aperture,
    closures,
    judge,
    tally_closures,
    tally_sync,
)
from functions.check_mouth import Luma, mouth_luma, tally_looks
from functions.errors import Code, RejectedInput
from functions.infer.ear import Ear, reach
from functions.infer.mouth import LEFT_EYE, RIGHT_EYE, crop_affine
from functions.ingest.constant_rate import at_constant_rate, choose_rate
from functions.ingest.faces import FaceFinder, FaceFollower
from functions.ingest.voice import SAMPLE_RATE, analyse_voice
from functions.media import VideoFile, open_container, open_video
from functions.picture import Picture, Plane
from functions.progress import Progress, silent
from functions.settings import CheckSettings
from functions.stills import is_portrait, read_portrait

_MAX_RATE = 60
_LONGEST_VOICE = 24 * 3600.0
_SPAN = 250  # frames that are heard at once
_SCALE, _DROP = 1.85, 0.78  # of the mouth's crop, see `functions.infer.mouth.crop_affine`
_SIDES = (96, 640)  # its smallest and largest side, pixels
_STEADYING = (1 / 12, 3 / 12, 4 / 12, 3 / 12, 1 / 12)  # how infer steadies its crops


@dataclass(frozen=True)
class Asked:
    """What to check.

    Args:
        video: in which one face talks.
        voice: what it should say; the video's own sound without it.
        source: the footage or portrait that the video was made of, shown from its start on.
        seconds: of the video, at most.
    """

    video: Path
    voice: Path | None
    source: Path | None
    seconds: float


@dataclass(frozen=True, eq=False)
class _Frame:
    """A frame's luma, the source's, and the mouth's crop of either."""

    luma: Plane
    source: Plane
    affine: NDArray[np.float64]


@dataclass
class _Seen:
    """What one pass over the pictures gathers."""

    apertures: list[float] = field(default_factory=list)
    looks: Tally = field(default_factory=Tally)
    side: int = 0
    _frames: deque[_Frame] = field(default_factory=lambda: deque(maxlen=len(_STEADYING)))
    _mouths: deque[tuple[Luma, Luma]] = field(default_factory=lambda: deque(maxlen=3))

    def take(
        self, picture: Picture, landmarks: NDArray[np.float32], source: Picture | None
    ) -> None:
        """Takes a frame with a face; without a source only its aperture counts."""
        self.apertures.append(float(aperture(landmarks[None])[0]))
        if source is None:
            return
        if not self.side:
            eyes = float(np.linalg.norm(landmarks[LEFT_EYE] - landmarks[RIGHT_EYE]))
            self.side = int(np.clip(_SCALE * eyes, *_SIDES))
        affine = crop_affine(landmarks[None], self.side, _SCALE, _DROP)[0]
        # The planes hold until the next frame only.
        self._frames.append(_Frame(picture.y.copy(), source.y.copy(), affine))
        if len(self._frames) == len(_STEADYING):
            self._look()

    def _look(self) -> None:
        """Compares the middle one of the frames at hand, its crop as steady as the head."""
        steady = sum(w * frame.affine for w, frame in zip(_STEADYING, self._frames, strict=True))
        affine, middle = np.asarray(steady, np.float32), self._frames[len(_STEADYING) // 2]
        planes = (middle.luma, middle.source)
        mouth, source = (mouth_luma(plane, affine, self.side) for plane in planes)
        self._mouths.append((mouth, source))
        if len(self._mouths) == 3:
            mouths, sources = zip(*self._mouths, strict=True)
            self.looks += tally_looks(list(mouths), list(sources))

    def miss(self) -> None:
        """Takes a frame without a face."""
        self.apertures.append(float("nan"))
        self._frames.clear()
        self._mouths.clear()


def check_video(
    asked: Asked,
    *,
    finder: FaceFinder,
    ear: Ear,
    limits: CheckSettings,
    scratch: Path,
    progress: Progress,
) -> Check:
    """Measures a video's mouth against its voice.

    Args:
        asked: what to check.
        finder: finds the face, which is followed as ingest does.
        ear: says what the mouth should do.
        limits: what passes.
        scratch: an empty folder.
        progress: told in frames.

    Raises:
        RejectedInput: the video, the voice or the source can't be read, the video has no face, or
            the source's pictures are of another size.
    """
    voice = asked.voice or asked.video
    heard_from = analyse_voice(voice, "", scratch, max_seconds=_LONGEST_VOICE, progress=silent)
    with open_video(asked.video) as video:
        rate = choose_rate(video.nominal_rate, _MAX_RATE)
        most = max(1, round(asked.seconds * rate))
        total = min(most, round(video.stated_seconds * rate))
        first_pts, seen = _look(asked, video, rate, most, finder, lambda n: progress(n, total))
        began = first_pts * video.time_base
    apertures = np.array(seen.apertures)
    if not np.isfinite(apertures).any():
        raise RejectedInput(Code.NO_FACE, "The video shows no face.")
    late = Fraction(0) if asked.voice else _sound_begins(asked.video) - began
    mouth = _hear(scratch / "voice.wav", heard_from.level, ear, rate, len(apertures), late)
    return judge(_compare(apertures, mouth) + seen.looks, limits)


def _look(
    asked: Asked,
    video: VideoFile,
    rate: Fraction,
    most: int,
    finder: FaceFinder,
    progress: Callable[[int], None],
) -> tuple[int, _Seen]:
    """Presentation time of the first frame, and what is seen in at most so many frames."""
    follower, seen, first_pts = FaceFollower(finder), _Seen(), 0
    with _source(asked.source, rate) as sources:
        frames = at_constant_rate(video.pictures(), video.time_base, rate)
        for pts, picture, times in frames:
            if not seen.apertures:
                first_pts = pts
            face = follower.follow(picture, video.colour)
            for _ in range(times):
                source = next(sources, None)
                _check_size(picture, source)
                if face is None:
                    seen.miss()
                else:
                    seen.take(picture, face.landmarks, source)
            progress(len(seen.apertures))
            if len(seen.apertures) >= most:
                break
    return first_pts, seen


def _compare(apertures: NDArray[np.float64], mouth: NDArray[np.float32]) -> Tally:
    """Apertures, one a frame, against tracks that are `FARTHEST` frames longer on either side."""
    found = np.flatnonzero(np.isfinite(apertures))
    opening, close = mouth[:, 0], mouth[FARTHEST : FARTHEST + len(apertures), 2]
    sync = tally_sync(apertures[found], found + FARTHEST, opening)
    return sync + tally_closures(apertures, closures(close))


@contextmanager
def _source(path: Path | None, rate: Fraction) -> Iterator[Iterator[Picture]]:
    """The source's pictures at the video's rate, from its start; none where it isn't known."""
    if path is None:
        yield iter(())
    elif is_portrait(path):
        yield repeat(read_portrait(path))
    else:
        with open_video(path) as video:
            frames = at_constant_rate(video.pictures(), video.time_base, rate)
            yield (picture for _, picture, times in frames for _ in range(times))


def _check_size(picture: Picture, source: Picture | None) -> None:
    if source is None:
        return
    size, wanted = (picture.width, picture.height), (source.width, source.height)
    if size != wanted:
        raise RejectedInput(
            Code.UNSUPPORTED,
            f"The source is {wanted[0]}x{wanted[1]} pixels, the video {size[0]}x{size[1]}; "
            "it isn't what the video was made of.",
        )


def _sound_begins(path: Path) -> Fraction:
    """When a file's own sound begins, in seconds of its own clock."""
    with open_container(path) as container:
        stream = container.streams.audio[0]
        if stream.start_time is None or stream.time_base is None:
            return Fraction(0)
        return stream.start_time * stream.time_base


def _hear(
    path: Path, level: float, ear: Ear, rate: Fraction, frames: int, late: Fraction
) -> NDArray[np.float32]:
    """The ear's tracks of frames -`FARTHEST` to `frames` + `FARTHEST`; sound begins `late`."""
    shift = round(late * SAMPLE_RATE)
    spans = []
    with wave.open(str(path)) as file:
        for first in range(-FARTHEST, frames + FARTHEST, _SPAN):
            last = min(first + _SPAN, frames + FARTHEST)
            low, high = (place - shift for place in reach(rate, first, last))
            samples, begin = _samples(file, low, high)
            heard = ear.hear(samples, rate, first, last, level=level, offset=begin + shift)
            spans.append(heard)
    return np.concatenate(spans)


def _samples(file: wave.Wave_read, first: int, last: int) -> tuple[NDArray[np.float32], int]:
    """Samples [first, last) as far as the file has them, and the number of the first one."""
    first, last = (min(max(place, 0), file.getnframes()) for place in (first, last))
    file.setpos(first)
    data = np.frombuffer(file.readframes(last - first), "<i2")
    return data.astype(np.float32) * np.float32(1 / 32768), first
