"""Moving roughly known phone times to where they are heard."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.alignment import FARTHEST, align
from training.mouth_tracks import Segment
from training.phones import PHONES, at_times

COLUMN = 1 / 80
WORD = [
    Segment(0.0, 0.3, ""),
    Segment(0.3, 0.4, "m"),
    Segment(0.4, 0.6, "aɪ"),
    Segment(0.6, 0.65, ""),
    Segment(0.65, 0.75, "n"),
    Segment(0.75, 0.95, "a"),
    Segment(0.95, 1.2, ""),
]


def sure_of(segments: list[Segment], seconds: float) -> np.ndarray:
    """What a network that hears exactly these phones would say."""
    said = at_times(segments, np.arange(round(seconds / COLUMN)) * COLUMN)
    likely = np.full((len(said), len(PHONES)), np.log(0.001), np.float32)
    likely[np.arange(len(said)), said] = np.log(0.9)
    return likely


def moved(segments: list[Segment], by: float) -> list[Segment]:
    return [Segment(max(a + by, 0.0), b + by, phone) for a, b, phone in segments]


@settings(max_examples=40, deadline=None)
@given(by=st.floats(-0.1, 0.1))
def test_phones_move_to_where_they_are_heard(by: float) -> None:
    """Whatever way the rough times are off, the found ones are the heard ones, to two columns."""
    aligned, fit = align(moved(WORD, by), sure_of(WORD, 1.2), COLUMN)
    heard = [segment for segment in aligned if segment.phone]
    assert "".join(segment.phone for segment in heard) == "maɪna"
    starts = [0.3, 0.4, 0.5, 0.65, 0.75]
    assert [segment.start for segment in heard] == pytest.approx(starts, abs=2 * COLUMN)
    assert fit > np.log(0.5)


def test_a_space_is_no_pause_when_none_is_heard() -> None:
    """Between two words said without a stop, the empty phone vanishes and leaves no hole."""
    run_together = [segment for segment in WORD if segment != WORD[3]]
    run_together[2] = Segment(0.4, 0.65, "aɪ")
    aligned, _ = align(WORD, sure_of(run_together, 1.2), COLUMN)
    assert [segment.phone for segment in aligned] == ["", "m", "a", "ɪ", "n", "a", ""]
    for one, following in pairwise(aligned):
        assert one.end == following.start


def test_other_words_fit_badly() -> None:
    """Speech that says something else is told by its fit."""
    others = [segment._replace(phone="s" if segment.phone else "") for segment in WORD]
    _, fit = align(others, sure_of(WORD, 1.2), COLUMN)
    _, right = align(WORD, sure_of(WORD, 1.2), COLUMN)
    assert fit < right - 1


def test_no_phone_moves_farther_than_it_may() -> None:
    """A phone that seems to be heard half a second away stays near its rough time."""
    late = moved(WORD, 0.5)
    aligned, _ = align(WORD, sure_of([Segment(0.0, late[0].end, ""), *late[1:]], 1.7), COLUMN)
    first = next(segment for segment in aligned if segment.phone == "m")
    assert first.start <= 0.4 + FARTHEST + 2 * COLUMN
