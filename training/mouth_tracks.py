"""Phones with their times -> what a mouth does: the truth that the ear learns and is measured by.

Each phone has a target for the lips' opening and width and a weight with which it insists on
each. Targets are blended by overlapping dominance that falls off exponentially with the distance
from the phone, after Cohen and Massaro, "Modeling coarticulation in synthetic visual speech"
(1993): a vowel's rounding spreads over the consonants that don't care. Two gestures don't blend:
the lips' closure in p, b, m and the lower lip under the teeth in f, v override the opening.

Phones are IPA, as espeak-ng names them; `from_arpabet` maps the ARPAbet of flite and of forced
aligners. The numbers in the tables are ours, set by looking at mouths.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "TARGETS",
    "Segment",
    "at_times",
    "from_arpabet",
    "letters",
    "read_segments",
    "tracks",
]

Floats = NDArray[np.float64]

FINE_RATE: Final = 400  # the grid on which the curves are drawn, values a second
OPEN_FALL: Final = 28.0  # 1/s: how fast a phone's say in the opening fades outside it
WIDTH_FALL: Final = 16.0  # rounding begins earlier and lasts longer
SHORTEST_PAUSE: Final = 0.06  # seconds; a shorter silence is part of the phone before it
LIPS_INERTIA: Final = 0.05  # seconds: length of the smoothing window over all curves


class Segment(NamedTuple):
    """One phone, from ``start`` to ``end`` seconds; an empty ``phone`` is a pause."""

    start: float
    end: float
    phone: str


@dataclass(frozen=True)
class Target:
    """What one phone asks of the mouth.

    Attributes:
        opening: 0 (lips together) .. 1 (as wide as speech gets).
        width: -1 (pursed) .. 0 (neutral) .. 1 (spread).
        insists_opening: the weight of ``opening`` against the neighbours'.
        insists_width: the weight of ``width`` against the neighbours'.
        close: how far the lips are pressed together, 0..1.
        lip_teeth: how far the lower lip is under the upper teeth, 0..1.
    """

    opening: float
    width: float
    insists_opening: float = 1.0
    insists_width: float = 1.0
    close: float = 0.0
    lip_teeth: float = 0.0


PAUSE: Final = Target(0, 0, 1.3, 0.5)

VOWELS: Final[dict[str, tuple[float, float]]] = {
    "a": (0.90, 0.10), "æ": (0.80, 0.35), "ɑ": (0.95, -0.05), "ɒ": (0.75, -0.35),
    "ɐ": (0.75, 0.00), "ʌ": (0.65, 0.00), "ɔ": (0.65, -0.50), "o": (0.45, -0.70),
    "ʊ": (0.30, -0.65), "u": (0.20, -0.90), "ɯ": (0.25, 0.20), "ɤ": (0.40, 0.10),
    "ə": (0.40, 0.00), "ɜ": (0.45, -0.05), "ɚ": (0.40, -0.15), "ɝ": (0.40, -0.15),
    "ɛ": (0.60, 0.35), "e": (0.42, 0.50), "ɪ": (0.30, 0.45), "i": (0.20, 0.75),
    "ɨ": (0.25, 0.30), "y": (0.20, -0.75), "ʏ": (0.28, -0.60), "ø": (0.40, -0.60),
    "œ": (0.55, -0.45), "ᵻ": (0.27, 0.35), "ɘ": (0.40, 0.10), "ɵ": (0.38, -0.40),
    "ʉ": (0.22, -0.70),
}  # fmt: skip

CONSONANTS: Final[dict[str, Target]] = {
    "pbmɓ": Target(0.00, 0.00, 1.20, 0.15, close=1.0),
    "fvɱʋ": Target(0.10, 0.10, 1.00, 0.30, lip_teeth=1.0),
    "βɸ": Target(0.08, 0.00, 1.00, 0.30, close=0.6),
    "wʍɥ": Target(0.12, -0.90, 1.00, 1.20),
    "θð": Target(0.20, 0.10, 0.80, 0.20),
    "tdnsz": Target(0.14, 0.15, 0.80, 0.25),
    "lɬɫɾ": Target(0.25, 0.10, 0.60, 0.20),
    "ʃʒʂʐ": Target(0.16, -0.45, 0.90, 0.80),
    "ɕʑ": Target(0.14, 0.15, 0.90, 0.50),
    "rɹɻʀʁ": Target(0.22, -0.25, 0.60, 0.50),
    "kɡgŋxɣqχcɟɲʎç": Target(0.25, 0.05, 0.35, 0.15),
    "j": Target(0.20, 0.55, 0.70, 0.70),
    "hɦʔħʕ": Target(0.35, 0.00, 0.12, 0.08),
}

TARGETS: Final[dict[str, Target]] = {
    **{phone: Target(*shape) for phone, shape in VOWELS.items()},
    **{phone: target for phones, target in CONSONANTS.items() for phone in phones},
}

ARPABET: Final[dict[str, str]] = {
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "ay": "aɪ", "b": "b",
    "ch": "tʃ", "d": "d", "dh": "ð", "eh": "ɛ", "er": "ɜ", "ey": "eɪ", "f": "f", "g": "ɡ",
    "hh": "h", "ih": "ɪ", "iy": "i", "jh": "dʒ", "k": "k", "l": "l", "m": "m", "n": "n",
    "ng": "ŋ", "ow": "oʊ", "oy": "ɔɪ", "p": "p", "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t",
    "th": "θ", "uh": "ʊ", "uw": "u", "v": "v", "w": "w", "y": "j", "z": "z", "zh": "ʒ",
    "pau": "", "ssil": "", "sil": "", "sp": "", "spn": "",
}  # fmt: skip


def from_arpabet(phone: str) -> str:
    """Return the IPA of an ARPAbet phone in either case, with or without a stress digit.

    Raises:
        KeyError: it is no ARPAbet phone.
    """
    return ARPABET[phone.lower().rstrip("012")]


def read_segments(path: Path) -> list[Segment]:
    """Read ``[{"start": s, "end": s, "phone": p}, ...]``, IPA or (all of it) ARPAbet, as IPA."""
    rows = json.loads(path.read_text("utf-8"))
    segments = [Segment(float(row["start"]), float(row["end"]), row["phone"]) for row in rows]
    if all(segment.phone.lower().rstrip("012") in ARPABET for segment in segments):
        return [segment._replace(phone=from_arpabet(segment.phone)) for segment in segments]
    return segments


def tracks(
    segments: Sequence[tuple[float, float, str]], seconds: float, rate: Fraction | float
) -> NDArray[np.float32]:
    """Return what the mouth does in each video frame.

    Args:
        segments: phones in order of time: (start s, end s, IPA).
        seconds: length of the recording.
        rate: frames a second.

    Returns:
        float32 [round(seconds * rate), 4]: opening 0..1, width -1..1, close 0..1, lip-teeth 0..1,
        each the mean over the frame, which lasts from i / rate to (i + 1) / rate.
    """
    edges = np.arange(round(seconds * rate) + 1) / float(rate)
    curves = _curves(segments, max(seconds, edges[-1]))
    sums = np.cumsum(np.pad(curves, ((0, 0), (1, 0))), axis=1) / FINE_RATE
    grid = np.arange(sums.shape[1]) / FINE_RATE
    at_edges = np.stack([np.interp(edges, grid, total) for total in sums], axis=1)
    return (np.diff(at_edges, axis=0) * float(rate)).astype(np.float32)


def at_times(
    segments: Sequence[tuple[float, float, str]], times: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return the same four curves at moments (seconds, from 0 on), float32 [n, 4]."""
    curves = _curves(segments, float(times.max()) + 1 / FINE_RATE if len(times) else 0.0)
    grid = (np.arange(curves.shape[1]) + 0.5) / FINE_RATE
    return np.stack([np.interp(times, grid, curve) for curve in curves], axis=1).astype(np.float32)


