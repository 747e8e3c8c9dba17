"""Where the landmarks of the lower face go: what the mouth tracks ask of the lips.

Coordinates are the crop's, -1..1 from outer edge to outer edge, y down. Lengths called `hw` are
half the width of the mouth's opening.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from functions.infer.mouth import GROUPS

Floats = NDArray[np.float32]

_STARTS = np.cumsum([0] + [len(group) for group in GROUPS])
UPPER_OUTER, LOWER_OUTER, UPPER, LOWER, JAW, CHIN, SKULL, PHILTRUM, CHEEKS = (
    slice(int(start), int(start) + len(group))
    for start, group in zip(_STARTS, GROUPS, strict=False)
)
"""Where each group of `functions.infer.mouth` stands among the K landmarks."""

LIPS: Final = slice(0, LOWER.stop)
"""The 44 landmarks of the lips: four rows of eleven, from the picture's left to its right."""
MIDDLE: Final = 5
"""Of the eleven points of a lip."""
_ABOUT: Final = slice(MIDDLE - 1, MIDDLE + 2)  # a bow hangs lower in the very middle than beside it

_ACROSS = np.linspace(-1, 1, 11, dtype=np.float32)
_PROFILE = np.clip(1 - _ACROSS**2, 0, 1) ** np.float32(0.6)
_GROWTH = _PROFILE / _PROFILE[_ABOUT].mean()
_JAW_SHARE = np.array(
    [0.25, 0.45, 0.65, 0.85, 0.95, 1, 1, 1, 0.95, 0.85, 0.65, 0.45, 0.25], np.float32
)
_SPREAD = 0.14  # of hw at rest, by how much the widest mouth is wider
_ROUND_HALF_WIDTH = 0.20  # of the opening at full rounding, whatever the face does at rest
_ROUND_SHARE = 0.6  # of hw at rest that is left at full rounding
_APERTURE = 0.82  # of the opening at open = 1, in hw at rest: presenters open 0.6 to 1 so wide
_DRAWN_APERTURE = 0.66  # the same where it is drawn
DRAWN_CURVE: Final = 1.25
"""Exponent of the opening where it is drawn: a viewer, and a face mesh, reads slits with drawn
teeth as wider than they are. Real mouths are read as what they are."""
_SLIT = 0.07  # of the opening where the lower lip touches the teeth, in hw
_DRAWN_SLIT = 0.14  # the same where teeth are drawn: the edges of lips take half of it
_TUCKED = 0.09  # how much less of the lower lip is seen then, in hw
_INWARD_UPPER, _INWARD_LOWER = -0.04, 0.06  # from the lips' inner edges into their red, in hw
_UPPER_SHARE = 0.22  # of an opening that the upper lip makes; the jaw makes the rest
_LEAST = (0, -1, 0, 0)  # of the tracks
_PUSHED, _PRESSED = 0.25, 0.03  # how much of the lips shows more, how much less, in hw
_SEAM = 0.3  # of an open mouth's gap, from above, at which closed lips would meet


@dataclass(frozen=True)
class Goal:
    """What the tracks ask of the mouth in numbers.

    Args:
        aperture: of the opening about its middle, the slit of an f or v included.
        half_width: of the opening.
        teeth: 0..1, how far the lower lip is under the upper teeth.
        pressed: 0..1, how far the lips are pressed together.
        rest: hw of the face at rest, to which its teeth are in proportion.
        jaw: of the opening that the jaw is lowered for; it is heavier than lips.
    """

    aperture: float
    half_width: float
    teeth: float
    pressed: float
    rest: float
    jaw: float


@dataclass(frozen=True, eq=False)
class Lips:
    """Where the landmarks go in one frame.

    Args:
        target: (K, 2), where every landmark goes.
        source: (K, 2), what is shown there; lips that part are sampled a little inside.
        goal: what was asked for.
        seam: y of the line on which the source's lips would meet, at the middle.
        tilt: how much that line falls from left to right.
        centre: x of the middle between the source's corners.
    """

    target: Floats
    source: Floats
    goal: Goal
    seam: float
    tilt: float
    centre: float


def half_width(lm: Floats) -> float:
    """Hw of (K, 2) landmarks."""
    return max(float(lm[UPPER.stop - 1, 0] - lm[UPPER.start, 0]) / 2, 0.04)


def corner_centre(lm: Floats) -> float:
    """X of the middle between the corners of the opening."""
    return float(lm[UPPER.start, 0] + lm[UPPER.stop - 1, 0]) / 2


def gap(lm: Floats) -> float:
    """Height of the opening about its middle."""
    return max(float((lm[LOWER, 1] - lm[UPPER, 1])[_ABOUT].mean()), 0.0)


def seam(lm: Floats) -> float:
    """Y at which the lips meet at the middle; the lower one comes up more."""
    return float(lm[UPPER.start + MIDDLE, 1]) + _SEAM * gap(lm)


