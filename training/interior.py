"""Draws what is behind lips that were never filmed open: teeth, gums, tongue.

Nothing is copied from anybody: teeth are rounded boxes with the mean crown widths of adults, shaded
as the front of an arch lit from before the face. The picture has four channels (RGB, opacity) and
two halves: above what is fixed to the skull, below what moves with the jaw.
`functions.infer.interior` says how it is laid out and shows it.

Run as `python -m training.interior [FILE]`; equal code writes equal bytes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from functions.infer.interior import ABOVE, ACROSS, BELOW, PIXELS

Floats = NDArray[np.float64]

TO = Path(__file__).parents[1] / "functions/infer/models/viseme/1/interior.png"
_FINER = 3  # drawn this much larger, then made smaller: smooth edges

_ENAMEL = np.array([0.97, 0.92, 0.84])
_NECK = np.array([0.93, 0.84, 0.70])  # enamel is thinner and yellower at the gum
_EDGE = np.array([0.86, 0.86, 0.84])  # and lets the dark through at its edge
_BETWEEN = np.array([0.36, 0.24, 0.20])  # what is seen between two teeth
_GUM = np.array([0.72, 0.40, 0.39])
_TONGUE = np.array([0.70, 0.37, 0.37])
# How one tooth differs from another, at most: brightness, yellow, width and height (parts of its
# own), place of its edge (half widths), lean.
_UNLIKE, _YELLOW, _WIDER, _TALLER, _LOWER, _LEAN = 0.07, 0.45, 0.05, 0.06, 0.018, 0.06
_SOFT = 0.05  # over which a tooth's side darkens into the gap, in half widths


@dataclass(frozen=True)
class Row:
    """The teeth of one jaw, right half; lengths in half widths of the mouth at rest.

    Args:
        widths: from the midline, as seen from the front.
        heights: of the crowns.
        edges: how much lower each edge is than the first one's.
        points: 0..1, how much each edge comes to a point, as a canine's does.
        edge: y of the first tooth's biting edge.
        rise: how much the edges rise towards the corners, times x squared.
        down: 1 for teeth that hang, -1 for teeth that stand.
        dim: of the teeth's brightness.
    """

    widths: tuple[float, ...]
    heights: tuple[float, ...]
    edges: tuple[float, ...]
    points: tuple[float, ...]
    edge: float
    rise: float
    down: int
    dim: float


@dataclass(frozen=True)
class Tooth:
    """One tooth; lengths in half widths of the mouth at rest.

    Args:
        middle: x.
        half: of its width.
        high: of its crown.
        lower: of its edge, than its row's.
        lean: how far its neck is aside of its edge, times its height.
        bright: 1 for enamel in full light.
        yellow: 0..1.
        point: 0..1, see `Row`.
    """

    middle: float
    half: float
    high: float
    lower: float
    lean: float
    bright: float
    yellow: float
    point: float


# Mean crown widths 8.5, 6.5, 7.6, 7 and 6.8 mm, foreshortened by the arch, in a mouth of 50 mm.
UPPER = Row(
    (0.34, 0.26, 0.23, 0.15, 0.10),
    (0.42, 0.35, 0.41, 0.34, 0.30),
    (0.0, -0.035, 0.01, -0.02, -0.03),
    (0.1, 0.2, 1.0, 0.6, 0.4),
    *(0.15, 0.10, 1, 1.0),
)
# 5.3, 5.7, 6.8 and 7 mm.
LOWER = Row(
    (0.21, 0.22, 0.22, 0.17, 0.12),
    (0.32, 0.33, 0.36, 0.30, 0.28),
    (0.0, 0.005, -0.015, 0.01, 0.02),
    (0.1, 0.1, 0.9, 0.6, 0.4),
    *(-0.03, -0.06, -1, 0.74),
)


def draw() -> NDArray[np.uint8]:
    """The picture, (rows, columns, 4) RGB and opacity."""
    upper = _layer(ABOVE, BELOW)
    _teeth(upper, UPPER, np.random.default_rng(1))
    lower = _layer(ABOVE, BELOW)
    _tongue(lower)
    _teeth(lower, LOWER, np.random.default_rng(2))
    whole = np.concatenate([upper.pixels, lower.pixels])
    small = cv2.resize(whole, None, fx=1 / _FINER, fy=1 / _FINER, interpolation=cv2.INTER_AREA)
    small[..., :3] /= np.maximum(small[..., 3:], 1e-6)
    return np.rint(np.clip(small, 0, 1) * 255).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Layer:
    """(rows, columns, 4) colours times opacity, and opacity, with the places of its pixels."""

    pixels: Floats
    x: Floats
    y: Floats

    def paint(self, colour: Floats, opacity: Floats) -> None:
        """Lays colours (rows, columns, 3) over what is there."""
        over = np.dstack([np.broadcast_to(colour, (*opacity.shape, 3)), np.ones_like(opacity)])
        self.pixels[:] += (over - self.pixels) * opacity[..., None]


def _layer(above: float, below: float) -> Layer:
    step = 1 / (PIXELS * _FINER)
    x = np.arange(-ACROSS + step / 2, ACROSS, step)
    y = np.arange(-above + step / 2, below, step)
    grid_x, grid_y = np.meshgrid(x, y)
    return Layer(np.zeros((len(y), len(x), 4)), grid_x, grid_y)


def _teeth(layer: Layer, row: Row, dice: np.random.Generator) -> None:
    places = np.cumsum([0.0, *row.widths])
    behind = row.edge - row.rise * layer.x**2 - row.down * 0.05
    opacity = _step((behind - layer.y) * row.down / 0.04) * _step(
        (places[-1] - np.abs(layer.x)) / 0.05
    )
    layer.paint(_BETWEEN * (1 - 0.6 * np.clip(np.abs(layer.x), 0, 1))[..., None], opacity)
    _gums(layer, row)
    for side in (-1, 1):
        for at, (left, right) in enumerate(pairwise(places)):
            unlike = dice.uniform(-1, 1, 6)
            middle, half = side * (left + right) / 2, (right - left) / 2
            tooth = Tooth(
                middle,
                # Narrower only, or it would stand on its neighbour.
                half * (0.985 - _WIDER * abs(unlike[2])),
                row.heights[at] * (1 + _TALLER * unlike[3]),
                row.edges[at] + _LOWER * unlike[4],
                _LEAN * unlike[5],
                row.dim * (1 + _UNLIKE * unlike[0]),
                _YELLOW * abs(unlike[1]),
                row.points[at],
            )
            _tooth(layer, row, tooth)


def _tooth(layer: Layer, row: Row, tooth: Tooth) -> None:
    middle, high = tooth.middle, tooth.high
    edge = row.edge - row.rise * middle**2 + tooth.lower
    # 0 at the biting edge, 1 at the neck, whichever way the tooth points.
    along = (edge - layer.y) * row.down / high
    across = (layer.x - middle - tooth.lean * (along - 0.5) * high) / tooth.half
    taper = 1 - 0.10 * np.clip(along, 0, 1) ** 2
    corner = np.clip(1 - along * high / (0.55 * tooth.half), 0, 1)
    rounded = 1 - 0.24 * corner**2
    inside = taper * rounded - np.abs(across)
    bow = along - (0.03 + 0.16 * tooth.point) * across**2
    opacity = (
        _step(inside / 0.03) * _step(bow / 0.02) * _step((1.05 - 0.12 * across**2 - along) / 0.05)
    )
    at = np.clip(along, 0, 1)[..., None]
    yellow = tooth.yellow + (1 - tooth.yellow) * np.clip((at - 0.55) / 0.45, 0, 1)
    colour = _ENAMEL + (_NECK - _ENAMEL) * yellow
    colour = colour + (_EDGE - colour) * np.clip(1 - at / 0.16, 0, 1) * 0.7
    cylinder = 1 - 0.16 * np.clip(np.abs(across), 0, 1) ** 3
    gleam = 0.05 * np.exp(-(((across + 0.15) / 0.3) ** 2) - ((along - 0.45) / 0.22) ** 2)
    arch = 1 - 0.68 * np.clip(np.abs(layer.x), 0, 1.1) ** 2.2
    beside = 1 - 0.3 * np.clip(1 - inside * tooth.half / _SOFT, 0, 1) ** 2
    shade = (cylinder * arch * beside * tooth.bright)[..., None]
    layer.paint(np.clip((colour + gleam[..., None]) * shade, 0, 1), opacity)


def _gums(layer: Layer, row: Row) -> None:
    neck = row.edge - row.down * 0.26 - row.rise * layer.x**2
    opacity = _step((neck - layer.y) * row.down / 0.03) * _step((1.02 - np.abs(layer.x)) / 0.1)
    arch = 1 - 0.6 * np.clip(np.abs(layer.x), 0, 1.1) ** 2
    layer.paint(_GUM * (arch * 0.9)[..., None], opacity)


def _tongue(layer: Layer) -> None:
    top = -0.17 + 0.30 * layer.x**2
    opacity = _step((layer.y - top) / 0.14) * _step((0.72 - np.abs(layer.x)) / 0.25) * 0.95
    groove = 1 - 0.14 * np.exp(-((layer.x / 0.05) ** 2))
    depth = 0.55 + 0.4 * np.clip((layer.y - top) / 0.2, 0, 1)
    gleam = 0.06 * np.exp(
        -(((np.abs(layer.x) - 0.22) / 0.1) ** 2) - ((layer.y - top - 0.12) / 0.05) ** 2
    )
    layer.paint(_TONGUE * (groove * depth)[..., None] + gleam[..., None], opacity)


def _step(x: Floats) -> Floats:
    """0 below -.5, 1 above .5, smooth between."""
    x = np.clip(x + 0.5, 0, 1)
    return x * x * (3 - 2 * x)


def write(to: Path) -> None:
    """Writes the picture as PNG."""
    picture = cv2.cvtColor(draw(), cv2.COLOR_RGBA2BGRA)
    cv2.imwrite(str(to), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else TO)
