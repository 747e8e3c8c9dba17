"""The speech that the ear learns from and the speech that it is measured on: never a voice of both.

Held out are five espeak-ng variants, four languages and the flite voice "slt" (a woman's recorded
voice, with phone times that come from the recording): nothing they say is ever trained on.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from functions.infer.ear import COLUMN_SECONDS, at_speech_level
from functions.infer.mel import BANDS, HOP, SAMPLE_RATE, SILENCE, log_mel
from functions.loudness import block_levels, speech_level
from training import augmentation, espeak, festival, flite
from training.mouth_tracks import ARPABET, Segment, at_times, from_arpabet
from training.sentences import MANDARIN, sentence

__all__ = ["HELD_OUT", "Corpus", "Speech", "build", "held_out"]

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
FLITE_SHARE: Final = 0.4
# All three are men, and a high voice's harmonics look different in the lowest bands: most clips
# are spoken higher or lower.
FLITE_PITCH: Final = (85.0, 250.0)
FLITE_PITCH_SHARE: Final = 0.7
FESTIVAL_SHARE: Final = 0.2
NOISE_ONLY_SHARE: Final = 0.05

HELD_OUT_VARIANTS: Final = ("f3", "m5", "klatt3", "Denis", "belinda")
HELD_OUT_LANGUAGES: Final = ("pt-br", "ja", "hu", "id")
HELD_OUT_FLITE: Final = "slt"
HELD_OUT: Final = ("espeak_variants", "languages", "mandarin_variants", "flite_slt")

# Phones that a network takes for a closure of the lips: the other nasals, stops and voiced
# labials. Their frames weigh more in the closure's loss.
LOOKALIKES: Final = frozenset("nɲŋtdkɡgvʋwlðβ")
GAP_COLUMNS: Final = 24  # of silence between two clips


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


@dataclass(frozen=True)
class Corpus:
    """Clips end to end with silence between them, a row for each mel column (80 a second).

    Attributes:
        mel: float16 [n, 80].
        mouth: float16 [n, 4]: opening, width, close, lip-teeth at the column's centre.
        lookalike: bool [n]: a phone that sounds like a closure of the lips and is none.
    """

    mel: NDArray[np.float16]
    mouth: NDArray[np.float16]
    lookalike: NDArray[np.bool_]


def build(seconds: float, seed: int) -> Corpus:
    """Synthesise so many seconds of damaged training speech; the same seed gives the same."""
    chance, noise_chance = random.Random(seed), np.random.default_rng(seed)
    mels: list[NDArray[np.floating]] = []
    mouths: list[NDArray[np.floating]] = []
    lookalikes: list[NDArray[np.bool_]] = []
    recent: list[NDArray[np.float32]] = []
    done = 0.0
    while done < seconds:
        speech = _perturb(_training_speech(chance), chance)
        if speech.seconds < 1:
            continue
        if chance.random() < NOISE_ONLY_SHARE:
            samples = augmentation.noise(len(speech.samples), noise_chance)
            speech = Speech(samples, [], "noise")
        heard = augmentation.damage(speech.samples, recent, noise_chance)
        recent = [*recent[-7:], speech.samples]
        mel, times = _mel(heard)
        mels += [mel, np.full((GAP_COLUMNS, BANDS), SILENCE, np.float16)]
        mouths += [at_times(speech.segments, times), np.zeros((GAP_COLUMNS, 4))]
        lookalikes += [_lookalike(speech.segments, times), np.zeros(GAP_COLUMNS, np.bool_)]
        done += speech.seconds
    return Corpus(
        np.concatenate(mels).astype(np.float16),
        np.concatenate(mouths).astype(np.float16),
        np.concatenate(lookalikes),
    )


def held_out(kind: str, clips: int, seed: int) -> Iterator[Speech]:
    """Yield clean speech of one of the `HELD_OUT` kinds, a few seconds a clip.

    Raises:
        KeyError: there is no such kind.
    """
    chance = random.Random(seed)
    choices = {
        "espeak_variants": (LANGUAGES, HELD_OUT_VARIANTS),
        "languages": (HELD_OUT_LANGUAGES, ("", *HELD_OUT_VARIANTS)),
        "mandarin_variants": ((MANDARIN,), HELD_OUT_VARIANTS),
        "flite_slt": None,
    }[kind]
    for _ in range(clips):
        if choices is None:
            yield _flite(HELD_OUT_FLITE, chance)
        else:
            yield _espeak(chance.choice(choices[0]), chance.choice(choices[1]), chance)


def _training_speech(chance: random.Random) -> Speech:
    source = chance.random()
    if source < FLITE_SHARE:
        moved = chance.random() < FLITE_PITCH_SHARE
        pitch = chance.uniform(*FLITE_PITCH) if moved else None
        return _flite(chance.choice(FLITE_VOICES), chance, pitch)
    if source < FLITE_SHARE + FESTIVAL_SHARE:
        return _festival(chance.choice(list(festival.VOICES)), chance)
    return _espeak(chance.choice(LANGUAGES), chance.choice(VARIANTS), chance)


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
    text = sentence("en", chance)
    samples, rate, segments = flite.speak(text, voice, stretch=stretch, pitch=pitch)
    unknown = {phone for _, _, phone in segments} - ARPABET.keys()
    if unknown:
        raise RuntimeError(f"flite speaks phones that we don't know: {unknown}")
    ipa = [segment._replace(phone=from_arpabet(segment.phone)) for segment in segments]
    return _between_silences(samples, rate, ipa, f"flite {voice}", chance)


def _festival(voice: str, chance: random.Random) -> Speech:
    text = sentence(festival.VOICES[voice].language, chance)
    samples, rate, segments = festival.speak(text, voice, stretch=chance.uniform(0.8, 1.3))
    return _between_silences(samples, rate, segments, f"festival {voice}", chance)


def _between_silences(
    samples: NDArray[np.float32],
    rate: int,
    segments: list[Segment],
    voice: str,
    chance: random.Random,
) -> Speech:
    """Bring to 16 kHz and put 0.1 to 0.7 s of silence before the speech, 0.1 to 0.5 s after."""
    common = gcd(rate, SAMPLE_RATE)
    samples = resample_poly(samples, SAMPLE_RATE // common, rate // common)
    before = int(chance.uniform(0.1, 0.7) * SAMPLE_RATE)
    after = int(chance.uniform(0.1, 0.5) * SAMPLE_RATE)
    shift = before / SAMPLE_RATE
    moved = [Segment(start + shift, end + shift, phone) for start, end, phone in segments]
    return Speech(np.pad(samples, (before, after)).astype(np.float32), moved, voice)


def _perturb(speech: Speech, chance: random.Random) -> Speech:
    """Play half of the clips faster or slower: another pitch, another length of the throat."""
    if chance.random() < 0.4:
        return speech
    percent = chance.choice([84, 88, 92, 96, 104, 108, 112, 116, 120, 125])
    samples = resample_poly(speech.samples, 100, percent).astype(np.float32)
    speed = percent / 100
    segments = [Segment(start / speed, end / speed, phone) for start, end, phone in speech.segments]
    return Speech(samples, segments, speech.voice)


def _mel(samples: NDArray[np.float32]) -> tuple[NDArray[np.float16], NDArray[np.float64]]:
    """Return what the ear would hear of a recording, and the time of each of its columns."""
    level = speech_level(block_levels(samples))
    mel = log_mel(at_speech_level(samples, level)).astype(np.float16)
    assert len(mel) == 1 + len(samples) // HOP
    return mel, np.arange(len(mel), dtype=np.float64) * COLUMN_SECONDS


def _lookalike(segments: list[Segment], times: NDArray[np.float64]) -> NDArray[np.bool_]:
    marked = np.zeros(len(times), np.bool_)
    for start, end, phone in segments:
        if LOOKALIKES & set(phone):
            marked |= (times >= start) & (times < end)
    return marked
