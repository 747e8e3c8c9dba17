"""Pictures as they come out of a video: 8-bit YUV 4:2:0 planes, with what their colours mean.

No frame is converted whole, but for a poster. A model's crop is warped out of the three planes and
only the crop becomes RGB; a patch becomes YUV before it goes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from functions.colour import Colour as Colour  # noqa: PLC0414 -- pictures and their colours go together

Plane = NDArray[np.uint8]
Planes = Sequence[NDArray[np.uint8]] | Sequence[NDArray[np.float32]] | NDArray[np.float32]
"""Three planes of one size."""
Affine = NDArray[np.float32]
"""(2, 3): maps (x, y, 1) to (x', y'), pixel centres at whole numbers."""

_ENLARGED = 1.25  # times: by so much only crops of portraits and of small faces are
# Kr and Kb of ITU-R BT.601, BT.709 and BT.2020 (non-constant luminance).
_LUMA_WEIGHTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}


@dataclass(frozen=True, eq=False)
class Picture:
    """One frame: `y` (H, W), `u` and `v` (H/2, W/2), uint8; H and W are even.

    Planes may be read-only views into a decoder's memory.
    """

    y: Plane
    u: Plane
    v: Plane

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.y.shape[1])

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.y.shape[0])

    def cut(self, x: int, y: int, width: int, height: int) -> "Picture":
        """The rectangle at (x, y), without copying; all four numbers are even and inside."""
        luma = (slice(y, y + height), slice(x, x + width))
        chroma = (slice(y // 2, (y + height) // 2), slice(x // 2, (x + width) // 2))
        return Picture(self.y[luma], self.u[chroma], self.v[chroma])

    def take(self, other: "Picture") -> None:
        """Copies another picture of the same size into these planes, which must be writable."""
        np.copyto(self.y, other.y)
        np.copyto(self.u, other.u)
        np.copyto(self.v, other.v)

    def packed(self) -> Plane:
        """The planes as one (H * 3 / 2, W) array, the way PyAV and ffmpeg take yuv420p."""
        planes = [plane.reshape(-1) for plane in (self.y, self.u, self.v)]
        return np.concatenate(planes).reshape(-1, self.width)

    @staticmethod
    def unpack(packed: Plane) -> "Picture":
        """The opposite of `packed`, without copying."""
        height, width = packed.shape[0] * 2 // 3, packed.shape[1]
        flat = packed.reshape(-1)
        luma, chroma = height * width, (height // 2) * (width // 2)
        half = (height // 2, width // 2)
        return Picture(
            flat[:luma].reshape(height, width),
            flat[luma : luma + chroma].reshape(half),
            flat[luma + chroma : luma + 2 * chroma].reshape(half),
        )


@cache
def _to_rgb(colour: Colour) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(3, 3) matrix and (3,) offset: rgb in 0..1 = matrix @ (yuv - offset)."""
    kr, kb = _LUMA_WEIGHTS[colour.matrix]
    kg = 1 - kr - kb
    y_scale, c_scale, y_offset = (255.0, 255.0, 0.0) if colour.full_range else (219.0, 224.0, 16.0)
    red, blue = 2 * (1 - kr), 2 * (1 - kb)
    matrix = np.array(
        [[1, 0, red], [1, -blue * kb / kg, -red * kr / kg], [1, blue, 0]], dtype=np.float64
    )
    scaled = matrix / np.array([y_scale, c_scale, c_scale])
    return scaled.astype(np.float32), np.array([y_offset, 128, 128], dtype=np.float32)


@cache
def _to_yuv(colour: Colour) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(3, 3) matrix and (3,) offset: yuv = matrix @ rgb + offset."""
    matrix, offset = _to_rgb(colour)
    return np.linalg.inv(matrix.astype(np.float64)).astype(np.float32), offset


def yuv_to_rgb(
    yuv: Planes, colour: Colour, out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Three planes (H, W) of YUV 4:4:4 in 0..255 to (3, H, W) RGB clipped to 0..1."""
    matrix, offset = _to_rgb(colour)
    rgb = np.empty((3, *yuv[0].shape), np.float32) if out is None else out
    _mix(matrix, yuv, rgb)
    rgb -= (matrix @ offset)[:, None, None]
    np.maximum(rgb, 0, out=rgb)
    return np.minimum(rgb, 1, out=rgb)


def rgb_to_yuv(rgb: NDArray[np.float32], colour: Colour) -> Plane:
    """(3, H, W) RGB in 0..1 to (3, H, W) YUV 4:4:4, rounded to uint8."""
    matrix, offset = _to_yuv(colour)
    yuv = np.empty(rgb.shape, np.uint8)
    mixed = np.empty_like(rgb)
    _mix(matrix, rgb, mixed)
    for values, shift, plane in zip(mixed, offset, yuv, strict=True):
        # Adds, rounds and saturates in one pass; no YUV number is negative.
        cv2.convertScaleAbs(values, plane, 1, float(shift))
    return yuv


