"""The crop that is painted on: its rectangles, and the arithmetic of pixels and grids."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SIZE = 256


@dataclass(frozen=True)
class Rectangle:
    """Rows [top, bottom) and columns [left, right) of the crop."""

    top: int
    bottom: int
    left: int
    right: int

    def of(self, image: Tensor) -> Tensor:
        """The part of a (..., rows, columns) image."""
        return image[..., self.top : self.bottom, self.left : self.right]

    def within(self, outer: Rectangle) -> Rectangle:
        """The same rectangle, counted from another one's corner."""
        rows, columns = outer.top, outer.left
        return Rectangle(
            self.top - rows, self.bottom - rows, self.left - columns, self.right - columns
        )

    def put(self, image: Tensor, part: Tensor) -> Tensor:
        """The image with this part of it replaced."""
        left = image[..., self.top : self.bottom, : self.left]
        right = image[..., self.top : self.bottom, self.right :]
        band = torch.cat([left, part, right], -1)
        return torch.cat([image[..., : self.top, :], band, image[..., self.bottom :, :]], -2)


FLOW = Rectangle(48, 248, 20, 236)
MOUTH = Rectangle(80, 208, 44, 212)
SKIN = Rectangle(36, 72, 88, 168)  # nose and cheeks below the eyes: how bright this face is lit


def centres(count: int) -> Tensor:
    """(count,): the centres of so many pixels that span -1..1."""
    return (torch.arange(count) + 0.5) / count * 2 - 1


def ramp(x: Tensor) -> Tensor:
    """0 below -.5, 1 above .5, straight between: the edge of a shape, anti-aliased."""
    return (x + 0.5).clamp(0, 1)


def smooth(x: Tensor) -> Tensor:
    """0 below 0, 1 above 1, smooth between."""
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


def bicubic(nodes: int, pixels: int) -> Tensor:
    """(pixels, nodes): Catmull-Rom interpolation between node centres spread over the pixels."""
    at = (torch.arange(pixels) + 0.5) * nodes / pixels - 0.5
    matrix = torch.zeros(pixels, nodes)
    for shift in range(-1, 3):
        node = at.floor() + shift
        far = (at - node).abs()
        near = 1.5 * far**3 - 2.5 * far**2 + 1
        outer = -0.5 * far**3 + 2.5 * far**2 - 4 * far + 2
        weight = torch.where(far <= 1, near, outer)
        matrix[torch.arange(pixels), node.clamp(0, nodes - 1).long()] += weight
    return matrix


def blur(count: int, sigma: float) -> Tensor:
    """(count, count): a Gaussian blur of a row, edges held."""
    at = torch.arange(count, dtype=torch.float32)
    kernel = torch.exp(-((at[:, None] - at[None]) ** 2) / (2 * sigma**2))
    return (kernel / kernel.sum(1, keepdim=True)).T
