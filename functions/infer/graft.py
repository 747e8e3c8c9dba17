"""Real lips on a face: another frame's mouth, warped to where it is wanted and lit like it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from functions.infer.flow import Field, along, fetch, flow, smooth
from functions.infer.interior import hollow
from functions.infer.lips import (
    LOWER,
    LOWER_OUTER,
    UPPER,
    UPPER_OUTER,
    Floats,
    corner_centre,
    gap,
    half_width,
    inside_lips,
    seam,
)

Pixels = NDArray[np.uint8]

_TEETH = 0.6  # of a mouth's own opening that upper teeth may take
_COVERED = 0.9  # of a smaller opening in which nothing is moved; the rest hides under the lip
_SEALING = 0.1  # of an opening, in hw, below which lips begin to be drawn together by their red
_NONE = 1e-4  # an opening that is nothing but rounding
_CELLS = 32  # across a crop, in which light is compared
_REACH = 2.5  # of them, over which light is compared
_DARKEST, _BRIGHTEST = 0.7, 1.4  # of the light's ratio
_TINT = 20.0  # how far a colour may be moved, of 255
_ASIDE, _ABOVE = 1.5, 0.30  # of the patch's ellipse beyond the lips: times hw, plus hw
_FADE = 0.34  # of the ellipse's radius, in which the patch fades out


def between(field: Field, target: Floats, spread: float, fixed: float = 0.0) -> Floats:
    """(rows, columns) in 0..1: 0 above the opening, 1 below it, and straight across it.

    Args:
        field: where.
        target: (K, 2) landmarks.
        spread: 1 to go straight from lip to lip, 0 to step on the line between them.
        fixed: the part of the opening, from above, that stays 0.
    """
    upper, lower = (along(target[lip], field.x) for lip in (UPPER, LOWER))
    hw = half_width(target)
    centre = (target[UPPER.start, 0] + target[UPPER.stop - 1, 0]) / 2
    beyond = np.maximum(np.abs(field.x - centre) / hw - 0.95, 0)
    softness = np.maximum(0.001 + 0.5 * beyond * hw, spread * (lower - upper))
    line = (upper + lower) / 2
    share: Floats = (field.y[:, None] - line) / softness + np.float32(0.5)
    if fixed:
        share = (share - fixed) / np.float32(1 - fixed)
    return np.clip(share, 0, 1)


def move(
    image: Pixels,
    field: Field,
    source: Floats,
    target: Floats,
    corner: tuple[int, int],
    drawn: float = 0.0,
    unshut: float = 0.0,
) -> Pixels:
    """A real mouth with its landmarks at the target's, in the field.

    Its upper teeth belong to the skull: they keep their height, a closing lip comes up over them,
    and in a wider opening the space below them is stretched. Lips that close are drawn together by
    their red.

    Args:
        image: (h, w, 3), the crop or a part of it.
        field: what part of the crop to make.
        source: (K, 2), the real mouth's landmarks.
        target: (K, 2), where they are to be.
        corner: row and column of the crop at which the image begins.
        drawn: 0..1, how much of what the mouth lacks is covered by the drawing.
        unshut: 0..1, how much a mouth that is the most shut of all there are has to shut further:
            then its teeth stay where the skull has them, and both lips come over them.
    """
    own, wanted = gap(source), gap(target)
    whole = _TEETH + (1 - _TEETH) * drawn
    fixed = _COVERED if wanted < own else min(whole * own / max(wanted, 1e-3), _COVERED)
    sealed = min(own, (_SEALING + unshut) * half_width(source))
    part = wanted / max(sealed, 1e-3) if wanted > _NONE else 0.0
    closing = float(np.clip(1 - part, 0, 1)) * min(own / 0.02, 1.0)
    lips = inside_lips(source, half_width(source) * closing)
    share = between(field, target, 1.0, fixed)
    moved = fetch(image, field, flow(field, lips, target), share, corner)
    return _with_teeth(moved, image, field, source, target, corner, unshut) if unshut else moved


def _with_teeth(
    moved: Pixels,
    image: Pixels,
    field: Field,
    source: Floats,
    target: Floats,
    corner: tuple[int, int],
    share: float,
) -> Pixels:
    """A moved mouth, between whose lips is what the skull has there; see `move`."""
    still = np.zeros((4, *moved.shape[:2]), np.float32)
    still[0::2] = corner_centre(source) - corner_centre(target)
    still[1::2] = seam(source) - seam(target)
    teeth = fetch(image, field, still, np.zeros_like(still[0]), corner)
    # In the narrowest slit there is more lip than tooth.
    wide = min(gap(target) / (_SEALING * half_width(target)), 1.0)
    seen = hollow(field, target) * np.float32(share * wide)
    mixed = moved + (teeth.astype(np.float32) - moved) * seen[..., None]
    return np.rint(mixed).astype(np.uint8)


def cover(field: Field, target: Floats) -> Floats:
    """(rows, columns) in 0..1: where a real mouth covers the face, fading into its skin."""
    return smooth((1 - _distance(field.x, field.y, target)) / _FADE)


def match_light(mouth: Pixels, face: Pixels, field: Field, target: Floats) -> Floats:
    """The mouth in the light that falls on the face around it.

    Both are compared on the skin where one fades into the other; how they differ there is spread
    smoothly over the whole mouth.

    Args:
        mouth: (rows, columns, 3) YUV.
        face: of the same size.
        field: where they are.
        target: (K, 2), the landmarks of both.
    """
    rows, columns = face.shape[:2]
    cell = round(2 / float(field.x[1] - field.x[0])) // _CELLS
    small = (columns // cell, rows // cell)
    coarse = [
        cv2.resize(image, small, interpolation=cv2.INTER_AREA).astype(np.float32)
        for image in (face, mouth)
    ]
    x = field.x.reshape(small[0], -1).mean(1)
    y = field.y.reshape(small[1], -1).mean(1)
    distance = _distance(x, y, target)
    skin = np.exp(-(((distance - 1.0) / 0.2) ** 2)) + 1e-3
    weight = cv2.GaussianBlur(skin, (0, 0), _REACH)[..., None]
    seen, shown = (
        cv2.GaussianBlur(image * skin[..., None], (0, 0), _REACH) / weight for image in coarse
    )
    gain = np.clip(seen[..., 0] / np.maximum(shown[..., 0], 1), _DARKEST, _BRIGHTEST)
    tint = np.clip(seen[..., 1:] - shown[..., 1:], -_TINT, _TINT)
    none = np.zeros_like(gain)
    times, plus = (
        cv2.resize(change.astype(np.float32), (columns, rows), interpolation=cv2.INTER_LINEAR)
        for change in (np.dstack([gain, none + 1, none + 1]), np.dstack([none, tint]))
    )
    lit: Floats = mouth * times
    lit += plus
    return lit


def _distance(x: Floats, y: Floats, target: Floats) -> Floats:
    """(rows, columns): from the mouth's middle, in radii of an ellipse around the lips."""
    upper, lower = target[UPPER_OUTER], target[LOWER_OUTER]
    hw = float(upper[-1, 0] - upper[0, 0]) / 2
    middle_x = float(upper[-1, 0] + upper[0, 0]) / 2
    slope = float(upper[-1, 1] - upper[0, 1]) / max(2 * hw, 0.05)
    top, bottom = float(upper[:, 1].min()), float(lower[:, 1].max())
    high = (bottom - top) / 2 + _ABOVE * hw
    dx = (x - middle_x) / (hw * _ASIDE)
    dy = (y[:, None] - (top + bottom) / 2 - slope * (x - middle_x)) / high
    distance: Floats = np.sqrt(dx**2 + dy**2)
    return distance
