"""Where each pixel of a crop is fetched from, so that landmarks move to where they are wanted.

Radial basis functions carry the landmarks; a dense flow follows by interpolation. What lies above
the mouth's line and what lies below go different ways, or lips could never part. Coordinates are
the crop's, -1..1 from outer edge to outer edge, y down.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from functions.infer.lips import (
    CHEEKS,
    CHIN,
    JAW,
    LOWER,
    LOWER_OUTER,
    PHILTRUM,
    SKULL,
    UPPER,
    UPPER_OUTER,
    Floats,
)
from functions.infer.mouth import LANDMARKS

# How far each group's pull reaches; lips hold their shape, the chin moves as one.
_REACH = ((JAW, 0.14), (CHIN, 0.10), (SKULL, 0.13), (PHILTRUM, 0.07), (CHEEKS, 0.11))
_LIP_REACH = 0.075
_FAR = 0.02  # weight of "no movement": decides how fast a pull dies away
# Below the chin, over which its movement dies away: a collar stays, and a neck isn't folded, which
# begins at 1.5 times what a chin drops at most (.2).
_NECK = 0.36
_PIXELS_PER_NODE = 6.1  # of a crop of 256 pixels; bicubic between the nodes


@dataclass(frozen=True)
class Rectangle:
    """A part of the crop: rows [top, bottom), columns [left, right), 256ths of its side."""

    top: int
    bottom: int
    left: int
    right: int

    def at(self, size: int) -> tuple[slice, slice]:
        """Its rows and columns in a crop of a size that is a multiple of 64."""
        bounds = (self.top, self.bottom, self.left, self.right)
        top, bottom, left, right = (bound * size // 256 for bound in bounds)
        return slice(top, bottom), slice(left, right)


FLOW = Rectangle(48, 248, 20, 236)
"""Outside of it a patch equals the crop."""
MOUTH = Rectangle(72, 216, 36, 220)
"""Where lips can be, with the skin that their seam fades out in."""
SKIN = Rectangle(36, 72, 88, 168)
"""Nose and cheeks below the eyes: how bright this face is lit."""


def _falloff() -> Floats:
    reach = np.full(len(LANDMARKS), _LIP_REACH, np.float32)
    for group, value in _REACH:
        reach[group] = value
    return np.float32(0.5) / reach**2


def _sides() -> Floats:
    """(2, K): which landmarks pull at what lies above the mouth's line, and at what is below."""
    sides = np.ones((2, len(LANDMARKS)), np.float32)
    for group in (LOWER_OUTER, LOWER, JAW, CHIN):
        sides[0, group] = 0
    for group in (UPPER_OUTER, UPPER, PHILTRUM):
        sides[1, group] = 0
    return sides


_FALLOFF, _SIDES = _falloff(), _sides()


