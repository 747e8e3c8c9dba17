"""Phones as numbers: what the network must tell apart while it learns, and what aligns speech.

A network that only sees how far lips open may take any quiet nasal for an m. One that must also
name the phone has to hear what m, n and ŋ differ in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.mouth_tracks import TARGETS, letters

__all__ = ["LOOKALIKES", "PHONES", "at_times"]

PHONES: Final = ("", *sorted(TARGETS))
"""The classes: a pause first, then every letter that a mouth has a target for."""

_NUMBERS: Final = {phone: number for number, phone in enumerate(PHONES)}

LOOKALIKES: Final = tuple(_NUMBERS[phone] for phone in "nɲŋtdkɡvʋwlðβ")
"""Classes that sound like a closure of the lips and are none."""


def at_times(
    segments: Sequence[tuple[float, float, str]], times: NDArray[np.floating]
) -> NDArray[np.uint8]:
    """Return the class at each moment (seconds, ascending), uint8 [n]; outside speech a pause."""
    classes = np.zeros(len(times), np.uint8)
    for start, end, letter in letters(segments):
        low, high = np.searchsorted(times, (start, end))
        classes[low:high] = _NUMBERS.get(letter, 0)
    return classes
