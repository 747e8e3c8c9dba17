"""Where the face is in each footage frame, as steady as the head itself.

Everything is smoothed along the footage, not along the output: a frame has one crop however often,
in which direction and in which segment it is shown.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from functions.analysis import Chunk, Footage, Track
from functions.infer.family import FootageReader
from functions.infer.manifest import Crop
from functions.infer.mouth import crop_affine, crop_landmarks, mouth_width

_SMOOTHING = np.array([1, 3, 4, 3, 1]) / 12  # a raised cosine: no phase, no overshoot
_REACH = len(_SMOOTHING) // 2
FADE = 3
"""Frames between one without a face and the first whose patch is whole."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """The face in the frames of one chunk.

    Args:
        affine: (n, 2, 3) float32, upright frame pixels to crop pixels.
        landmarks: (n, K, 2) float32, of `functions.infer.mouth.LANDMARKS` in the crop, -1..1.
        width: (n,) float32, of the mouth in distances between the outer eye corners.
        opacity: (n,) float32, 0 without a face, rising over `FADE` frames beside that.
        origins: (n, 2) int32, of the windows.
    """

    affine: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    width: NDArray[np.float32]
    opacity: NDArray[np.float32]
    origins: NDArray[np.int32]


class Surveyor:
    """Works out the geometry of a footage's chunks.

    Args:
        reader: the footage.
        crop: the model's framing.
    """

    def __init__(self, reader: FootageReader, crop: Crop) -> None:
        self._footage = reader.footage
        self._crop = crop
        # A chunk's neighbours are needed too: with four, walking along reads each track once.
        self._track = lru_cache(maxsize=4)(reader.track)

    def survey(self, chunk: Chunk) -> Geometry:
        """The geometry of a chunk."""
        track = self._track(chunk)
        raw = self._with_neighbours(chunk)
        smooth = np.zeros((chunk.count, 2, 3))
        for tap, weight in enumerate(_SMOOTHING):
            smooth += weight * raw[tap : tap + chunk.count]
        return Geometry(
            affine=smooth.astype(np.float32),
            landmarks=crop_landmarks(track.landmarks, smooth, self._crop.size),
            width=mouth_width(track.landmarks),
            opacity=self._opacity(chunk),
            origins=track.origins,
        )

    def _affine(self, track: Track, frames: slice) -> NDArray[np.float64]:
        crop = self._crop
        return crop_affine(track.landmarks[frames], crop.size, crop.scale, crop.drop)

    def _with_neighbours(self, chunk: Chunk) -> NDArray[np.float64]:
        """Unsmoothed affines with `_REACH` more on either side, held where there are none."""
        before, after = self._beside(chunk)
        parts = [self._affine(self._track(chunk), slice(None))]
        if before is not None:
            parts.insert(0, self._affine(self._track(before), slice(-_REACH, None)))
        ahead = sum(len(part) for part in parts[:-1])
        if after is not None:
            parts.append(self._affine(self._track(after), slice(_REACH)))
        joined = np.concatenate(parts)
        behind = len(joined) - ahead - chunk.count
        held = ((_REACH - ahead, _REACH - behind), (0, 0), (0, 0))
        return np.pad(joined, held, mode="edge")

    def _beside(self, chunk: Chunk) -> tuple[Chunk | None, Chunk | None]:
        """The chunks that end where this one begins and begin where it ends."""
        before = after = None
        for other in self._footage.chunks:
            if other.first + other.count == chunk.first:
                before = other
            if other.first == chunk.first + chunk.count:
                after = other
        return before, after

    def _opacity(self, chunk: Chunk) -> NDArray[np.float32]:
        first, last = chunk.first - FADE, chunk.first + chunk.count + FADE
        seen = self._face_seen(first, last)
        distance = np.full(len(seen), FADE + 1)
        for absent in np.flatnonzero(~seen):
            away = np.abs(np.arange(len(seen)) - absent)
            distance = np.minimum(distance, away)
        opacity = distance[FADE : FADE + chunk.count] / (FADE + 1)
        return opacity.astype(np.float32)

    def _face_seen(self, first: int, last: int) -> NDArray[np.bool_]:
        """Whether each of the frames [first, last) has a face; the footage's ends are no gaps."""
        frames = np.arange(first, last)
        seen = (frames < 0) | (frames >= self._footage.frames)
        for chunk in self._footage.chunks:
            low, high = max(first, chunk.first), min(last, chunk.first + chunk.count)
            if low < high:
                confidence = self._track(chunk).confidence
                part = confidence[low - chunk.first : high - chunk.first]
                seen[low - first : high - first] = part > 0
        return seen


def chunk_of(footage: Footage, frame: int) -> Chunk | None:
    """The chunk that holds a footage frame; None where no window was cut."""
    for chunk in footage.chunks:
        if chunk.first <= frame < chunk.first + chunk.count:
            return chunk
    return None
