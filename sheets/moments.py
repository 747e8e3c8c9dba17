"""Which frames of a talking video are worth a look."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STRIP = 24
"""Consecutive frames in which motion is judged."""

_APART = 8  # frames between two moments of one kind
_HEARD = 0.3  # below it nothing of that kind is said


@dataclass(frozen=True)
class Moment:
    """A frame, and what should be seen in it."""

    what: str
    frame: int


Tracks = NDArray[np.float32]
_KINDS: tuple[tuple[str, int, Callable[[Tracks], Tracks]], ...] = (
    ("closed", 2, lambda mouth: mouth[:, 2]),
    ("open", 2, lambda mouth: mouth[:, 0]),
    # Only where the lips are apart: a mouth at rest is narrow, too.
    ("round", 1, lambda mouth: -mouth[:, 1] * (mouth[:, 0] > 0.15)),
    ("f, v", 1, lambda mouth: mouth[:, 3]),
)


def moments(mouth: Tracks) -> list[Moment]:
    """Two closures, two open vowels, a rounding and an f or v, as far as the voice has them.

    Args:
        mouth: (n, 4), what the ear hears: open, width, close, lipteeth.
    """
    found = []
    for what, count, how_much in _KINDS:
        score = how_much(mouth).copy()
        for _ in range(count):
            best = int(np.argmax(score))
            if score[best] < _HEARD * max(1.0, float(how_much(mouth).max())):
                break
            found.append(Moment(what, best))
            score[max(0, best - _APART) : best + _APART + 1] = -np.inf
    return found


def strip(mouth: Tracks) -> range:
    """The consecutive frames in which the mouth does most."""
    if len(mouth) <= STRIP:
        return range(len(mouth))
    moved = np.abs(np.diff(mouth[:, 0], prepend=mouth[0, 0])) + mouth[:, 2] * 0.1
    busy = np.convolve(moved, np.ones(STRIP), "valid")
    first = int(np.argmax(busy))
    return range(first, first + STRIP)