def letters(segments: Sequence[tuple[float, float, str]]) -> list[Segment]:
    """Return one IPA letter a segment, or an empty one for a pause.

    Diphthongs and affricates are split evenly; marks that move no lips are dropped, and silences
    too short to be a pause belong to the phone before them.
    """
    found: list[Segment] = []
    for start, end, name in segments:
        known = [letter for letter in name if letter in TARGETS][:3]
        if known:
            step = (end - start) / len(known)
            found += [
                Segment(start + i * step, start + (i + 1) * step, letter)
                for i, letter in enumerate(known)
            ]
        elif end - start >= SHORTEST_PAUSE:
            found.append(Segment(start, end, ""))
        elif found:
            found[-1] = found[-1]._replace(end=end)
    return [segment for segment in found if segment.end > segment.start]


def _curves(segments: Sequence[tuple[float, float, str]], seconds: float) -> Floats:
    """Return the four curves on the fine grid, float64 [4, ceil(seconds * FINE_RATE)]."""
    t = (np.arange(int(np.ceil(seconds * FINE_RATE - 1e-6))) + 0.5) / FINE_RATE
    units = [(start, end, TARGETS.get(name, PAUSE)) for start, end, name in letters(segments)]
    if not units or not len(t):
        return np.zeros((4, len(t)))
    units = [(-2.0, units[0][0], PAUSE), *units, (units[-1][1], seconds + 2.0, PAUSE)]
    wanted, weight = np.zeros((2, len(t))), np.full((2, len(t)), 1e-6)
    close, lip_teeth = np.zeros(len(t)), np.zeros(len(t))
    for start, end, target in units:
        outside = np.maximum(np.maximum(start - t, t - end), 0.0)
        dominance = np.stack(
            [
                target.insists_opening * np.exp(-OPEN_FALL * outside),
                target.insists_width * np.exp(-WIDTH_FALL * outside),
            ]
        )
        wanted += dominance * [[target.opening], [target.width]]
        weight += dominance
        if target.close or target.lip_teeth:
            held = _hold(t, start, end)
            close = np.maximum(close, target.close * held)
            lip_teeth = np.maximum(lip_teeth, target.lip_teeth * held)
    opening, width = wanted / weight
    opening *= (1 - close) * (1 - 0.75 * lip_teeth)
    return _smooth(np.stack([opening, width, close, lip_teeth]))


def _hold(t: Floats, start: float, end: float) -> Floats:
    """Return a lip gesture: 1 through the whole phone, with ramps of some 50 ms outside it."""
    rise = np.clip(1 - (start - t - 0.005) / 0.06, 0.0, 1.0)
    fall = np.clip(1 - (t - end + 0.010) / 0.05, 0.0, 1.0)
    ramp = np.minimum(rise, fall)
    gesture: Floats = ramp * ramp * (3 - 2 * ramp)
    return gesture


def _smooth(curves: Floats) -> Floats:
    length = int(LIPS_INERTIA * FINE_RATE) | 1
    kernel = np.hanning(length + 2)[1:-1]
    kernel /= kernel.sum()
    padded = np.pad(curves, ((0, 0), (length // 2, length // 2)), mode="edge")
    return np.stack([np.convolve(row, kernel, "valid") for row in padded])
