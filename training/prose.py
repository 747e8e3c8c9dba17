"""English that people wrote: clauses of the King James Bible and words of a dictionary.

Our own lists hold some hundred everyday words of a language; a neural voice that reads only those
gives its sentences the melody of a list. Both texts are free (the Bible's is from 1611, the
dictionary is SCOWL's) and come from Debian: `bible-kjv`, `bible-kjv-text`, `wamerican`.
"""

from __future__ import annotations

import random
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["clause", "clauses_of", "dictionary_words"]

DICTIONARY: Final = Path("/usr/share/dict/american-english")
PASSAGE: Final = "gen1:1-rev22:21"
DEADLINE: Final = 60  # seconds
WORDS: Final = (4, 22)  # of a clause
_REFERENCE: Final = re.compile(r"^\S*\d+:\d+\s*")
_WORD: Final = re.compile(r"[a-z]{2,12}")


def clause(chance: random.Random) -> str:
    """Return a clause of the Bible.

    Raises:
        OSError: the program `bible` is not installed.
        subprocess.SubprocessError: it failed or took too long.
    """
    return chance.choice(_clauses())


def dictionary_words(chance: random.Random) -> str:
    """Return 4 to 11 words of the dictionary with a comma here and there.

    Raises:
        OSError: the dictionary is not installed.
    """
    count = chance.randint(4, 11)
    return " ".join(
        chance.choice(_dictionary()) + ("," if chance.random() < 0.06 else "")
        for _ in range(count)
    ).rstrip(",")  # fmt: skip


def clauses_of(lines: list[str]) -> list[str]:
    """Return the clauses of verses, ``Book1:2 text`` a line, that are neither short nor long."""
    found: list[str] = []
    for line in lines:
        text = re.sub(r"[\[\]()<>]", "", _REFERENCE.sub("", line.strip()))
        parts = (part.strip() for part in re.split(r"[.;:?!]", text))
        found += [part for part in parts if WORDS[0] <= len(part.split()) <= WORDS[1]]
    return found


@cache
def _clauses() -> list[str]:
    done = subprocess.run(
        ["/usr/bin/bible", "-f", PASSAGE],
        check=True,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    return clauses_of(done.stdout.splitlines())


@cache
def _dictionary() -> list[str]:
    words = DICTIONARY.read_text("utf-8").splitlines()
    return [word for word in words if _WORD.fullmatch(word)]
