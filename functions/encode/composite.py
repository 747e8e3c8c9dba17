"""Putting patches onto frames, in the frame's own YUV 4:2:0, under a feathered mask.

Where the mask is 0 a frame keeps the source's numbers exactly; nothing is converted but the pixels
under the mask.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from functions.patches import Mask
from functions.picture import Affine, Picture, Plane, affine_to_upsampled_chroma

_SHIFT_BITS = 16
"""Fixed-point places that draw the ellipse at a fraction of a pixel."""


class Canvas:
    """One frame's planes in one packed buffer, used again for every frame.

    Args:
        width: pixels, even.
        height: pixels, even.
    """

    def __init__(self, width: int, height: int) -> None:
        self._packed: Plane = np.zeros((height * 3 // 2, width), np.uint8)
        self.picture = Picture.unpack(self._packed)

    def load(self, picture: Picture) -> None:
        """Copies a picture in: the only copy of a whole frame on its way to the encoder."""
        self.picture.take(picture)

    @property
    def data(self) -> memoryview:
        """The packed bytes as ffmpeg's rawvideo takes yuv420p; valid until the next `load`."""
        return self._packed.reshape(-1).data


@dataclass(frozen=True)
class Box:
    """A rectangle of a plane: columns [left, right), rows [top, bottom)."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def empty(self) -> bool:
        """Whether it holds no pixel."""
        return self.right <= self.left or self.bottom <= self.top

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, as OpenCV takes them."""
        return self.right - self.left, self.bottom - self.top

    def of(self, plane: Plane) -> Plane:
        """The rectangle's pixels, a view."""
        return plane[self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True, eq=False)
class Weights:
    """A mask drawn for patches of one size.

    Args:
        plane: (size, size) uint8, 0..255, read-only, 0 along the border.
        support: the smallest rectangle outside of which all is 0.
    """

    plane: Plane
    support: Box


@lru_cache(maxsize=8)
def draw_mask(mask: Mask, size: int) -> Weights:
    """Draws a mask for patches of a size."""
    drawn = np.zeros((size, size), np.uint8)
    scale = size * (1 << _SHIFT_BITS)
    # The part p of the side is at p * size - .5, as pixel centres are whole numbers.
    centre = [round(part * scale) - (1 << (_SHIFT_BITS - 1)) for part in mask.centre]
    radii = [round(part * scale) for part in mask.radii]
    cv2.ellipse(drawn, centre, radii, 0, 0, 360, 255, cv2.FILLED, cv2.LINE_AA, _SHIFT_BITS)
    weights = _without_border(drawn, mask, size)
    if mask.feather > 0:
        blurred = cv2.GaussianBlur(weights, (0, 0), mask.feather * size)
        weights = _without_border(blurred, mask, size)
    weights.setflags(write=False)
    left, top, width, height = cv2.boundingRect(weights)
    return Weights(weights, Box(left, top, left + width, top + height))


def blend(picture: Picture, patch: Plane, affine: Affine, opacity: float, mask: Mask) -> None:
    """Blends a patch into a picture, in place.

    Args:
        picture: writable planes.
        patch: (3, S, S) uint8, YUV 4:4:4 of the picture's own kind.
        affine: (2, 3), picture pixels to patch pixels.
        opacity: 0..1, multiplies the mask.
        mask: over the patch's square.
    """
    weights = draw_mask(mask, patch.shape[1])
    half = affine_to_upsampled_chroma(affine)
    planes = (picture.y, affine), (picture.u, half), (picture.v, half)
    alpha: Plane | None = None
    for index, (plane, mapping) in enumerate(planes):
        box = _reach(weights, mapping, plane.shape)
        if box.empty or opacity <= 0:
            continue
        # V lies where U lies.
        if index < 2:
            alpha = _alpha(weights, mapping, box, opacity)
        assert alpha is not None
        warped = cv2.warpAffine(
            patch[index],
            _moved(mapping, box),
            box.size,
            flags=(cv2.INTER_CUBIC if index == 0 else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        mix(box.of(plane), warped, alpha)


def touched(
    size: tuple[int, int], patch_size: int, affine: Affine, opacity: float, mask: Mask
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pixels `blend` may change.

    Args:
        size: width and height of the picture.
        patch_size: side of the patch.
        affine: picture pixels to patch pixels.
        opacity: 0..1.
        mask: over the patch's square.

    Returns:
        (H, W) for luma and (H / 2, W / 2) for either chroma plane; everything else stays as it is.
    """
    weights = draw_mask(mask, patch_size)
    width, height = size

    def reached(mapping: Affine, shape: tuple[int, int]) -> NDArray[np.bool_]:
        changed = np.zeros(shape, np.bool_)
        box = _reach(weights, mapping, shape)
        if not box.empty and opacity > 0:
            under = _alpha(weights, mapping, box, opacity) > 0
            changed[box.top : box.bottom, box.left : box.right] = under
        return changed

    half = affine_to_upsampled_chroma(affine)
    return reached(affine, (height, width)), reached(half, (height // 2, width // 2))


def mix(under: Plane, over: NDArray[Any], alpha: Plane) -> None:
    """Moves `under` towards `over` by alpha / 255, in place; where alpha is 0 nothing changes."""
    step = cv2.subtract(over, under, dtype=cv2.CV_16S)
    # Both in 16 bits: OpenCV multiplies those four times faster than mixed ones.
    step = cv2.multiply(step, alpha.astype(np.int16), dst=step, scale=1 / 255)
    under[:] = cv2.add(under, step, dtype=cv2.CV_8U)


def _without_border(weights: NDArray[Any], mask: Mask, size: int) -> Plane:
    # At least a pixel, or the warp would carry the border's weight outside.
    strip = max(1, round(mask.border * size))
    inside = np.zeros((size, size), np.uint8)
    inner = slice(strip, size - strip)
    inside[inner, inner] = weights[inner, inner]
    return inside


def _reach(weights: Weights, mapping: Affine, shape: tuple[int, ...]) -> Box:
    """The part of a plane to which the mask reaches."""
    # Interpolation spreads a weight to less than a pixel beyond it.
    xs = weights.support.left - 1, weights.support.right
    ys = weights.support.top - 1, weights.support.bottom
    corners = np.array([[x, y, 1] for x in xs for y in ys], np.float64)
    back = corners @ cv2.invertAffineTransform(mapping.astype(np.float64)).T
    low, high = np.floor(back.min(axis=0)), np.ceil(back.max(axis=0)) + 1
    return Box(
        max(0, int(low[0])),
        max(0, int(low[1])),
        min(shape[1], int(high[0])),
        min(shape[0], int(high[1])),
    )


def _moved(mapping: Affine, box: Box) -> Affine:
    """The mapping for coordinates that start at the box's corner."""
    moved = mapping.astype(np.float64)
    moved[:, 2] += moved[:, :2] @ (box.left, box.top)
    return moved.astype(np.float32)


def _alpha(weights: Weights, mapping: Affine, box: Box, opacity: float) -> Plane:
    warped = cv2.warpAffine(
        weights.plane,
        _moved(mapping, box),
        box.size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return np.asarray(cv2.convertScaleAbs(warped, alpha=min(opacity, 1.0)), np.uint8)
