"""A turned square of a picture, and the crop that a model sees of it."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from functions.picture import Affine, Colour, Picture, Plane, crop_rgb

_SLACK = 32  # pixels read around a region, so that whole blocks still cover it


@dataclass(frozen=True)
class Region:
    """A turned square of the picture that holds a face.

    Args:
        x: of its centre, picture pixels.
        y: of its centre, picture pixels.
        side: picture pixels.
        angle: radians, by which the face is turned clockwise on the screen.
    """

    x: float
    y: float
    side: float
    angle: float

    def scaled(self, factor: float) -> "Region":
        """The same place, larger or smaller."""
        return Region(self.x, self.y, self.side * factor, self.angle)

    def moved(self, x: float, y: float) -> "Region":
        """The same square elsewhere."""
        return Region(self.x + x, self.y + y, self.side, self.angle)

    def affine(self, size: int) -> Affine:
        """Picture pixels to pixels of an upright crop of this size, its centre in the middle."""
        scale = size / self.side
        cos, sin = np.cos(self.angle) * scale, np.sin(self.angle) * scale
        linear = np.array([[cos, sin], [-sin, cos]])
        shift = size / 2 - linear @ (self.x, self.y)
        return np.column_stack([linear, shift]).astype(np.float32)

    def crop(self, picture: Picture, size: int, colour: Colour) -> NDArray[np.float32]:
        """(3, size, size) in 0..1, upright.

        A region that is more than twice as large is first averaged down: bilinear sampling alone
        would skip pixels and let the landmarks flutter.
        """
        affine = self.affine(size)
        factor = 1 << int(np.log2(max(1.0, self.side / size)))
        around = self._even_box(picture)
        if factor == 1 or around is None:
            return crop_rgb(picture, affine, size, colour)
        x, y, width, height = around
        # Whole blocks only, so that a small pixel is the mean of factor x factor large ones.
        block = 2 * factor
        part = picture.cut(x, y, width // block * block, height // block * block)
        small = Picture(*(_averaged(plane, factor) for plane in (part.y, part.u, part.v)))
        # Pixel s of the small picture is centred on x + factor * s + (factor - 1) / 2.
        linear = affine[:, :2]
        shift = linear @ (np.array([x, y]) + (factor - 1) / 2) + affine[:, 2]
        restated = np.column_stack([linear * factor, shift]).astype(np.float32)
        return crop_rgb(small, restated, size, colour)

    def _even_box(self, picture: Picture) -> tuple[int, int, int, int] | None:
        """x, y, width and height of what this covers of the picture; None when that is little."""
        reach = self.side / 2 * (abs(np.cos(self.angle)) + abs(np.sin(self.angle))) + _SLACK
        x0, y0 = (max(0, int(centre - reach)) & ~1 for centre in (self.x, self.y))
        x1 = min(picture.width, int(self.x + reach)) & ~1
        y1 = min(picture.height, int(self.y + reach)) & ~1
        if min(x1 - x0, y1 - y0) < 2 * _SLACK:
            return None
        return x0, y0, x1 - x0, y1 - y0


def _averaged(plane: Plane, factor: int) -> Plane:
    size = (plane.shape[1] // factor, plane.shape[0] // factor)
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)
