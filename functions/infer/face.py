"""One frame's face with another mouth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from functions.infer.bank import Bank, Pixels
from functions.infer.choice import TAPER
from functions.infer.flow import SKIN, Field, face_field, fetch, flow, mouth_field, smooth
from functions.infer.graft import between, cover, match_light, move
from functions.infer.interior import Interior, fill, hollow
from functions.infer.lips import Floats, Lips, goal, half_width, place, shape
from functions.picture import Colour

_WIDTH_LIMITS = (0.75, 1.35)  # how far a mouth is brought back to its usual width
_OPEN = 0.03  # of the usual half width: a mouth no wider is shut, as landmarks see it
_LACKING, _FADE = 0.2, 0.2  # how much of an opening real mouths may lack, and then all is drawn


@dataclass(frozen=True, eq=False)
class Face:
    """A face as it is.

    Args:
        crop: (size, size, 3) YUV.
        landmarks: (K, 2), steady.
        seen: (K, 2), the same, where they really are.
    """

    crop: Pixels
    landmarks: Floats
    seen: Floats


@dataclass(frozen=True, eq=False)
class Showing:
    """What a frame is to show.

    Args:
        mouth: (4,), the tracks.
        jaw: how far the jaw is lowered, as an opening.
        around: (2 NEAR + 1,) places in the bank, of this frame and those around it.
        chosen: places with weights.
    """

    mouth: Floats
    jaw: float
    around: NDArray[np.int64]
    chosen: list[tuple[int, float]]


@dataclass(frozen=True, eq=False)
class Painter:
    """Shows mouths on the faces of one footage.

    Args:
        bank: its real mouths.
        interior: the drawing for what they don't show.
        colour: of the footage.
    """

    bank: Bank
    interior: Interior
    colour: Colour

    def show(self, face: Face, showing: Showing) -> Pixels:
        """(3, size, size) YUV of a face whose mouth is as it is to be."""
        size = self.bank.size
        lips = self._lips(face, showing)
        field, inner = face_field(size), mouth_field(size)
        moves, share = flow(field, lips.source, lips.target), between(field, lips.target, 0)
        out = face.crop.copy()
        field.of(out)[:] = fetch(face.crop, field, moves, share, (0, 0))
        under = inner.of(out)
        own = float(TAPER @ self.bank.features[showing.around, 0])
        drawn = _drawn(lips, own)
        alpha = cover(inner, lips.target)
        shown: Floats = under.astype(np.float32)
        if drawn > 0:
            skin = face.crop[SKIN.at(size)].reshape(-1, 3).mean(0)
            shown = fill(under, inner, lips, self.interior, skin, self.colour)
            kept = max(own, 0.0) / lips.goal.aperture
            alpha = alpha * (1 - np.float32(drawn) * hollow(inner, lips.target, kept))
        real = self._graft(under, inner, lips, showing, drawn)
        shown += (real - shown) * alpha[..., None]
        under[:] = np.clip(np.rint(shown), 0, 255)
        return np.ascontiguousarray(out.transpose(2, 0, 1))

    def _lips(self, face: Face, showing: Showing) -> Lips:
        bank = self.bank
        shapes = np.stack([shape(bank.landmarks[at]) for at in showing.around])
        like = np.tensordot(TAPER, shapes, 1)
        hw = half_width(face.landmarks)
        rest = hw * float(np.clip(bank.rest / hw, *_WIDTH_LIMITS))
        wanted = goal(showing.mouth, rest, bank.curve, showing.jaw)
        return place(face.landmarks, face.seen, like.astype(np.float32), wanted)

    def _graft(
        self, under: Pixels, inner: Field, lips: Lips, showing: Showing, drawn: float
    ) -> Floats:
        """(rows, columns, 3): the chosen real mouths where this face's lips are."""
        bank = self.bank
        corner = (inner.rows.start, inner.columns.start)
        unshut = _unshut(lips, bank.least)
        mixed = np.zeros(under.shape, np.float32)
        for at, weight in showing.chosen:
            mouth = move(
                bank.mouths[at], inner, bank.landmarks[at], lips.target, corner, drawn, unshut
            )
            mixed += np.float32(weight) * match_light(mouth, under, inner, lips.target)
        return mixed


def _unshut(lips: Lips, least: float) -> float:
    """0..1, how much further than any real mouth this one is shut."""
    lack = (least - lips.goal.aperture) / lips.goal.rest
    return float(smooth(np.asarray((lack - _OPEN) / _OPEN, np.float32)))


def _drawn(lips: Lips, own: float) -> float:
    """0..1, how much of what real mouths of that opening lack is drawn instead of stretched."""
    aperture = lips.goal.aperture
    lack = (aperture - own) / (aperture + 0.08 * lips.goal.rest)
    return float(smooth(np.asarray((lack - _LACKING) / _FADE, np.float32)))
