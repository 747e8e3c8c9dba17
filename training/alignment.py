"""Finds when each phone was said, where the synthesiser only knows roughly.

A neural synthesiser lengthens its phonemes in steps of 25 ms and gives spaces a share of their
neighbours, which is too coarse to learn a lip closure from. A network that learned to name phones
from voices with exact times says how likely each phone is in each column; the best path through
the spoken phones in their order (Viterbi) moves each boundary to where that network hears it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.mouth_tracks import TARGETS, Segment
from training.phones import PHONES

__all__ = ["align"]

FARTHEST: Final = 0.15  # seconds that a phone may reach outside its rough time
SHORTEST: Final = 2  # columns of a phone
IMPOSSIBLE: Final = -1e9

_NUMBERS: Final = {phone: number for number, phone in enumerate(PHONES)}


def align(
    segments: Sequence[Segment], likely: NDArray[np.float32], column_seconds: float
) -> tuple[list[Segment], float]:
    """Return the segments, one IPA letter each, with the times at which they are heard.

    Args:
        segments: phones in order; an empty one may turn out to be no pause at all.
        likely: float32 [columns, len(PHONES)], logarithm of each phone's likelihood.
        column_seconds: time from one column to the next; column 0 is at 0 s.

    Returns:
        The segments, and the mean of ``likely`` along the path: how well they fit.
    """
    wanted = _spelled(segments)
    classes = np.array([_NUMBERS[letter] for _, _, letter in wanted])
    states = np.repeat(np.arange(len(wanted)), np.where(classes == 0, 1, SHORTEST))
    first_of = np.r_[True, states[1:] != states[:-1]]
    skips = _skips(classes, states, first_of)
    path, score = _viterbi(_emissions(wanted, classes, states, likely, column_seconds), skips)
    said = states[path]
    edges = np.flatnonzero(np.r_[True, said[1:] != said[:-1], True])
    half = column_seconds / 2
    aligned = [
        Segment(max(low * column_seconds - half, 0.0), high * column_seconds - half,
                wanted[said[low]].phone)
        for low, high in pairwise(edges)
    ]  # fmt: skip
    return aligned, score / len(likely)


def _spelled(segments: Sequence[Segment]) -> list[Segment]:
    """Split diphthongs and affricates, keep every empty phone; begin and end with one."""
    spelled: list[Segment] = []
    for start, end, name in segments:
        known = [letter for letter in name if letter in TARGETS][:3] or [""]
        step = (end - start) / len(known)
        for index, letter in enumerate(known):
            if letter or not spelled or spelled[-1].phone:
                spelled.append(Segment(start + index * step, start + (index + 1) * step, letter))
            else:
                spelled[-1] = spelled[-1]._replace(end=end)
    begin, last = spelled[0].start, spelled[-1].end
    before = [] if not spelled[0].phone else [Segment(0.0, begin, "")]
    after = [] if not spelled[-1].phone else [Segment(last, last, "")]
    return [*before, *spelled, *after]


def _skips(
    classes: NDArray[np.int64], states: NDArray[np.int64], first_of: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Say which states may follow the one before the pause before them."""
    skips = np.zeros(len(states), np.bool_)
    for state in range(2, len(states)):
        skips[state] = first_of[state] and classes[states[state - 1]] == 0
    return skips


def _emissions(
    wanted: Sequence[Segment],
    classes: NDArray[np.int64],
    states: NDArray[np.int64],
    likely: NDArray[np.float32],
    column_seconds: float,
) -> NDArray[np.float64]:
    """Return how well each state fits each column, float64 [columns, states]."""
    times = np.arange(len(likely)) * column_seconds
    starts = np.array([segment.start for segment in wanted])
    ends = np.array([segment.end for segment in wanted])
    starts[0], ends[-1] = -np.inf, np.inf
    inside = (times[:, None] >= starts - FARTHEST) & (times[:, None] <= ends + FARTHEST)
    fits = np.where(inside, likely[:, classes], IMPOSSIBLE)
    chosen: NDArray[np.float64] = fits[:, states].astype(np.float64)
    return chosen


def _viterbi(
    emissions: NDArray[np.float64], skips: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], float]:
    """Return the best state of each column and the sum along the path."""
    columns, states = emissions.shape
    steps = np.zeros((columns, states), np.int8)
    score = np.full(states, 2 * IMPOSSIBLE)
    score[:2] = emissions[0, :2]
    for column in range(1, columns):
        options = np.stack(
            [
                score,
                np.r_[2 * IMPOSSIBLE, score[:-1]],
                np.where(skips, np.r_[2 * IMPOSSIBLE, 2 * IMPOSSIBLE, score[:-2]], 2 * IMPOSSIBLE),
            ]
        )
        steps[column] = options.argmax(axis=0)
        score = options.max(axis=0) + emissions[column]
    path = np.empty(columns, np.int64)
    path[-1] = states - 1 if score[-1] >= score[-2] else states - 2
    for column in range(columns - 1, 0, -1):
        path[column - 1] = path[column] - steps[column, path[column]]
    return path, float(score[path[-1]])
