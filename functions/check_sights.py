"""What a talking video shows, frame by frame: the face's landmarks, beside the source's picture.

One pass over the pictures, as many of them as the limit says; what is kept of each is one number.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from functions.check import Tally, aperture, width
from functions.check_mouth import Luma, mouth_luma, tally_looks
from functions.errors import Code, RejectedInput
from functions.infer.mouth import LEFT_EYE, RIGHT_EYE, crop_affine
from functions.ingest.constant_rate import at_constant_rate, choose_rate
from functions.ingest.faces import Face, FaceFinder, FaceFollower
from functions.media import VideoFile, open_video
from functions.options import FaceChoice
from functions.picture import Colour, Picture, Plane
from functions.stills import PORTRAIT_COLOUR, is_portrait, read_portrait

SCALE, DROP = 1.85, 0.78
"""Of the mouth's crop, see `functions.infer.mouth.crop_affine`."""

_MAX_RATE = 60
_STRAYED = 0.25  # of a face's side, from where the source has it; a neighbour is four times as far
_SIDES = (96, 640)  # the crop's smallest and largest side, pixels
_STEADYING = (1 / 12, 3 / 12, 4 / 12, 3 / 12, 1 / 12)  # how infer steadies its crops


@dataclass(frozen=True, eq=False)
class Sight:
    """One frame at the video's constant rate. Its pictures hold until the next one is asked for.

    Args:
        seconds: of the video's own clock at which it is shown.
        picture: the frame.
        landmarks: (468, 2), pixels; None without a face.
        source: the source's frame; None where there is none.
    """

    seconds: Fraction
    picture: Picture
    landmarks: NDArray[np.float32] | None
    source: Picture | None


def rate_of(video: VideoFile) -> Fraction:
    """Frames a second at which a video is looked at."""
    return choose_rate(video.nominal_rate, _MAX_RATE)


def sights(
    video: Path, source: Path | None, finder: FaceFinder, choice: FaceChoice = "largest"
) -> Iterator[Sight]:
    """Each frame of a video, one face of it followed as ingest does.

    Args:
        video: in which a face talks.
        source: the footage or portrait that it was made of, shown from its start to its end. The
            face is the one that a run chooses there: a mouth that was made may change which face
            is the largest, or hide that there is one.
        finder: finds faces.
        choice: which one, where several are seen.

    Raises:
        RejectedInput: one of the files can't be read, or the source is of another size.
    """
    with open_video(video) as opened:
        rate = rate_of(opened)
        eye = _Eye(finder, choice, opened.colour)
        with _source(source, rate) as (sources, source_colour):
            for pts, picture, times in at_constant_rate(opened.pictures(), opened.time_base, rate):
                for again in range(times):
                    beside = next(sources, None)
                    _check_size(picture, beside)
                    if not again:
                        landmarks = eye.follow(picture, beside, source_colour)
                    yield Sight(pts * opened.time_base, picture, landmarks, beside)


class _Eye:
    """Follows one face of a video, in its source as long as there is one.

    Args:
        finder: finds faces.
        choice: which one.
        colour: of the video.
    """

    def __init__(self, finder: FaceFinder, choice: FaceChoice, colour: Colour) -> None:
        self._finder = finder
        self._colour = colour
        self._source = FaceFollower(finder, choice)
        self._choice: FaceChoice = choice
        self._own: FaceFollower | None = None
        self._beside: Picture | None = None
        self._led: Face | None = None
        self._last: Face | None = None

    def follow(
        self, picture: Picture, beside: Picture | None, source_colour: Colour
    ) -> NDArray[np.float32] | None:
        """The landmarks in the video's next picture, whose source lies beside it."""
        if beside is None:
            self._own = self._own or FaceFollower(self._finder, self._choice, self._last)
            face = self._own.follow(picture, self._colour)
        else:
            # A portrait is the same picture again and again.
            if beside is not self._beside:
                self._beside, self._led = beside, self._source.follow(beside, source_colour)
            face = self._beside_source(picture)
            self._last = face or self._last
        return None if face is None else face.landmarks

    def _beside_source(self, picture: Picture) -> Face | None:
        """The face where it was in the frame before, if that is where the source has it now."""
        led, last = self._led, self._last
        if led is None:
            return None
        if last is not None and led.distance(last) < _STRAYED * led.side:
            face = self._finder.same(picture, last, self._colour)
            if face is not None and led.distance(face) < _STRAYED * led.side:
                return face
        return self._finder.same(picture, led, self._colour)


@dataclass(frozen=True, eq=False)
class _Frame:
    """A frame's luma, the source's, and the mouth's crop of either."""

    luma: Plane
    source: Plane
    affine: NDArray[np.float64]


@dataclass
class Seen:
    """What is kept of one pass over the pictures.

    Args:
        apertures: one a frame, NaN without a face, see `functions.check.aperture`.
        widths: the same, see `functions.check.width`.
        looks: flicker and sharpness beside the source's.
        still: the source is a portrait, so it has no flicker to compare with.
    """

    still: bool = False
    apertures: list[float] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    looks: Tally = field(default_factory=Tally)
    _side: int = 0
    _frames: deque[_Frame] = field(default_factory=lambda: deque(maxlen=len(_STEADYING)))
    _mouths: deque[tuple[Luma, Luma]] = field(default_factory=lambda: deque(maxlen=3))

    def take(self, sight: Sight) -> None:
        """Takes the next frame; without a source only its aperture counts."""
        landmarks, source = sight.landmarks, sight.source
        if landmarks is None:
            self.apertures.append(float("nan"))
            self.widths.append(float("nan"))
            self._frames.clear()
            self._mouths.clear()
            return
        self.apertures.append(float(aperture(landmarks[None])[0]))
        self.widths.append(float(width(landmarks[None])[0]))
        if source is None:
            return
        if not self._side:
            eyes = float(np.linalg.norm(landmarks[LEFT_EYE] - landmarks[RIGHT_EYE]))
            self._side = int(np.clip(SCALE * eyes, *_SIDES))
        affine = crop_affine(landmarks[None], self._side, SCALE, DROP)[0]
        # The planes hold until the next frame only.
        self._frames.append(_Frame(sight.picture.y.copy(), source.y.copy(), affine))
        if len(self._frames) == len(_STEADYING):
            self._look()

    def _look(self) -> None:
        """Compares the middle one of the frames at hand, its crop as steady as the head."""
        steady = sum(w * frame.affine for w, frame in zip(_STEADYING, self._frames, strict=True))
        affine, middle = np.asarray(steady, np.float32), self._frames[len(_STEADYING) // 2]
        planes = (middle.luma, middle.source)
        mouth, source = (mouth_luma(plane, affine, self._side) for plane in planes)
        self._mouths.append((mouth, source))
        if len(self._mouths) == 3:
            mouths, sources = zip(*self._mouths, strict=True)
            looks = tally_looks(list(mouths), list(sources))
            # A still flickers only as the crop does, which follows the output's landmarks.
            self.looks += replace(looks, source_flicker=0.0) if self.still else looks


@contextmanager
def _source(path: Path | None, rate: Fraction) -> Iterator[tuple[Iterator[Picture], Colour]]:
    """The source's pictures at the video's rate, from its start; none where it isn't known."""
    if path is None:
        yield iter(()), PORTRAIT_COLOUR
    elif is_portrait(path):
        yield repeat(read_portrait(path)), PORTRAIT_COLOUR
    else:
        with open_video(path) as video:
            frames = at_constant_rate(video.pictures(), video.time_base, rate)
            yield (picture for _, picture, times in frames for _ in range(times)), video.colour


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