@dataclass(frozen=True, eq=False)
class Field:
    """A rectangle of crops of one size, with nodes on which a flow is worked out.

    Args:
        rows: of the crop.
        columns: of the crop.
        x: (columns,) of the pixels' centres.
        y: (rows,) of the pixels' centres.
        nodes: (rows, columns, 2) of the coarse grid.
        window: (rows, columns) of the coarse grid, multiplies the flow.
    """

    rows: slice
    columns: slice
    x: Floats
    y: Floats
    nodes: Floats
    window: Floats

    def of(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The part of a (size, size, channels) image, a view."""
        return image[self.rows, self.columns]


@lru_cache(maxsize=8)
def face_field(size: int) -> Field:
    """All that moves; the flow ends within the mask's ellipse."""
    field = _field(FLOW, size)
    x, y = field.nodes[..., 0], field.nodes[..., 1]
    ellipse = np.hypot(x / 0.90, (y - 0.06) / 0.90).astype(np.float32)
    field.window[:] = smooth((1 - ellipse) / 0.3) * smooth((y + 0.55) / 0.25)
    field.window[:2] = field.window[-2:] = 0
    field.window[:, :2] = field.window[:, -2:] = 0
    return field


@lru_cache(maxsize=8)
def mouth_field(size: int) -> Field:
    """The mouth alone."""
    return _field(MOUTH, size)


def _field(rectangle: Rectangle, size: int) -> Field:
    rows, columns = rectangle.at(size)
    axis = ((np.arange(size) + 0.5) / size * 2 - 1).astype(np.float32)
    high, wide = rectangle.bottom - rectangle.top, rectangle.right - rectangle.left
    down, across = round(high / _PIXELS_PER_NODE), round(wide / _PIXELS_PER_NODE)
    node_y = ((np.arange(down) + 0.5) * high / down + rectangle.top) / 128 - 1
    node_x = ((np.arange(across) + 0.5) * wide / across + rectangle.left) / 128 - 1
    nodes = np.stack(np.meshgrid(node_x, node_y), -1).astype(np.float32)
    window = np.ones(nodes.shape[:2], np.float32)
    return Field(rows, columns, axis[columns], axis[rows], nodes, window)


def flow(field: Field, source: Floats, target: Floats) -> Floats:
    """What to add to a place in the field to find what is shown there.

    Args:
        field: where.
        source: (K, 2) landmarks of the image.
        target: (K, 2), where they are to be.

    Returns:
        (4, rows, columns): x and y above the mouth's line, x and y below it.
    """
    moves = source - target
    pull = _pull(target, target)
    sided = np.stack([moves, moves])
    # Normalised weights flatten the movement; giving back what is missing at the landmarks
    # twice brings lips that must meet within a pixel of each other.
    for _ in range(2):
        sided = sided + (moves - _spread(pull, sided))
    coarse = _spread(_pull(field.nodes.reshape(-1, 2), target), sided)
    nodes = coarse.transpose(0, 2, 1).reshape(4, *field.window.shape) * field.window
    nodes[2:] *= _above_neck(field, target[JAW])
    full, cubic = (len(field.x), len(field.y)), cv2.INTER_CUBIC
    # Plane by plane: arithmetic on interleaved numbers takes several times as long.
    return np.stack([cv2.resize(plane, full, interpolation=cubic) for plane in nodes])


def _above_neck(field: Field, jaw: Floats) -> Floats:
    """(rows, columns) of the coarse grid: 1 down to the jaw's line (13, 2), and 0 on the neck."""
    x, y = field.nodes[0, :, 0], field.nodes[..., 1]
    line = np.interp(x, np.maximum.accumulate(jaw[:, 0]), jaw[:, 1])
    return 1 - smooth((y - line.astype(np.float32)) / np.float32(_NECK))


def _pull(at: Floats, to: Floats) -> Floats:
    """(N, K): how strongly each target landmark pulls at each place."""
    square = (at**2).sum(1)[:, None] - 2 * (at @ to.T) + (to**2).sum(1)
    pull: Floats = np.exp(square * -_FALLOFF)
    return pull


def _spread(pull: Floats, moves: Floats) -> Floats:
    """(2, N, 2): the landmarks' moves (2, K, 2), blended at N places on either side."""
    out = np.empty((2, len(pull), 2), np.float32)
    for side in range(2):
        weights = _SIDES[side][:, None]
        columns = np.concatenate([moves[side] * weights, weights], 1)
        blended = pull @ columns
        out[side] = blended[:, :2] / (blended[:, 2:] + _FAR)
    return out


def fetch(
    image: NDArray[np.uint8], field: Field, sided: Floats, below: Floats, corner: tuple[int, int]
) -> NDArray[np.uint8]:
    """Warps a part of an image.

    Args:
        image: (h, w, channels), the crop or a part of it.
        field: which part of the crop to make.
        sided: from `flow`.
        below: (rows, columns) in 0..1, how much the flow below the mouth's line counts.
        corner: row and column of the crop at which the image begins.
    """
    half = np.float32(1 / float(field.x[1] - field.x[0]))
    columns = np.arange(field.columns.start, field.columns.stop, dtype=np.float32)
    rows = np.arange(field.rows.start, field.rows.stop, dtype=np.float32)[:, None]
    places = []
    for above, under, own, begin in (
        (sided[0], sided[2], columns, corner[1]),
        (sided[1], sided[3], rows, corner[0]),
    ):
        moved = under - above
        moved *= below
        moved += above
        moved *= half
        # In this order a part of an image is sampled at the very places that the whole of it is.
        moved += own
        moved -= np.float32(begin)
        places.append(moved)
    fetched = cv2.remap(
        image, places[0], places[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return fetched.astype(np.uint8, copy=False)


def along(points: Floats, x: Floats) -> Floats:
    """Heights of the curve through a lip's points (11, 2), held beyond its ends."""
    heights = np.interp(x, np.maximum.accumulate(points[:, 0]), points[:, 1])
    step = float(x[1] - x[0])
    row = np.asarray(heights[None], np.float32)
    sigma, edge = 0.016 / step, cv2.BORDER_REPLICATE
    smoothed: Floats = np.asarray(
        cv2.GaussianBlur(row, (0, 0), sigma, borderType=edge), np.float32
    ).reshape(-1)
    return smoothed


def smooth(x: Floats) -> Floats:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0, 1)
    smoothed: Floats = x * x * (3 - 2 * x)
    return smoothed


def ramp(x: Floats) -> Floats:
    """0 below -.5, 1 above .5, straight between: the edge of a shape, anti-aliased."""
    ramped: Floats = np.clip(x + np.float32(0.5), 0, 1)
    return ramped
