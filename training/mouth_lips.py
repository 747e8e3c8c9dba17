"""Where the landmarks of the lower face go: the mouth tracks' part of the renderer.

Coordinates are the crop's, -1..1 from outer edge to outer edge, y down. Lengths called `hw` are
half the width of the mouth's opening.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from functions.infer.mouth import GROUPS, LANDMARKS

_STARTS = np.cumsum([0] + [len(group) for group in GROUPS])
UPPER_OUTER, LOWER_OUTER, UPPER, LOWER, JAW, CHIN, SKULL, PHILTRUM, CHEEKS = (
    slice(int(start), int(start) + len(group))
    for start, group in zip(_STARTS, GROUPS, strict=False)
)
"""Where each group of `functions.infer.mouth` stands among the K landmarks."""

_MIDDLE = 5  # of the eleven points of a lip
_PROFILE = (1 - torch.linspace(-1, 1, 11) ** 2).clamp(0, 1)[None] ** 0.6
_JAW_SHARE = torch.tensor([[0.25, 0.45, 0.65, 0.85, 0.95, 1, 1, 1, 0.95, 0.85, 0.65, 0.45, 0.25]])
_ROUND_HALF_WIDTH = 0.20  # of the opening at full rounding, whatever the face does at rest
_APERTURE = 0.66  # of the opening at open = 1, in hw at rest
# A face mesh reads slits as wider than they are; with this its reading of outputs is straighter.
_CURVE = 1.2
_SLIT = 0.06  # of the opening where lip touches teeth, in hw


def _inward() -> Tensor:
    """(1, K): from the lips' inner edges into their red, away from teeth and shadow, in hw."""
    inward = torch.zeros(1, len(LANDMARKS))
    inward[0, UPPER.start + 1 : UPPER.stop - 1] = -0.04
    inward[0, LOWER.start + 1 : LOWER.stop - 1] = 0.06
    return inward


_INWARD = _inward()


@dataclass(frozen=True)
class Lips:
    """What the tracks ask of the lips.

    Args:
        target: (B, K, 2), where every landmark goes.
        source: (B, K, 2), what is shown there; lips that part are sampled a little inside.
        half_width: (B, 1), hw of the target.
        rest: (B, 1), hw of the face at rest, to which its teeth are in proportion.
        seam: (B, 1), y of the line on which the source's lips would meet, at the middle.
        tilt: (B, 1), how much that line falls from left to right.
        centre: (B, 1), x of the middle between the source's corners.
        parted: (B, 1) in 0..1, whether source or target is open.
    """

    target: Tensor
    source: Tensor
    half_width: Tensor
    rest: Tensor
    seam: Tensor
    tilt: Tensor
    centre: Tensor
    parted: Tensor


def along(points: Tensor, x: Tensor) -> Tensor:
    """Heights of the polyline through a lip's points, held beyond its ends.

    Args:
        points: (B, 11, 2), x growing.
        x: (B or 1, W).

    Returns:
        (B, W).
    """
    start, step = points[:, :-1], points[:, 1:] - points[:, :-1]
    run = step[:, :, :1].clamp(min=1e-3)
    inside = torch.minimum((x[:, None] - start[:, :, :1]).clamp(min=0), run)
    # As a product: onnxruntime's sums over a middle axis are rounded by the size of the batch.
    slope = (step[:, :, 1:] / run).transpose(1, 2)
    return points[:, :1, 1] + (slope @ inside)[:, 0]


def half_width(points: Tensor) -> Tensor:
    """(B, 1): hw of (B, K, 2) landmarks."""
    lip = points[:, UPPER]
    return ((lip[:, -1, 0] - lip[:, 0, 0]) / 2).clamp(min=0.04)[:, None]


def corner_centre(points: Tensor) -> Tensor:
    """(B, 1): x of the middle between the corners of the opening."""
    lip = points[:, UPPER]
    return ((lip[:, 0, 0] + lip[:, -1, 0]) / 2)[:, None]


def seam(points: Tensor) -> Tensor:
    """(B, 1): where the lips meet at the middle; the lower one comes up more."""
    upper, lower = points[:, UPPER][:, _MIDDLE, 1], points[:, LOWER][:, _MIDDLE, 1]
    return (upper + 0.3 * (lower - upper).clamp(min=0))[:, None]


def place(lm: Tensor, mouth: Tensor, gain: Tensor) -> Lips:
    """Where the landmarks go: the source's mouth is closed, then opened as the tracks say."""
    opened, wide, closed, teeth = (mouth[:, index : index + 1] for index in range(4))
    hw, centre, profile = half_width(lm), corner_centre(lm), _PROFILE
    rest = hw * gain[:, 1:]
    rounding = (-wide).clamp(0, 1)
    rounded = torch.minimum(0.6 * rest, torch.full_like(rest, _ROUND_HALF_WIDTH))
    width = rest * (1 + 0.07 * wide.clamp(0, 1)) * (1 - rounding) + rounded * rounding
    aperture = opened.clamp(0, 1) ** _CURVE * rest * _APERTURE * gain[:, :1]
    gap = (lm[:, LOWER, 1] - lm[:, UPPER, 1]).clamp(min=0)
    gap_middle = gap[:, _MIDDLE : _MIDDLE + 1]
    pressed = closed * hw * profile

    upper = 0.30 * gap - (0.22 * aperture + 0.05 * teeth * hw) * profile + 0.02 * pressed
    lower = -0.70 * gap + (0.78 * aperture - 0.03 * teeth * hw) * profile - 0.02 * pressed
    # A rounded mouth pushes its lips out, which shows more of them.
    upper_outer = 0.85 * upper - 0.08 * rounding * hw * profile + 0.03 * pressed
    lower_outer = 0.92 * lower + 0.10 * rounding * hw * profile - 0.05 * pressed
    lower_outer = lower_outer - 0.05 * teeth * hw * profile
    jaw = -0.62 * gap_middle + 0.72 * aperture - 0.03 * teeth * hw

    def move(group: slice, dy: Tensor | float, share: float) -> Tensor:
        x, y = lm[:, group, 0], lm[:, group, 1]
        return torch.stack([x + (x - centre) * ((width / hw - 1) * share), y + dy], -1)

    target = torch.cat(
        [
            move(UPPER_OUTER, upper_outer, 1),
            move(LOWER_OUTER, lower_outer, 1),
            move(UPPER, upper, 1),
            move(LOWER, lower, 1),
            move(JAW, jaw * _JAW_SHARE, 0),
            move(CHIN, jaw, 0.25),
            lm[:, SKULL],
            move(PHILTRUM, 0.35 * upper[:, _MIDDLE : _MIDDLE + 1], 0.4),
            move(CHEEKS, 0.3 * jaw, 0.35),
        ],
        1,
    )
    corners = lm[:, UPPER]
    tilt = (corners[:, -1, 1] - corners[:, 0, 1])[:, None] / (2 * hw)
    parted = (torch.maximum(gap_middle, aperture + _SLIT * teeth * hw) / (0.1 * hw)).clamp(0, 1)
    source = _inside_lips(lm, hw * parted)
    return Lips(target, source, width, rest, seam(lm), tilt, centre, parted)


def _inside_lips(lm: Tensor, hw: Tensor) -> Tensor:
    """Landmarks with the lips' inner edges drawn into the red, away from teeth and shadow."""
    return torch.stack([lm[..., 0], lm[..., 1] + hw * _INWARD], -1)