def tilt(lm: Floats) -> float:
    """How much the line between the corners falls from left to right."""
    rise = float(lm[UPPER.stop - 1, 1] - lm[UPPER.start, 1])
    return rise / (2 * half_width(lm))


def goal(mouth: Floats, rest: float, curve: float = 1.0, lowered: float | None = None) -> Goal:
    """What tracks (open, width, close, lipteeth) ask of a mouth with this hw at rest.

    Args:
        mouth: (4,).
        rest: hw.
        curve: exponent of the opening.
        lowered: the opening track as the jaw follows it; the lips' own without it.
    """
    opened, wide, pressed, teeth = (float(value) for value in np.clip(mouth, _LEAST, 1))
    rounding = max(-wide, 0.0)
    rounded = min(_ROUND_SHARE * rest, _ROUND_HALF_WIDTH)
    width = rest * (1 + _SPREAD * max(wide, 0.0)) * (1 - rounding) + rounded * rounding
    most, slit = (_APERTURE, _SLIT) if curve == 1 else (_DRAWN_APERTURE, _DRAWN_SLIT)
    aperture = max(opened**curve * rest * most, slit * teeth * width)
    jaw = aperture if lowered is None else float(np.clip(lowered, 0, 1)) ** curve * rest * most
    return Goal(aperture, width, teeth, pressed, rest, jaw)


def shape(lm: Floats) -> Floats:
    """(4, 11, 2): the lips as they are seen, about where they would meet, and level."""
    rows = lm[LIPS].reshape(4, 11, 2).copy()
    rows[..., 0] -= corner_centre(lm)
    rows[..., 1] -= seam(lm) + tilt(lm) * rows[..., 0]
    return rows


def place(lm: Floats, seen: Floats, like: Floats, wanted: Goal) -> Lips:
    """Where a face's landmarks go.

    Args:
        lm: (K, 2), the face as it is, steady.
        seen: (K, 2), the same, where they really are.
        like: the `shape` of real lips to follow.
        wanted: what they are to do.
    """
    hw, centre, own_gap = half_width(lm), corner_centre(lm), gap(lm)
    widen = wanted.half_width / hw - 1
    lips = _alike(lm, like, wanted)
    upper = lips[2, MIDDLE, 1] - lm[UPPER.start + MIDDLE, 1]
    jaw = -0.62 * own_gap + 0.72 * wanted.jaw - 0.06 * wanted.teeth * hw
    target = lm.copy()
    target[LIPS] = lips.reshape(44, 2)
    target[JAW, 1] += jaw * _JAW_SHARE
    target[CHIN, 1] += jaw
    target[PHILTRUM, 1] += 0.35 * upper
    target[CHEEKS, 1] += 0.3 * jaw
    for group, share in ((CHIN, 0.25), (PHILTRUM, 0.4), (CHEEKS, 0.35)):
        target[group, 0] += (lm[group, 0] - centre) * (widen * share)
    parted = float(np.clip(max(gap(seen), wanted.aperture) / (0.1 * hw), 0, 1))
    source = inside_lips(seen, hw * parted)
    return Lips(target.astype(np.float32), source, wanted, seam(lm), tilt(lm), centre)


def inside_lips(lm: Floats, by: float) -> Floats:
    """Landmarks with the lips' inner edges drawn into the red, away from teeth and shadow."""
    drawn = lm.copy()
    drawn[UPPER.start + 1 : UPPER.stop - 1, 1] += _INWARD_UPPER * by
    drawn[LOWER.start + 1 : LOWER.stop - 1, 1] += _INWARD_LOWER * by
    return drawn


def _alike(lm: Floats, like: Floats, wanted: Goal) -> Floats:
    """(4, 11, 2): real lips, brought to the wanted opening where this face's lips are."""
    rows = like.astype(np.float32)
    own, hw = (rows[2, -1, 0] - rows[2, 0, 0]) / 2, wanted.half_width
    narrow = wanted.half_width / max(float(own), 0.04)
    rows[..., 0] *= narrow
    gaps = np.maximum(rows[3, :, 1] - rows[2, :, 1], 0)
    most = float(gaps[_ABOUT].mean())
    # An opening grows by the usual profile and shrinks in proportion, so that it can vanish.
    if wanted.aperture < most:
        change, share = gaps * (wanted.aperture / most - 1), _SEAM
    else:
        change, share = (wanted.aperture - most) * _GROWTH, _UPPER_SHARE
    upper, lower = -share * change, (1 - share) * change
    # A mouth made narrower than it is pushes its lips out, which shows more of them; pressed lips
    # show less.
    full = (_PUSHED * np.clip(1 - narrow, 0, 0.4) - _PRESSED * wanted.pressed) * hw * _PROFILE
    bite = wanted.teeth * hw * _PROFILE
    tucked = 0.92 * lower + full - _TUCKED * bite
    rows[..., 1] += np.stack([0.85 * upper - full, tucked, upper, lower]) - 0.5 * _SLIT * bite
    rows[..., 1] += seam(lm) + tilt(lm) * rows[..., 0]
    rows[..., 0] += corner_centre(lm)
    return rows
