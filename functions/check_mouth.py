"""How a mouth looks from frame to frame: whether it flickers, and whether it is sharp."""

import cv2
import numpy as np
from numpy.typing import NDArray

from functions.check import Tally
from functions.picture import Affine, Plane

Luma = NDArray[np.float32]

# The ellipse in which mouths are compared, in parts of the crop's side: lips, corners and chin,
# and none of the border of a mask.
_CENTRE, _RADII = (0.5, 0.53), (0.3, 0.29)


def mouth_luma(plane: Plane, affine: Affine, size: int) -> Luma:
    """(size, size) luma of a crop, 0..255.

    Args:
        plane: a picture's luma.
        affine: (2, 3), picture pixels to crop pixels.
        size: the crop's side.
    """
    warped = cv2.warpAffine(
        plane, affine, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped, np.float32)


def flicker(before: Luma, now: Luma, after: Luma) -> float:
    """The mean second difference of three frames in a row, grey levels."""
    return _mean(np.abs(before - 2 * now + after))


def sharpness(luma: Luma) -> float:
    """The mean Laplacian, grey levels."""
    return _mean(np.abs(cv2.Laplacian(luma, cv2.CV_32F)))


def tally_looks(mouths: list[Luma], sources: list[Luma]) -> Tally:
    """Flicker and sharpness of the middle one of three frames in a row, beside the source's.

    Args:
        mouths: three crops.
        sources: the same crops of the source's frames; empty where there is no source.
    """
    return Tally(
        flicker=flicker(*mouths),
        flickers=1,
        source_flicker=flicker(*sources) if sources else 0.0,
        sharpness=sharpness(mouths[1]),
        source_sharpness=sharpness(sources[1]) if sources else 0.0,
    )


def _mean(values: Luma) -> float:
    return float(values[_inside(values.shape[0])].mean())


def _inside(size: int) -> NDArray[np.bool_]:
    place = (np.arange(size) + 0.5) / size
    x, y = (place - _CENTRE[0]) / _RADII[0], (place - _CENTRE[1]) / _RADII[1]
    inside: NDArray[np.bool_] = x[None] ** 2 + y[:, None] ** 2 < 1
    return inside
