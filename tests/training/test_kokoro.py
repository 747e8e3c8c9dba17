"""The phones of Kokoro's voices and their times."""

import numpy as np
import pytest

from training.kokoro import EARLY, STEP, _segments


def test_phones_sound_before_their_lengths_say() -> None:
    """All but the first silence moves forward by the time that the voice is early."""
    lengths = np.array([10, 4, 6, 8], np.float32)
    silence, first, second, last = _segments(["", "m", "a", ""], lengths)
    assert silence[:2] == pytest.approx((0, 10 * STEP - EARLY))
    assert first[:2] == pytest.approx((10 * STEP - EARLY, 14 * STEP - EARLY))
    assert second[:2] == pytest.approx((14 * STEP - EARLY, 20 * STEP - EARLY))
    assert last.end == pytest.approx(28 * STEP - EARLY)


def test_a_short_silence_takes_what_it_can() -> None:
    """Where the first silence is shorter than that, the phone after it gives the rest."""
    silence, first, _ = _segments(["", "m", ""], np.array([1, 4, 8], np.float32))
    assert silence.end == silence.start == 0
    assert first[:2] == pytest.approx((0, 5 * STEP - EARLY))


def test_marks_belong_to_their_phones() -> None:
    """Stress is part of the phone after it, length of the phone before it."""
    lengths = np.array([4, 1, 3, 2, 4], np.float32)
    phones = _segments(["", "ˈ", "a", "ː", ""], lengths)
    assert [phone.phone for phone in phones] == ["", "a", ""]
    assert phones[1].end - phones[1].start == pytest.approx(6 * STEP)
