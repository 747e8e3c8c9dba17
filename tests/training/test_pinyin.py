"""Pinyin as phonemes."""

import pytest

from training.pinyin import phonemes
from training.sentences import MANDARIN, _lists


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("kou3", "kʰou↓"),
        ("bo1", "pwo→"),
        ("shi4", "ʂɨ↘"),
        ("ju2", "ʨy↗"),
        ("yuan2", "ɥɛ↗n"),
        ("wang4", "wa↘ŋ"),
        ("de5", "tɤ"),
        ("zhong1guo2, hao3.", "ꭧʊ→ŋkwo↗, xau↓."),
    ],
)
def test_syllables(written: str, read: str) -> None:
    """Initials, finals and tones are read as Mandarin is, with the tone after the nucleus."""
    assert phonemes(written) == read


def test_every_syllable_of_the_list_can_be_read() -> None:
    """No syllable that a sentence may hold is left as letters with a digit."""
    assert MANDARIN.startswith("cmn")
    for initials, finals in _lists()["pinyin"].items():
        for initial in initials.split() or [""]:
            for final in finals.split():
                assert not any(c.isdigit() for c in phonemes(f"{initial}{final}3"))
