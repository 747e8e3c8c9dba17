"""Things that come before a mouth, drawn: fingers of the face's own skin, a microphone, hair."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Draw = Callable[[Rgb, tuple[float, float], float], Rgb]
"""Draws onto a picture, at a place, for eyes that are so many pixels apart."""


SKIN = np.array([226.0, 180.0, 160.0])
"""Read off the astronaut's cheek, RGB."""


def fingers(rgb: Rgb, at: tuple[float, float], eyes: float) -> Rgb:
    """Four fingers side by side, lit from above, in the skin of the face's cheek."""
    x, y = at
    drawn = rgb
    for finger in range(4):
        middle = (x, y + (finger * 0.17 - 0.22) * eyes)
        drawn = _rod(drawn, middle, 0.55 * eyes, 0.1 * eyes, SKIN * (0.86 + 0.04 * finger))
    return drawn


def microphone(rgb: Rgb, at: tuple[float, float], eyes: float) -> Rgb:
    """A dark ball before the lips, and its handle."""
    x, y = at
    ball = _rod(rgb, (x, y + 0.1 * eyes), 0.06 * eyes, 0.26 * eyes, np.array([45.0, 45.0, 48.0]))
    drawn = ball.copy()
    low, high = (round(x - 0.08 * eyes), round(y + 0.3 * eyes)), (round(x + 0.08 * eyes), 10_000)
    cv2.rectangle(drawn, low, high, (30, 30, 30), cv2.FILLED)
    return drawn


def hair(rgb: Rgb, at: tuple[float, float], eyes: float) -> Rgb:
    """Dark strands from the forehead to the chin."""
    drawn = rgb.copy()
    for strand in range(9):
        x = at[0] + (strand * 0.12 - 0.5) * eyes
        top, bottom = (round(x), round(at[1] - 0.9 * eyes)), (round(x + 3), round(at[1] + eyes / 2))
        cv2.line(drawn, top, bottom, (40, 30, 25), max(1, round(eyes / 30)), cv2.LINE_AA)
    return drawn


def _rod(
    rgb: Rgb, middle: tuple[float, float], half: float, radius: float, colour: NDArray[np.floating]
) -> Rgb:
    """A lying rod with round ends, darker towards its edges."""
    y, x = np.mgrid[: rgb.shape[0], : rgb.shape[1]]
    along = np.maximum(np.abs(x - middle[0]) - half, 0)
    off = np.hypot(along, y - middle[1]) / radius
    alpha = np.clip((1 - off) * 6, 0, 1)[..., None]
    shaded = (1 - 0.35 * np.clip(off, 0, 1) ** 2)[..., None] * colour
    return np.rint(rgb * (1 - alpha) + shaded * alpha).astype(np.uint8)
