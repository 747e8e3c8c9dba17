"""Who says what: the speech that the ear learns from and the speech that it is measured on.

Never a voice of both. Each clip depends on its source and its number alone, so that clips can be
made in any order and on any number of cores.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import gcd
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from functions.infer.mel import SAMPLE_RATE
from training import espeak, festival, flite, kokoro, prose
from training.mouth_tracks import ARPABET, Segment, from_arpabet
from training.sentences import MANDARIN, sentence

__all__ = ["HELD_OUT", "SOURCES", "SPOKEN", "Speech", "held_out", "held_out_voice", "of"]

LANGUAGES: Final = (
    "en-us", "en-us", "en", "en-gb-scotland", "en-gb-x-rp", "de", "fr", "es", "it", "pl", "nl",
    "sv", "tr", MANDARIN, MANDARIN, MANDARIN, "ru", "fi", "cs",
)  # fmt: skip
VARIANTS: Final = (
    "", "m1", "m2", "m3", "m4", "m6", "m7", "m8", "f1", "f2", "f4", "f5", "klatt", "klatt2",
    "klatt4", "klatt5", "croak", "Andy", "Annie", "steph", "steph2", "Lee", "linda", "Mario",
    "Alicia", "Andrea", "whisper", "Michael", "ed", "grandpa", "grandma", "anika", "victor",
    "pablo", "Diogo", "travis", "marcelo",
)  # fmt: skip
FLITE_VOICES: Final = ("rms", "rms", "awb", "awb", "awb", "kal16")
# All three are men, and a high voice's harmonics look different in the lowest bands: most clips
# are spoken higher or lower.
FLITE_PITCH: Final = (85.0, 250.0)
FLITE_PITCH_SHARE: Final = 0.7
KOKORO_LANGUAGES: Final = (
    *("en-us",) * 9, *("en-gb-x-rp",) * 4, *(MANDARIN,) * 4, "es", "fr", "it",
)  # fmt: skip
HELD_OUT_KOKORO: Final = ("af_sarah", "bm_george", "zf_xiaoyi", "jf_tebukuro")
KOKORO_VOICES: Final = tuple(name for name in kokoro.VOICES if name not in HELD_OUT_KOKORO)
# Those that its makers rate best, drawn more often for English.
BEST_KOKORO: Final = (
    "af_heart", "af_bella", "af_nicole", "bf_emma", "am_michael", "am_fenrir", "am_puck",
    "af_aoede", "af_kore",
)  # fmt: skip
NATIVE: Final = {"en": "ab", MANDARIN: "z", "es": "e", "fr": "f", "it": "i"}
FOREIGN_SHARE: Final = 0.12  # of the clips are spoken by any voice, with the accent it has
PROSE_SHARE, DICTIONARY_SHARE = 0.45, 0.2  # of Kokoro's English

HELD_OUT_VARIANTS: Final = ("f3", "m5", "klatt3", "Denis", "belinda")
HELD_OUT_LANGUAGES: Final = ("pt-br", "ja", "hu", "id")
HELD_OUT_FLITE: Final = "slt"
SPOKEN: Final = (
    "en-us", MANDARIN, "de", "fr", "es", "it", "ru", "pl", "nl", "sv", "tr", "fi", "cs",
    *HELD_OUT_LANGUAGES,
)  # fmt: skip
"""The languages that the ear is checked in."""
SPOKEN_TOGETHER: Final = 3  # sentences a clip, where each clip starts a program


@dataclass(frozen=True)
class Speech:
    """A spoken text: float32 samples at 16 kHz, its phones in IPA, and who says it."""

    samples: NDArray[np.float32]
    segments: list[Segment]
    voice: str

    @property
    def seconds(self) -> float:
        """Return the length."""
        return len(self.samples) / SAMPLE_RATE


def of(source: str, number: int) -> Speech:
    """Return a clip to learn from.

    Args:
        source: a name in `SOURCES`.
        number: which of its clips.
    """
    return SOURCES[source](random.Random(f"{source}-{number}"))


def held_out(kind: str, clips: int, seed: int) -> Iterator[Speech]:
    """Yield clean speech of one of the `HELD_OUT` kinds, a few seconds a clip.

    Raises:
        KeyError: there is no such kind.
    """
    chance = random.Random(seed)
    for _ in range(clips):
        yield HELD_OUT[kind](chance)


def held_out_voice(language: str, chance: random.Random) -> Speech:
    """Return a clip in one of the languages `SPOKEN` by a held-out variant of espeak-ng."""
    return _espeak(language, chance.choice(HELD_OUT_VARIANTS), chance)


def _any_espeak(chance: random.Random) -> Speech:
    return _espeak(chance.choice(LANGUAGES), chance.choice(VARIANTS), chance)


def _any_flite(chance: random.Random) -> Speech:
    moved = chance.random() < FLITE_PITCH_SHARE
    pitch = chance.uniform(*FLITE_PITCH) if moved else None
    return _flite(chance.choice(FLITE_VOICES), chance, pitch)


def _any_festival(chance: random.Random) -> Speech:
    voice = chance.choice(list(festival.VOICES))
    language = festival.VOICES[voice].language
    text = " ".join(sentence(language, chance) for _ in range(SPOKEN_TOGETHER))
    samples, rate, segments = festival.speak(text, voice, stretch=chance.uniform(0.8, 1.3))
    return _between_silences(samples, rate, segments, f"festival {voice}", chance)


def _any_kokoro(chance: random.Random) -> Speech:
    language = chance.choice(KOKORO_LANGUAGES)
    native = NATIVE["en" if language.startswith("en") else language]
    voices = [name for name in KOKORO_VOICES if name[0] in native]
    if chance.random() < FOREIGN_SHARE:
        voices = list(KOKORO_VOICES)
    elif native == NATIVE["en"] and chance.random() < 0.3:
        voices = list(BEST_KOKORO)
    one, other = chance.choice(voices), chance.choice(voices)
    if one == other or chance.random() < 0.45:
        return _kokoro(language, {one: 1.0}, chance)
    share = chance.uniform(0.15, 0.6)
    return _kokoro(language, {one: 1 - share, other: share}, chance)


def _espeak(language: str, variant: str, chance: random.Random) -> Speech:
    voice = f"{language}+{variant}" if variant else language
    samples, rate, segments = espeak.speak(
        sentence(language, chance),
        voice,
        words_per_minute=chance.randint(120, 240),
        pitch=chance.randint(20, 80),
        pitch_range=chance.randint(30, 80),
    )
    return _between_silences(samples, rate, segments, voice, chance)


def _flite(voice: str, chance: random.Random, pitch: float | None = None) -> Speech:
    stretch = chance.uniform(0.8, 1.35)
    text = " ".join(sentence("en", chance) for _ in range(SPOKEN_TOGETHER))
    samples, rate, segments = flite.speak(text, voice, stretch=stretch, pitch=pitch)
    unknown = {phone for _, _, phone in segments} - ARPABET.keys()
    if unknown:
        raise RuntimeError(f"flite speaks phones that we don't know: {unknown}")
    ipa = [segment._replace(phone=from_arpabet(segment.phone)) for segment in segments]
    return _between_silences(samples, rate, ipa, f"flite {voice}", chance)


def _kokoro(language: str, voices: dict[str, float], chance: random.Random) -> Speech:
    text = _said_by_kokoro(language, chance)
    samples, rate, segments = kokoro.speak(text, language, voices, speed=chance.uniform(0.8, 1.35))
    name = "kokoro " + "+".join(voices)
    return _between_silences(samples, rate, segments, name, chance)


def _said_by_kokoro(language: str, chance: random.Random) -> str:
    kind = chance.random()
    if language.startswith("en") and kind < PROSE_SHARE:
        return prose.clause(chance)
    if language.startswith("en") and kind < PROSE_SHARE + DICTIONARY_SHARE:
        return prose.dictionary_words(chance)
    text = sentence(language, chance)
    return _in_words(text, chance) if language == MANDARIN else text


def _in_words(syllables: str, chance: random.Random) -> str:
    """Join about half of the syllables to the one before: most words of Mandarin have two."""
    words: list[str] = []
    for syllable in syllables.rstrip(".").split():
        joined = words and not words[-1].endswith(",") and len(words[-1]) < 7
        if joined and chance.random() < 0.55:
            words[-1] += syllable
        else:
            words.append(syllable)
    return " ".join(words) + "."


def _between_silences(
    samples: NDArray[np.float32],
    rate: int,
    segments: list[Segment],
    voice: str,
    chance: random.Random,
) -> Speech:
    """Bring to 16 kHz and put 0.1 to 1.0 s of silence before and after the speech."""
    common = gcd(rate, SAMPLE_RATE)
    samples = resample_poly(samples, SAMPLE_RATE // common, rate // common)
    before, after = (int(chance.uniform(0.1, 1.0) * SAMPLE_RATE) for _ in range(2))
    shift = before / SAMPLE_RATE
    moved = [Segment(start + shift, end + shift, phone) for start, end, phone in segments]
    return Speech(np.pad(samples, (before, after)).astype(np.float32), moved, voice)


SOURCES: Final[dict[str, Callable[[random.Random], Speech]]] = {
    "espeak": _any_espeak,
    "flite": _any_flite,
    "festival": _any_festival,
    "kokoro": _any_kokoro,
}
HELD_OUT: Final[dict[str, Callable[[random.Random], Speech]]] = {
    "espeak_variants": lambda chance: _espeak(
        chance.choice(LANGUAGES), chance.choice(HELD_OUT_VARIANTS), chance
    ),
    "languages": lambda chance: _espeak(
        chance.choice(HELD_OUT_LANGUAGES), chance.choice(("", *HELD_OUT_VARIANTS)), chance
    ),
    "mandarin_variants": lambda chance: _espeak(MANDARIN, chance.choice(HELD_OUT_VARIANTS), chance),
    "flite_slt": lambda chance: _flite(HELD_OUT_FLITE, chance),
    "kokoro_english": lambda chance: _kokoro(
        "en-us", {chance.choice(HELD_OUT_KOKORO): 1.0}, chance
    ),
    "kokoro_mandarin": lambda chance: _kokoro(
        MANDARIN, {chance.choice(HELD_OUT_KOKORO): 1.0}, chance
    ),
}
