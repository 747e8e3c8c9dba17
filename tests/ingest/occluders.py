"""Things that come before a mouth, drawn: fingers of the face's own skin, a microphone, hair."""

import math
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


def finger(degrees: float, radius: float = 0.11) -> Draw:
    """One finger that points at the mouth: 0 from the picture's right, 90 from below.

    It has the pixels of the face's own forehead, stretched along it, and is darker at its edges.
    """

    def draw(rgb: Rgb, at: tuple[float, float], eyes: float) -> Rgb:
        along = np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])
        y, x = np.mgrid[: rgb.shape[0], : rgb.shape[1]].astype(np.float32)
        # From the tip, a little beyond the mouth, outwards and across.
        tip = np.array(at) - 0.12 * eyes * along
        out = ((x - tip[0]) * along[0] + (y - tip[1]) * along[1]) / eyes
        across = ((y - tip[1]) * along[0] - (x - tip[0]) * along[1]) / eyes
        off = np.hypot(np.minimum(out, 0), across) / radius
        alpha = np.clip((1 - off) * radius * eyes / 1.5, 0, 1)[..., None]
        height, width = rgb.shape[:2]
        # The clip's face is in its middle, its forehead above the eyes.
        u = width / 2 + (np.clip(out, 0, 2) - 1) * 0.25 * eyes
        v = 0.458 * height - (0.44 + 0.4 * across) * eyes
        skin = cv2.remap(rgb, u.astype(np.float32), v.astype(np.float32), cv2.INTER_LINEAR)
        shaded = skin * (1 - 0.35 * np.clip(off, 0, 1) ** 2)[..., None]
        return np.rint(rgb * (1 - alpha) + shaded * alpha).astype(np.uint8)

    return draw


def hand(rgb: Rgb, at: tuple[float, float], eyes: float) -> Rgb:
    """Four such fingers side by side, spread a little, from the right."""
    drawn = rgb
    for number in range(4):
        place = (at[0] - 0.3 * eyes, at[1] + (number * 0.2 - 0.3) * eyes)
        drawn = finger(number * 6.0 - 9.0, 0.11)(drawn, place, eyes)
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
