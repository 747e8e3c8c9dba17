"""What the mouth does at phones: the properties that make the tracks a truth to measure by."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.mouth_tracks import (
    ARPABET,
    TARGETS,
    Segment,
    at_times,
    from_arpabet,
    read_segments,
    tracks,
)

OPEN, WIDTH, CLOSE, LIP_TEETH = range(4)


def word(*phones: str, each: float = 0.15, start: float = 0.5) -> list[Segment]:
    """Phones of equal length after half a second of silence."""
    return [
        Segment(start + i * each, start + (i + 1) * each, phone) for i, phone in enumerate(phones)
    ]


def at(phones: list[Segment], index: int) -> np.ndarray:
    """The mouth in the middle of one phone."""
    start, end, _ = phones[index]
    return at_times(phones, np.array([(start + end) / 2]))[0]


def test_silence_is_closed() -> None:
    """With no phones, and well before and after them, the mouth rests closed."""
    assert not tracks([], 2.0, 25).any()
    rest = tracks(word("m", "a"), 3.0, 25)
    assert np.abs(rest[:8, OPEN]).max() < 0.02
    assert np.abs(rest[-30:, OPEN]).max() < 0.02


@pytest.mark.parametrize("bilabial", ["p", "b", "m"])
def test_bilabials_seal_the_lips(bilabial: str) -> None:
    """Between two open vowels p, b and m shut the lips wholly, for at least two frames."""
    phones = word("a", bilabial, "a")
    middle = at(phones, 1)
    assert middle[CLOSE] > 0.98
    assert middle[OPEN] < 0.02
    assert (tracks(phones, 1.5, 25)[:, CLOSE] > 0.9).sum() >= 2


@pytest.mark.parametrize("consonant", ["n", "t", "d", "k", "l", "s"])
def test_other_consonants_do_not(consonant: str) -> None:
    """n, t, d and the like never press the lips together."""
    mouth = tracks(word("a", consonant, "a"), 1.5, 25)
    assert mouth[:, CLOSE].max() == 0
    assert at(word("a", consonant, "a"), 1)[OPEN] > 0.1


@pytest.mark.parametrize("consonant", ["f", "v"])
def test_labiodentals(consonant: str) -> None:
    """An f or v lays the lip under the teeth, which isn't a closure."""
    middle = at(word("a", consonant, "a"), 1)
    assert middle[LIP_TEETH] > 0.98
    assert middle[CLOSE] == 0


def test_vowels_by_opening_and_width() -> None:
    """The vowel a opens widest, i is spread, u is pursed and narrow."""
    a, i, u = (at(word("t", vowel, "t"), 1) for vowel in "aiu")
    assert a[OPEN] > i[OPEN] > 0
    assert a[OPEN] > u[OPEN]
    assert i[WIDTH] > a[WIDTH] > u[WIDTH]
    assert u[WIDTH] < -0.4


def test_rounding_spreads_over_consonants() -> None:
    """Lips are already round in the s of "su" and not in the s of "si"."""
    assert at(word("s", "u"), 0)[WIDTH] < at(word("s", "i"), 0)[WIDTH] - 0.2


def test_diphthong_moves() -> None:
    """aɪ begins open and ends narrow."""
    phones = word("t", "aɪ", "t", each=0.3)
    early, late = at_times(phones, np.array([0.88, 1.02]))
    assert early[OPEN] > late[OPEN] + 0.2
    assert late[WIDTH] > early[WIDTH]


PHONES = st.lists(
    st.tuples(
        st.sampled_from([*TARGETS, "", "aɪ", "tʃ", "ˈ"]),
        st.floats(0.0, 0.4, allow_nan=False),
    ),
    max_size=12,
)
RATES = st.sampled_from([Fraction(25), Fraction(30_000, 1001), 24.0, Fraction(60), Fraction(50, 3)])


@settings(max_examples=80, deadline=None)
@given(phones=PHONES, rate=RATES, seconds=st.floats(0.0, 4.0))
def test_ranges_and_length(
    phones: list[tuple[str, float]], rate: Fraction | float, seconds: float
) -> None:
    """Whatever is said: one row a frame, every value in its range, no opening when sealed."""
    segments, start = [], 0.1
    for phone, length in phones:
        segments.append(Segment(start, start + length, phone))
        start += length
    mouth = tracks(segments, seconds, rate)
    assert mouth.shape == (round(seconds * rate), 4)
    assert mouth.dtype == np.float32
    assert np.isfinite(mouth).all()
    low, high = np.array([0, -1, 0, 0]) - 1e-5, np.array([1, 1, 1, 1]) + 1e-5
    assert ((mouth >= low) & (mouth <= high)).all()
    assert (mouth[:, OPEN] <= 1 - mouth[:, CLOSE] + 0.12).all()


def test_rates_agree() -> None:
    """A frame of 25 a second is the mean of its four frames of 100 a second."""
    phones = word("m", "aɪ", "b", "oʊ", "f", "i")
    slow, fast = tracks(phones, 2.0, 25), tracks(phones, 2.0, 100)
    np.testing.assert_allclose(slow, fast.reshape(-1, 4, 4).mean(axis=1), atol=1e-5)


def test_arpabet() -> None:
    """ARPAbet is read in both cases and with stress digits; anything else is refused."""
    assert from_arpabet("AA1") == from_arpabet("aa") == "ɑ"
    assert from_arpabet("pau") == ""
    assert all(set(ipa) <= TARGETS.keys() for ipa in ARPABET.values())
    with pytest.raises(KeyError):
        from_arpabet("ü")


def test_read_segments(tmp_path: Path) -> None:
    """A file of ARPAbet comes as IPA, a file of IPA as it is (its y is no ARPAbet y)."""
    path = tmp_path / "a.json"

    def read(*phones: str) -> list[str]:
        rows = [{"start": i, "end": i + 1, "phone": phone} for i, phone in enumerate(phones)]
        path.write_text(json.dumps(rows), "utf-8")
        return [segment.phone for segment in read_segments(path)]

    assert read("pau", "Y", "UW1") == ["", "j", "u"]
    assert read("y", "ø") == ["y", "ø"]


def test_samples_have_phones_we_know() -> None:
    """Each phone of the voices that ship moves the mouth or is a pause."""
    root = Path(__file__).parents[2]
    for name in ("functions/samples/voice", "tests/fixtures/voice_zh"):
        segments = read_segments(root / f"{name}.phones.json")
        assert len(segments) > 30
        for _, _, phone in segments:
            assert not phone or TARGETS.keys() & set(phone)
