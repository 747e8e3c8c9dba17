"""Whether a video is its source everywhere but at the mouth, as far as coding leaves it so."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from functions.check_sights import DROP, SCALE, Sight
from functions.infer.mouth import crop_affine

_BLOCK = 16  # pixels, as the encoder's
_MARGIN = 1.1  # of the mouth's crop: blocks that a steadied crop may have touched count as touched


@dataclass
class Outside:
    """Compares luma beyond the mouth's crop with the source's.

    Args:
        labelled: frames from the start that carry a label; they are left out.
    """

    labelled: int
    frames: int = 0
    worst: float = 0.0
    """The largest mean difference of a block of 16 x 16 pixels in any frame, grey levels."""
    _total: float = 0.0
    _at: int = 0

    def take(self, sight: Sight) -> None:
        """Takes the next frame; what has no face or no source is passed over."""
        self._at += 1
        if self._at <= self.labelled or sight.landmarks is None or sight.source is None:
            return
        blocks = _differences(sight.picture.y, sight.source.y)
        away = blocks[~_touched(sight.landmarks, blocks.shape)]
        if away.size:
            self.frames += 1
            self._total += float(away.mean())
            self.worst = max(self.worst, float(away.max()))

    @property
    def mean(self) -> float | None:
        """The mean difference, grey levels; None where nothing was compared."""
        return self._total / self.frames if self.frames else None


def _differences(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean absolute difference of each whole block."""
    rows, columns = one.shape[0] // _BLOCK, one.shape[1] // _BLOCK
    part = (slice(rows * _BLOCK), slice(columns * _BLOCK))
    off = cv2.absdiff(np.ascontiguousarray(one[part]), np.ascontiguousarray(other[part]))
    size = (columns, rows)
    return np.asarray(cv2.resize(off.astype(np.float32), size, interpolation=cv2.INTER_AREA))


def _touched(landmarks: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Blocks of which a corner lies in the mouth's crop."""
    to_crop = crop_affine(landmarks[None], 2, SCALE * _MARGIN, DROP)[0]
    # In a crop of side 2 pixels' centres are at 0 and 1, so its edges are at -.5 and 1.5.
    y, x = np.mgrid[: shape[0] + 1, : shape[1] + 1] * _BLOCK - 0.5
    place = np.stack([x, y, np.ones_like(x)], axis=-1) @ to_crop.T
    corners = ((place > -0.5) & (place < 1.5)).all(axis=-1)
    inside: NDArray[np.bool_] = corners[1:, 1:] | corners[1:, :-1]
    return inside | corners[:-1, 1:] | corners[:-1, :-1]
