"""Whether a mouth goes with a voice better than with chance, and by how much it is late.

People as they were filmed show far less of what the ear hears than a mouth that the ear moved:
their lips smile, rest open, and run into each other. So what is asked is not how well mouth and
voice go together, but whether they do so at one lag better than at lags that can't be right. These
lags, up to some seconds, say what chance alone does for this very face and voice.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

_LAGS = 2.4
"""Seconds by which mouth and voice are moved against each other, either way."""

_SEARCHED = 0.6  # seconds in which the right lag is looked for
_BESIDE = 0.32  # seconds around it that say nothing of chance: syllables are as long
_SHORTEST = 4.0  # seconds of video; with less there are too few lags that can't be right
# Of three presenters' own 10 to 20 s each stood out; pieces of 5 to 8 s did every third time.
_TELLS = 9.0
_SLOW = 1.0  # seconds; what changes slower than that is the face's expression and pose
_ALMOST_SHUT = 0.02  # added to apertures before their logarithm: lips that part matter most

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Evidence:
    """How a mouth goes with a voice at its best lag.

    Args:
        confidence: how far it stands out there, in deviations of what it does at wrong lags.
        lag: frames by which the mouth comes late.
        seconds: of video that were compared.
    """

    confidence: float
    lag: float
    seconds: float

    @property
    def is_enough(self) -> bool:
        """Whether so much video would show that mouth and voice belong together, if they do."""
        return self.seconds >= _TELLS


def margin(rate: Fraction, frames: int) -> int:
    """Frames of the voice that `evidence` wants on either side of a video."""
    return min(round(_LAGS * rate), frames // 3)


def evidence(apertures: Floats, widths: Floats, mouth: Floats, rate: Fraction) -> Evidence | None:
    """Compares a mouth with a voice at all lags.

    Args:
        apertures: (n,), one a frame, NaN without a face, see `functions.check.aperture`.
        widths: (n,), see `functions.check.width`.
        mouth: (n + 2 x `margin`, 4), what the ear hears: open, width, close, lipteeth.
        rate: frames a second.

    Returns:
        None for a video that is too short, or where nothing moves or nothing is said.
    """
    frames = len(apertures)
    if frames < _SHORTEST * rate:
        return None
    opening = _quick(np.log(apertures + _ALMOST_SHUT), rate)
    pairs = ((opening, mouth[:, 0]), (-opening, mouth[:, 2]), (_quick(widths, rate), mouth[:, 1]))
    scores = sum(_scores(seen, heard, frames, rate) for seen, heard in pairs)
    scores = np.asarray(scores) / len(pairs)
    lags = np.arange(len(scores)) - len(scores) // 2
    near = np.abs(lags) <= _SEARCHED * rate
    best = int(np.argmax(np.where(near, scores, -np.inf)))
    chance = scores[np.abs(lags - lags[best]) > _BESIDE * rate]
    spread = float(chance.std())
    if spread < 1e-6:
        return None
    confidence = float(scores[best] - chance.mean()) / spread
    return Evidence(confidence, vertex(scores, best), float(frames / rate))


def vertex(scores: Floats, best: int) -> float:
    """The lag at a score's peak, in frames, from scores of as many lags on either side of 0."""
    lag = float(best - len(scores) // 2)
    if 0 < best < len(scores) - 1:
        # The vertex of the parabola through the best score and its neighbours.
        before, top, after = (float(score) for score in scores[best - 1 : best + 2])
        bend = before - 2 * top + after
        lag += 0.5 * (before - after) / bend if bend < 0 else 0.0
    return lag


def _scores(seen: Floats, heard: Floats, frames: int, rate: Fraction) -> NDArray[np.float64]:
    """Pearson's correlation at each lag; 0 where one side does not move."""
    reach = (len(heard) - frames) // 2
    found = np.zeros(2 * reach + 1)
    for place, lag in enumerate(range(-reach, reach + 1)):
        said = _quick(heard[reach - lag : reach - lag + frames], rate)
        size = float(np.linalg.norm(seen) * np.linalg.norm(said))
        if size > 1e-9:
            found[place] = float(seen @ said) / size
    return found


def _quick(values: Floats, rate: Fraction) -> NDArray[np.float64]:
    """Less the mean of the second around each value, and 0 where it isn't known."""
    values = np.asarray(values, np.float64)
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(len(values))
    places = np.arange(len(values))
    whole = (
        np.interp(places, places[known], values[known]) if known.any() else np.zeros(len(values))
    )
    width = int(_SLOW * rate) | 1
    padded = np.pad(whole, width // 2, mode="edge")
    quick = whole - np.convolve(padded, np.full(width, 1 / width), "valid")
    quick[~known] = 0
    return np.asarray(quick - quick.mean())
