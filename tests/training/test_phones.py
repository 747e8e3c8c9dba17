"""Phones as numbers."""

import numpy as np

from training.mouth_tracks import Segment
from training.phones import LOOKALIKES, PHONES, at_times


def test_phones_at_times() -> None:
    """Each moment has its phone, a diphthong's halves theirs, silence and the outside none."""
    segments = [Segment(0.1, 0.2, "m"), Segment(0.2, 0.4, "aɪ"), Segment(0.4, 0.6, "")]
    numbers = at_times(segments, np.array([0.0, 0.15, 0.25, 0.35, 0.5, 0.7]))
    assert [PHONES[number] for number in numbers] == ["", "m", "a", "ɪ", "", ""]


def test_closures_are_no_lookalikes_of_themselves() -> None:
    """What sounds like a closure holds n and d and none of p, b, m."""
    names = {PHONES[number] for number in LOOKALIKES}
    assert {"n", "d", "v"} <= names
    assert not names & set("pbm")
