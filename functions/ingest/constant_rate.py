"""Mapping source frames, which may come at any time, to a constant rate."""

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TypeVar

Item = TypeVar("Item")

_STANDARD = [
    Fraction(*rate)
    for rate in ((24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (50, 1), (60000, 1001))
] + [Fraction(60)]
_TOLERANCE = Fraction(15, 1000)
_LATEST = Fraction(1, 3)  # of an output frame's time, for a frame to be shown from there


def choose_rate(nominal: Fraction, limit: int) -> Fraction:
    """The constant rate for footage of a nominal rate.

    A rate that is exact stays; one that comes from averaging uneven frames goes to the nearest
    usual one, else to a whole number. Rates above the limit are halved.
    """
    rate = nominal
    while rate > limit:
        rate /= 2
    if rate in _STANDARD or rate.denominator <= 2:
        return max(rate, Fraction(1))
    nearest = min(_STANDARD, key=lambda standard: abs(standard - rate))
    if abs(nearest - rate) <= _TOLERANCE * nearest and nearest <= limit:
        return nearest
    return Fraction(max(1, round(rate)))


def at_constant_rate(
    frames: Iterable[tuple[int, Item]], time_base: Fraction, rate: Fraction
) -> Iterator[tuple[int, Item, int]]:
    """Says how often each source frame is shown.

    Output frame i shows the last source frame that begins within the first third of i's time,
    counted from the first source frame. So frames at the constant rate are shown once each whatever
    their time stamps were rounded to, a long one is repeated, and one too many is left out. A third
    is no place where a frame of twice or four times the rate begins: at the middle, rounding would
    decide which of two is shown, now this one, now that one.

    Args:
        frames: presentation time and frame, in order; a time that steps back counts as none.
        time_base: seconds per unit of the times.
        rate: of the output.

    Yields:
        Presentation time, frame, and how many output frames show it, at least 1.
    """
    begin: int | None = None
    held: tuple[int, Item] | None = None
    shown = 0
    for pts, item in frames:
        if begin is None:
            begin, held = pts, (pts, item)
            continue
        first = math.ceil((pts - begin) * time_base * rate - _LATEST)
        if held is not None and first > shown:
            yield *held, first - shown
            shown = first
        held = (pts, item) if held is None or pts > held[0] else held
    if held is not None:
        yield *held, 1