def _mix(matrix: NDArray[np.float32], planes: Planes, out: NDArray[np.float32]) -> None:
    """Makes `out` (3, H, W) matrix @ planes.

    Plane by plane, several times as fast as one thin product, and without temporaries: fresh
    memory costs more than the arithmetic.
    """
    term = np.empty(out.shape[1:], np.float32)
    for (first, *rest), mixed in zip(matrix, out, strict=True):
        np.multiply(planes[0], first, out=mixed, dtype=np.float32)
        for plane, weight in zip(planes[1:], rest, strict=True):
            if weight:
                np.multiply(plane, weight, out=term, dtype=np.float32)
                mixed += term  # noqa: PLW2901 -- in place, it is a view of `out`


def crop_rgb(
    picture: Picture,
    affine: Affine,
    size: int,
    colour: Colour,
    out: NDArray[np.float32] | None = None,
    interpolation: int = cv2.INTER_LINEAR,
) -> NDArray[np.float32]:
    """Warps a square crop out of a picture.

    Args:
        picture: the source.
        affine: (2, 3), picture pixels to crop pixels.
        size: the crop's side, pixels.
        colour: what the planes mean.
        out: where to put the crop; None for a new array.
        interpolation: OpenCV's number of it.

    Returns:
        (3, size, size) RGB in 0..1; beyond the picture's border its edge is repeated.
    """
    half = affine_to_upsampled_chroma(affine)

    def warp(plane: Plane, matrix: Affine) -> Plane:
        edge = cv2.BORDER_REPLICATE
        warped: Plane = cv2.warpAffine(
            plane, matrix, (size, size), flags=interpolation, borderMode=edge
        ).astype(np.uint8, copy=False)
        return warped

    yuv = [warp(picture.y, affine), warp(picture.u, half), warp(picture.v, half)]
    return yuv_to_rgb(yuv, colour, out)


def crop_yuv(picture: Picture, affine: Affine, size: tuple[int, int]) -> Plane:
    """Warps a crop out of a picture without converting it.

    Args:
        picture: the source.
        affine: (2, 3), picture pixels to crop pixels.
        size: the crop's width and height, pixels.

    Returns:
        (height, width, 3) YUV; beyond the picture's border its edge is repeated.
    """
    # Each output pixel looks at a few input pixels only: larger pictures are made smaller first.
    zoom = float(np.sqrt(abs(np.linalg.det(affine[:, :2].astype(np.float64)))))
    shrink = max(1, round(0.85 / max(zoom, 1e-3)))
    # What is enlarged is made smaller again in the end; Lanczos keeps fine grain through both, at
    # four times the cost.
    luma = cv2.INTER_LANCZOS4 if zoom > _ENLARGED else cv2.INTER_CUBIC
    planes: list[Plane] = []
    for plane, mapping in (
        (picture.y, affine),
        *((plane, affine_to_upsampled_chroma(affine)) for plane in (picture.u, picture.v)),
    ):
        if shrink > 1:
            plane, mapping = _shrunk(plane, mapping, shrink)  # noqa: PLW2901
        flags = luma if len(planes) == 0 else cv2.INTER_LINEAR
        warped = cv2.warpAffine(plane, mapping, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        planes.append(warped.astype(np.uint8, copy=False))
    crop: Plane = cv2.merge(planes).astype(np.uint8, copy=False)
    return crop


def _shrunk(plane: Plane, mapping: Affine, by: int) -> tuple[Plane, Affine]:
    """A plane made smaller by a whole number, with the mapping for its pixels."""
    height, width = plane.shape[0] // by, plane.shape[1] // by
    cut = plane[: height * by, : width * by]
    small = cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA)
    linear = mapping[:, :2] * by
    offset = mapping[:, 2] + mapping[:, :2].sum(axis=1) * ((by - 1) / 2)
    return small.astype(np.uint8, copy=False), np.column_stack([linear, offset]).astype(np.float32)


def whole_rgb(picture: Picture, colour: Colour) -> Plane:
    """The whole picture as (H, W, 3) uint8 RGB: for a poster, not for every frame."""
    size = (picture.width, picture.height)
    chroma = [cv2.resize(plane, size) for plane in (picture.u, picture.v)]
    yuv = np.stack([picture.y, *chroma]).astype(np.float32)
    rgb: Plane = np.rint(yuv_to_rgb(yuv, colour) * 255).astype(np.uint8)
    return np.ascontiguousarray(rgb.transpose(1, 2, 0))


def affine_to_upsampled_chroma(affine: Affine) -> Affine:
    """Picture-luma-to-crop mapping, restated for a chroma plane warped to the crop's full size.

    Chroma pixel c is centred on luma 2c + .5.
    """
    linear = affine[:, :2]
    return np.column_stack([linear * 2, affine[:, 2] + linear.sum(axis=1) * 0.5]).astype(np.float32)
