"""Upright boxes around a face, one for each footage frame, as steady as the head itself.

Models that were trained on the rectangles of a face detector see such a box stretched to a square.
Like `functions.infer.geometry` this belongs to the footage: a frame has one box, in whatever
segment and however often it is shown.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from functions.analysis import Chunk, Footage, Track
from functions.infer.family import FootageReader
from functions.infer.geometry import Surveyor
from functions.infer.manifest import Crop

BoxOf = Callable[[NDArray[np.float32]], NDArray[np.float64]]
"""(n, 468, 2) landmarks, frame pixels, to (n, 4) left, top, right, bottom: edges, not centres."""

_SMOOTHING = np.array([1, 3, 4, 3, 1]) / 12  # a raised cosine: no phase, so no double mouths
_REACH = len(_SMOOTHING) // 2


@dataclass(frozen=True, eq=False)
class Boxes:
    """The boxes of one chunk.

    Args:
        affine: (n, 2, 3) float32, upright frame pixels to crop pixels.
        opacity: (n,) float32, 0 without a face, rising beside that.
        origins: (n, 2) int32, of the windows.
    """

    affine: NDArray[np.float32]
    opacity: NDArray[np.float32]
    origins: NDArray[np.int32]

    def in_window(self, place: int) -> NDArray[np.float32]:
        """(2, 3): window pixels to crop pixels of the chunk's frame `place`."""
        affine = self.affine[place].astype(np.float64)
        affine[:, 2] += affine[:, :2] @ self.origins[place]
        moved: NDArray[np.float32] = affine.astype(np.float32)
        return moved


class BoxSurveyor:
    """Works out the boxes of a footage's chunks.

    Args:
        reader: the footage.
        box: around a face, see `BoxOf`.
        size: the crop's side, pixels.
    """

    def __init__(self, reader: FootageReader, box: BoxOf, size: int) -> None:
        self._footage: Footage = reader.footage
        self._box = box
        self._size = size
        self._track: Callable[[Chunk], Track] = lru_cache(maxsize=4)(reader.track)
        # Its framing is another one; how a face fades in and out is the same for every model.
        self._face = Surveyor(reader, Crop(size, 1.0, 0.0))

    def survey(self, chunk: Chunk) -> Boxes:
        """The boxes of a chunk."""
        raw = self._with_neighbours(chunk)
        smooth = np.zeros((chunk.count, 4))
        for tap, weight in enumerate(_SMOOTHING):
            smooth += weight * raw[tap : tap + chunk.count]
        return Boxes(
            affine=box_affine(smooth, self._size).astype(np.float32),
            opacity=self._face.survey(chunk).opacity,
            origins=self._track(chunk).origins,
        )

    def _with_neighbours(self, chunk: Chunk) -> NDArray[np.float64]:
        """Unsmoothed boxes with `_REACH` more on either side, held where there are none."""
        before, after = chunk.first - _REACH, chunk.first + chunk.count + _REACH
        boxes = np.full((after - before, 4), np.nan)
        for other in self._footage.chunks:
            low, high = max(before, other.first), min(after, other.first + other.count)
            if low < high:
                seen = self._track(other).landmarks[low - other.first : high - other.first]
                boxes[low - before : high - before] = self._box(seen)
        known = np.flatnonzero(~np.isnan(boxes[:, 0]))
        held = np.clip(np.arange(len(boxes)), known[0], known[-1])
        return boxes[held]


def box_affine(box: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """The mappings that stretch boxes to squares.

    Args:
        box: (n, 4) left, top, right, bottom: edges in frame pixels.
        size: the square's side, pixels.

    Returns:
        (n, 2, 3), frame pixels to the square's, pixel centres at whole numbers.
    """
    low, span = box[:, :2], np.maximum(box[:, 2:] - box[:, :2], 1.0)
    zoom = size / span
    affine = np.zeros((len(box), 2, 3))
    affine[:, 0, 0], affine[:, 1, 1] = zoom.T
    affine[:, :, 2] = (0.5 - low) * zoom - 0.5
    return affine
