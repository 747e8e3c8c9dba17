"""From clean speech to what the ear learns from: damaged, heard as mel columns, with its truth."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from functions.infer.ear import COLUMN_SECONDS, at_speech_level
from functions.infer.mel import BANDS, HOP, SILENCE, log_mel
from functions.loudness import block_levels, speech_level
from training import augmentation, mouth_tracks, phones
from training.mouth_tracks import Segment
from training.speech import Speech

__all__ = ["Corpus", "build", "columns", "join"]

NOISE_ONLY_SHARE: Final = 0.04
MUSIC_ONLY_SHARE: Final = 0.03
UNCHANGED_SHARE: Final = 0.4
SPEEDS: Final = (84, 88, 92, 96, 104, 108, 112, 116, 120, 125)  # percent
GAP_COLUMNS: Final = 24  # of silence between two clips
REMEMBERED: Final = 12  # clips that a murmur is made of


@dataclass(frozen=True)
class Corpus:
    """Clips end to end with silence between them, a row for each mel column (80 a second).

    Attributes:
        mel: float16 [n, 80].
        mouth: float16 [n, 4]: opening, width, close, lip-teeth at the column's centre.
        phone: uint8 [n]: number of the phone said (`phones.PHONES`).
    """

    mel: NDArray[np.float16]
    mouth: NDArray[np.float16]
    phone: NDArray[np.uint8]


def build(speeches: Iterable[Speech], seed: int) -> Corpus:
    """Damage each clip in a way of its own; the same clips and seed give the same corpus."""
    chance, noise_chance = random.Random(seed), np.random.default_rng(seed)
    mels: list[NDArray[np.floating]] = []
    mouths: list[NDArray[np.floating]] = []
    numbers: list[NDArray[np.uint8]] = []
    recent: list[NDArray[np.float32]] = []
    for clean in speeches:
        speech = _negative(_perturb(clean, chance), chance, noise_chance)
        heard = augmentation.damage(speech.samples, recent, noise_chance)
        if speech.segments:
            recent = [*recent[1 - REMEMBERED :], speech.samples]
        mel, times = columns(heard)
        mels += [mel, np.full((GAP_COLUMNS, BANDS), SILENCE, np.float16)]
        mouths += [mouth_tracks.at_times(speech.segments, times), np.zeros((GAP_COLUMNS, 4))]
        numbers += [phones.at_times(speech.segments, times), np.zeros(GAP_COLUMNS, np.uint8)]
    return Corpus(
        np.concatenate(mels).astype(np.float16),
        np.concatenate(mouths).astype(np.float16),
        np.concatenate(numbers),
    )


def columns(samples: NDArray[np.float32]) -> tuple[NDArray[np.float16], NDArray[np.float64]]:
    """Return what the ear would hear of a recording, and the time of each of its columns."""
    level = speech_level(block_levels(samples))
    mel = log_mel(at_speech_level(samples, level)).astype(np.float16)
    assert len(mel) == 1 + len(samples) // HOP
    return mel, np.arange(len(mel), dtype=np.float64) * COLUMN_SECONDS


def join(corpora: Sequence[Corpus]) -> Corpus:
    """Return one corpus of several."""
    return Corpus(
        np.concatenate([corpus.mel for corpus in corpora]),
        np.concatenate([corpus.mouth for corpus in corpora]),
        np.concatenate([corpus.phone for corpus in corpora]),
    )


def _negative(speech: Speech, chance: random.Random, noise_chance: np.random.Generator) -> Speech:
    """Put noise or music in the place of some clips: nobody speaks, the mouth rests."""
    kind = chance.random()
    if kind < NOISE_ONLY_SHARE:
        return Speech(augmentation.noise(len(speech.samples), noise_chance), [], "noise")
    if kind < NOISE_ONLY_SHARE + MUSIC_ONLY_SHARE:
        return Speech(augmentation.music(len(speech.samples), noise_chance), [], "music")
    return speech


def _perturb(speech: Speech, chance: random.Random) -> Speech:
    """Play most clips faster or slower: another pitch, another length of the throat."""
    if chance.random() < UNCHANGED_SHARE:
        return speech
    percent = chance.choice(SPEEDS)
    samples = resample_poly(speech.samples, 100, percent).astype(np.float32)
    speed = percent / 100
    segments = [Segment(start / speed, end / speed, phone) for start, end, phone in speech.segments]
    return Speech(samples, segments, speech.voice)
