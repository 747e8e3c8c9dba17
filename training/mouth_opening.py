"""What is seen between the lips: teeth, tongue and the dark behind them.

Real ones come from a reference frame where it shows any; others are drawn, as bright and as warm
as this face is lit.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from training.mouth_canvas import SIZE, ramp, smooth
from training.mouth_lips import LOWER, UPPER, Lips, along, corner_centre, half_width, seam

Sampler = Callable[[Tensor, Tensor], Tensor]
"""An image's colours (B, 3, H, W) at (B, 2, H, W) places."""

_TEETH_BELOW_SEAM = 0.14  # how far the upper teeth reach below the line of closed lips, in hw
# Where upper teeth meet, in hw from the midline: 8.5, 6.5, 6 and 5 mm seen from the front, of a
# mouth 50 mm wide (mean crown widths, foreshortened by the arch).
_TOOTH_EDGES = (0.0, 0.34, 0.60, 0.84)
_ENAMEL = torch.tensor([0.97, 0.90, 0.80])[:, None, None]
_DARK = torch.tensor([0.17, 0.06, 0.06])[:, None, None]
_TONGUE = torch.tensor([0.62, 0.30, 0.29])[:, None, None]
_DOWN = torch.tensor([0.0, 1.0])[:, None, None]


class Opening:
    """The opening between the lips, in MOUTH.

    Args:
        lips: from `training.mouth_lips.place`.
        identity: (1, 2, H, W) x and y.
        upper: (B, W) y of the upper lip's inner edge.
        lower: (B, W) y of the lower lip's inner edge.
        skin: (B, 3, 1, 1) colour of the face.
    """

    def __init__(
        self,
        lips: Lips,
        identity: Tensor,
        upper: Tensor,
        lower: Tensor,
        skin: Tensor,
    ) -> None:
        self.lips, self.identity, self.skin = lips, identity, skin
        self.lit = skin.mean(1, keepdim=True)
        self.x, self.y = identity[0, :1, 0], identity[0, 1, :, :1]
        self.upper, self.lower = upper[:, None], lower[:, None]
        self.gap = self.lower - self.upper
        self.pixel = 2 / SIZE
        self.hw = lips.half_width[:, :, None]
        across = (self.x - corner_centre(lips.target)) / lips.half_width
        self.between = ramp((0.98 - across.abs()) / 0.12)[:, None]
        self.below_upper = self.y - self.upper

    def fill(self, skin: Tensor, sample: Sampler, ref: Tensor, ref_lm: Tensor) -> Tensor:
        """The (B, 3, H, W) warped skin with the opening filled and the seam of closed lips."""
        seen = ramp(self.below_upper / (1.6 * self.pixel))
        seen = seen * ramp((self.lower - self.y) / (1.6 * self.pixel))
        seen = seen * (self.between * ((self.gap - self.pixel) / self.pixel).clamp(0, 1))
        inside = self.drawn()
        real, weight = self.real(sample, ref, ref_lm)
        inside = inside + (real - inside) * weight
        shade = 0.75 + 0.25 * (self.below_upper / (0.2 * self.hw)).clamp(0, 1)
        inside = inside * shade[:, None]
        filled = skin + (inside - skin) * seen[:, None]
        return filled * (1 - self.seam()[:, None])

    def seam(self) -> Tensor:
        """(B, H, W): how much to darken where lips that were apart now touch."""
        middle = (self.upper + self.lower) / 2
        near = (1 - (self.y - middle).abs() / (2.2 * self.pixel)).clamp(min=0)
        touching = ((2.2 * self.pixel - self.gap) / self.pixel).clamp(0, 1)
        return near * (touching * self.between * self.lips.parted[:, :, None] * 0.35)

    def drawn(self) -> Tensor:
        """(B, 3, H, W): teeth over tongue over darkness."""
        lips = self.lips
        place = (self.x - lips.centre) / lips.rest
        meet = sum((1 - ((place.abs() - edge) / 0.05).abs()).clamp(min=0) for edge in _TOOTH_EDGES)
        edge = (
            lips.seam
            + lips.tilt * (self.x - lips.centre)
            + lips.rest * (_TEETH_BELOW_SEAM - 0.08 * place**2 - 0.03 * meet)
        )
        teeth = ramp((edge[:, None] - self.y) / (2.4 * self.pixel))[:, None]
        shade = (1 - 0.12 * meet) * (1 - 0.62 * place.abs().clamp(max=1.1) ** 2.4)
        bright = (1.12 * self.lit + 0.06).clamp(max=0.88)
        tint = 0.65 + 0.35 * self.skin / self.lit.clamp(min=0.02)
        enamel = _ENAMEL * tint * (shade[:, None, None] * bright)
        deep = (self.below_upper / self.gap.clamp(min=1e-3)).clamp(0, 1)
        wide_open = ((self.gap / self.hw - 0.3) / 0.25).clamp(0, 1)
        tongue = ramp((deep - 0.78 - 0.2 * place[:, None] ** 2) / 0.3) * wide_open
        flesh = (_TONGUE - _DARK) * tongue[:, None]
        behind = (_DARK + flesh) * (self.lit * (0.6 + 0.5 * deep[:, None]))
        return behind + (enamel - behind) * teeth

    def real(self, sample: Sampler, ref: Tensor, ref_lm: Tensor) -> tuple[Tensor, Tensor]:
        """The reference frame's opening, moved to where this frame's teeth are, and its weight."""
        lips, pixel = self.lips, self.pixel
        dx = lips.centre - corner_centre(ref_lm)
        dy = (lips.seam - seam(ref_lm))[:, :, None]
        x, y = self.x - dx, self.y - dy
        hw = half_width(ref_lm)
        upper, lower = along(ref_lm[:, UPPER], x), along(ref_lm[:, LOWER], x)
        top, bottom = (upper + 0.03 * hw)[:, None], (lower - 0.06 * hw)[:, None]
        # A lip raised higher than the reference's shows more of the teeth: their top, held.
        lift = (top + pixel - y).clamp(min=0)[:, None] * _DOWN
        moved = self.identity - torch.cat([dx[:, :, None], dy], 1)[..., None]
        shown = sample(ref.expand(lips.seam.shape[0], -1, -1, -1), moved + lift)
        across = (x - corner_centre(ref_lm)).abs() / hw
        enough = ((lower - upper) / hw - 0.12) / 0.06
        column = (ramp((0.88 - across) / 0.1) * enough.clamp(0, 1))[:, None]
        weight = ramp((bottom - y) / (3 * pixel)) * column
        teeth = ramp((y - top) / pixel) * ramp(((top + bottom) / 2 - y) / (4 * pixel)) * column
        return shown, (weight * self._shows_teeth(shown, teeth))[:, None]

    def _shows_teeth(self, shown: Tensor, where: Tensor) -> Tensor:
        """(B, 1, 1) in 0..1: whether what is seen there is as bright as teeth in this light."""
        # One sum for both, as with the edges of the lips: one row alone is added up otherwise.
        bright, area = torch.stack([shown.mean(1) * where, where], 1).sum((2, 3)).unbind(1)
        bright = bright / (area + 1)
        return smooth((bright[:, None, None] / self.lit[:, 0] - 0.45) / 0.15)
