"""Teeth, tongue and the dark behind them, where the footage has no open mouth to show.

The drawing (`training/interior.py` makes it) has two halves of one size: above the teeth of the
skull, placed by the line on which closed lips meet, below the jaw's teeth and the tongue, placed by
the lower lip. Lengths in it are half widths of the mouth at rest.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from functions.errors import NotSetUpError
from functions.infer.flow import Field, along, ramp
from functions.infer.lips import LOWER, MIDDLE, UPPER, Floats, Lips, corner_centre, half_width
from functions.picture import Colour, rgb_to_yuv

Pixels = NDArray[np.uint8]

PIXELS: Final = 96
"""Of the drawing, to one half width."""
ACROSS: Final = 1.25
"""From the middle of the drawing to its left and right edge."""
ABOVE: Final = 0.75
"""From a half's origin to its upper edge."""
BELOW: Final = 0.5
"""From a half's origin to its lower edge."""

_DARK = (0.17, 0.06, 0.06)  # RGB of the throat in white light
_BRIGHT, _LEAST, _MOST = 1.18, 0.05, 0.88  # of enamel: times the skin's brightness, plus, at most
_WARM = 0.55  # how much of the skin's tint the light has
_LIP_SHADOW, _SHADOW_REACH = 0.3, 0.22  # how dark, and how far down in hw
_EDGE = 0.0125  # width of the lips' edges, in the crop's coordinates


@dataclass(frozen=True, eq=False)
class Interior:
    """The drawing.

    Args:
        rgb: (2 rows, columns, 3) in 0..1.
        opacity: (2 rows, columns) in 0..1.
    """

    rgb: Floats
    opacity: Floats

    @staticmethod
    def load(path: Path) -> "Interior":
        """Reads the drawing.

        Raises:
            NotSetUpError: it isn't one.
        """
        picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
        high, wide = round((ABOVE + BELOW) * PIXELS) * 2, round(ACROSS * PIXELS) * 2
        if picture is None or picture.shape != (high, wide, 4):
            raise NotSetUpError(f"{path.name} isn't the drawing of a mouth's inside")
        scaled = picture.astype(np.float32) * np.float32(1 / 255)
        return Interior(np.ascontiguousarray(scaled[..., 2::-1]), scaled[..., 3])

    @lru_cache(maxsize=2)  # noqa: B019 -- one drawing a process
    def halves(self, colour: Colour) -> tuple[Pixels, Pixels]:
        """(rows, columns, 4) YUV and opacity, of the skull and of the jaw."""
        yuv = rgb_to_yuv(np.ascontiguousarray(self.rgb.transpose(2, 0, 1)), colour)
        opacity = np.rint(self.opacity * 255).astype(np.uint8)
        whole = np.ascontiguousarray(np.concatenate([yuv, opacity[None]]).transpose(1, 2, 0))
        upper, lower = np.split(whole, 2)
        return upper, lower


def fill(
    face: Pixels, field: Field, lips: Lips, interior: Interior, skin: Floats, colour: Colour
) -> Floats:
    """A mouth whose opening is filled with the drawing.

    Args:
        face: (rows, columns, 3) YUV of the field, the lips where they are wanted.
        field: where it is.
        lips: where they are.
        interior: the drawing.
        skin: (3,) YUV of this face's skin.
        colour: of the pixels.
    """
    hw, y = half_width(lips.target), field.y[:, None]
    upper = along(lips.target[UPPER], field.x)
    seen = hollow(field, lips.target)
    inside = _inside(field, lips, interior, skin, colour)
    shadow = 1 - _LIP_SHADOW * (1 - np.clip((y - upper) / (_SHADOW_REACH * hw), 0, 1))
    black = 0 if colour.full_range else 16
    inside[..., 0] = black + (inside[..., 0] - black) * shadow
    filled: Floats = face + (inside - face) * seen[..., None]
    return filled


def hollow(field: Field, target: Floats, share: float = 0.0) -> Floats:
    """(rows, columns) in 0..1: the opening between the lips.

    Args:
        field: where.
        target: (K, 2) landmarks.
        share: of the opening, from above, that is left out.
    """
    upper, lower = (along(target[lip], field.x) for lip in (UPPER, LOWER))
    gap, y = lower - upper, field.y[:, None]
    side = np.abs(field.x - corner_centre(target)) / half_width(target)
    top = upper + np.float32(share) * gap
    seen = ramp((y - top) / _EDGE) * ramp((lower - y) / _EDGE)
    parted: Floats = seen * (ramp((0.98 - side) / 0.12) * np.clip(gap / 0.008 - 1, 0, 1))
    return parted


def _inside(field: Field, lips: Lips, interior: Interior, skin: Floats, colour: Colour) -> Floats:
    """(rows, columns, 3): all of the inside, as bright and as warm as this face is lit."""
    black, white = (0, 255) if colour.full_range else (16, 219)
    lit = max((float(skin[0]) - black) / white, 0.0)
    bright = min(_BRIGHT * lit + _LEAST, _MOST)
    dark = rgb_to_yuv(np.array(_DARK, np.float32)[:, None, None], colour)[:, 0, 0].astype(
        np.float32
    )
    image = np.tile(dark, (len(field.y), len(field.x), 1))
    x = (field.x - lips.centre) / lips.goal.rest
    level = lips.tilt * (field.x - lips.centre)
    jaw = float(lips.target[LOWER.start + MIDDLE, 1])
    upper, lower = interior.halves(colour)
    for half, origin in ((lower, jaw), (upper, lips.seam)):
        y = (field.y[:, None] - origin - level) / lips.goal.rest
        at_x = np.broadcast_to((x + ACROSS) * PIXELS - 0.5, y.shape)
        at_y = (y + ABOVE) * PIXELS - 0.5
        drawn = cv2.remap(
            half,
            at_x.astype(np.float32),
            at_y.astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
        ).astype(np.float32)
        image += (drawn[..., :3] - image) * (drawn[..., 3:] / 255)
    image[..., 0] = black + (image[..., 0] - black) * bright
    image[..., 1:] = 128 + (image[..., 1:] - 128) * bright + _WARM * bright * (skin[1:] - 128)
    return image
