"""The sentences that the training voices say."""

import random

import pytest

from training.sentences import languages, sentence


@pytest.mark.parametrize("language", [*languages(), "en-us", "en-gb-scotland"])
def test_sentence(language: str) -> None:
    """Each language says 4 to 28 words that end in a full stop; the same state says the same."""
    texts = [sentence(language, random.Random(seed)) for seed in range(50)]
    for text in texts:
        assert text.endswith(".")
        assert 4 <= len(text.split()) <= 28
        assert not set(text) & set('"\\-')
    assert len(set(texts)) > 45
    assert sentence(language, random.Random(7)) == texts[7]


def test_english_says_every_labial() -> None:
    """A hundred sentences have plenty of what the ear finds hardest: m, p, b, f, v against n, d."""
    text = " ".join(sentence("en", random.Random(seed)) for seed in range(100))
    for letter in "mpbfvnd":
        assert text.count(letter) > 60


def test_pinyin_is_syllables_with_tones() -> None:
    """Mandarin is pinyin with a tone digit after each syllable."""
    words = sentence("cmn-latn-pinyin", random.Random(1)).rstrip(".").replace(",", "").split()
    assert all(word[:-1].isascii() and word[-1] in "1234" for word in words)


def test_unknown_language() -> None:
    """A language without words is refused."""
    with pytest.raises(KeyError):
        sentence("tlh", random.Random(0))
