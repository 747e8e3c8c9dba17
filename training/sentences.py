"""Sentences for the voices to say: words of our own lists and made-up words, drawn at random.

What a sentence means does not matter to the ear; that all sounds of a language meet does. A third
of the words are made up from syllables, so that sounds meet which no list would bring together.
"""

from __future__ import annotations

import random
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final

__all__ = ["languages", "sentence"]

WORDS: Final = Path(__file__).with_name("words.toml")
MANDARIN: Final = "cmn-latn-pinyin"  # espeak-ng's voice that reads pinyin
MADE_UP_SHARE: Final = 0.33
COMMA_SHARE: Final = 0.1

# Named more than once: more often drawn.
ONSETS: Final = (
    "b", "b", "bl", "br", "ch", "d", "dr", "f", "f", "fl", "fr", "g", "gr", "h", "j", "k", "kl",
    "kr", "l", "m", "m", "m", "n", "p", "p", "p", "pl", "pr", "r", "s", "sh", "sp", "st", "t",
    "tr", "v", "v", "w", "z",
)  # fmt: skip
NUCLEI: Final = (
    "a", "a", "e", "e", "i", "i", "o", "o", "u", "u", "ai", "ei", "ou", "au", "oo", "ee",
)  # fmt: skip
CODAS: Final = (
    "", "", "", "", "n", "m", "p", "t", "k", "s", "r", "l", "f", "b", "nd", "st", "mp",
)  # fmt: skip
CYRILLIC: Final = ("бпмвфгдзклнрстшч", "аеиоуыюя")
HIRAGANA: Final = (
    "あいうえおかきくけこさしすせそたちつてとなにぬねの"
    "はひふへほまみむめもやゆよらりるれろわんばびぶべぼぱぴぷぺぽ"
)


@cache
def _lists() -> dict[str, Any]:
    return tomllib.loads(WORDS.read_text("utf-8"))


def languages() -> list[str]:
    """Return the languages that have words, as espeak-ng names them less the region."""
    return sorted([name for name in _lists() if name != "pinyin"] + [MANDARIN])


def sentence(language: str, chance: random.Random) -> str:
    """Return 4 to 14 words (Mandarin: twice as many syllables) with commas and a full stop.

    Args:
        language: an espeak-ng voice; "en-us" and "en-gb" both speak the words of "en".
        chance: where the choices come from: the same state gives the same sentence.

    Raises:
        KeyError: there are no words for this language.
    """
    count = chance.randint(4, 14)
    if language == MANDARIN:
        words = [_pinyin(chance) for _ in range(count * 2)]
    else:
        key = _list_of(language)
        known = _lists()[key].split()
        words = [
            _made_up(key, chance) if chance.random() < MADE_UP_SHARE else chance.choice(known)
            for _ in range(count)
        ]
    pauses = [word + ("," if chance.random() < COMMA_SHARE else "") for word in words[:-1]]
    return " ".join([*pauses, words[-1]]) + "."


def _list_of(language: str) -> str:
    return language if language in _lists() else language.split("-", maxsplit=1)[0]


def _pinyin(chance: random.Random) -> str:
    table: dict[str, str] = _lists()["pinyin"]
    initials = chance.choices(list(table), [len(key.split()) + 1 for key in table])[0]
    initial = chance.choice(initials.split()) if initials else ""
    return f"{initial}{chance.choice(table[initials].split())}{chance.randint(1, 4)}"


def _made_up(language: str, chance: random.Random) -> str:
    if language == "ja":
        return "".join(chance.choice(HIRAGANA) for _ in range(chance.randint(2, 4)))
    if language == "ru":
        pairs = range(chance.randint(1, 4))
        return "".join(chance.choice(CYRILLIC[0]) + chance.choice(CYRILLIC[1]) for _ in pairs)
    syllables = range(chance.randint(1, 3))
    return "".join(
        chance.choice(ONSETS) + chance.choice(NUCLEI) + chance.choice(CODAS) for _ in syllables
    )
