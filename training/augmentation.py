"""What happens to a voice between the mouth and the file: rooms, microphones, telephones, noise.

All functions take and return float32 mono samples at 16 kHz and leave the timing alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, lfilter

from functions.infer.mel import SAMPLE_RATE

__all__ = ["babble_over", "damage", "music", "noise"]

Samples = NDArray[np.float32]
HALF_RATE: Final = SAMPLE_RATE / 2
# Shares of the clips in whose back people murmur, and about as loudly as the voice.
MURMURS: Final = 0.27
LOUD_MURMURS: Final = 0.16


def damage(voice: Samples, babble: Sequence[Samples], chance: np.random.Generator) -> Samples:
    """Put a voice through a random chain: reverb, equaliser, telephone, level, noise or babble.

    Args:
        voice: the clean voice.
        babble: other voices, mixed into a murmur when there are at least three.
        chance: where the choices come from.
    """
    if chance.random() < 0.35:
        voice = _reverb(voice, chance)
    if chance.random() < 0.6:
        voice = _equalise(voice, chance)
    if chance.random() < 0.12:
        voice = _telephone(voice, chance)
    voice = voice / np.float32(np.abs(voice).max() + 1e-6) * np.float32(chance.uniform(0.08, 0.99))
    kind = chance.random()
    if kind < MURMURS and len(babble) >= 3:
        decibels = chance.uniform(-3, 5) if kind < LOUD_MURMURS else chance.uniform(5, 20)
        voice = _mix(voice, _murmur(babble, len(voice), chance), decibels)
    elif kind < 0.37:
        voice = _mix(voice, music(len(voice), chance), chance.uniform(3, 25))
    elif kind < 0.70:
        voice = _mix(voice, noise(len(voice), chance), chance.uniform(0, 40))
    hiss = chance.standard_normal(len(voice)) * 10 ** chance.uniform(-5, -3.5)
    damaged: Samples = np.clip(voice + hiss, -1, 1).astype(np.float32)
    return damaged


def music(count: int, chance: np.random.Generator) -> Samples:
    """Return a made-up tune of any loudness: chords and a melody of plucked or held harmonics.

    Half of them have drums: bursts of noise that fade in a tenth of a second.
    """
    beat = int(chance.uniform(0.15, 0.6) * SAMPLE_RATE)
    tune = np.zeros(count + 4 * beat, np.float32)
    root = chance.uniform(60, 160)
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16])
    for start in range(0, count, beat):
        for octave, loud in ((1, 0.6), (2, 0.5), (4, 1.0)):
            if chance.random() < 0.7:
                note = root * octave * 2 ** (chance.choice(scale) / 12)
                tune[start : start + 4 * beat] += loud * _note(note, 4 * beat, chance)
    if chance.random() < 0.5:
        fading = np.exp(-np.arange(beat) / (0.03 * SAMPLE_RATE))
        for start in range(0, count, beat):
            tune[start : start + beat] += chance.uniform(0, 2) * (
                chance.standard_normal(beat) * fading
            ).astype(np.float32)
    return tune[:count]


def _note(hertz: float, count: int, chance: np.random.Generator) -> Samples:
    t = np.arange(count) / SAMPLE_RATE
    harmonics = np.arange(1, 1 + max(1, min(8, int(HALF_RATE / hertz))))[:, None]
    tones = np.sin(2 * np.pi * hertz * harmonics * t) / harmonics ** chance.uniform(0.8, 2)
    fading = np.exp(-t / chance.uniform(0.1, 1.0)) * np.minimum(1, t / 0.01)
    played: Samples = (tones.sum(axis=0) * fading).astype(np.float32)
    return played


def noise(count: int, chance: np.random.Generator) -> Samples:
    """Return a noise of any loudness: rumble, hum with harmonics that come and go, or hiss."""
    white = chance.standard_normal(count)
    kind = chance.random()
    if kind < 0.4:
        tilt = chance.uniform(0.6, 0.98)
        rumble: Samples = lfilter([1 - tilt], [1, -tilt], white).astype(np.float32)
        return rumble
    if kind < 0.6:
        t = np.arange(count) / SAMPLE_RATE
        harmonics = np.arange(1, 6)[:, None]
        base = chance.uniform(80, 400)
        tones = np.sum(np.sin(2 * np.pi * base * harmonics * t + harmonics) / harmonics, axis=0)
        gate = np.sin(2 * np.pi * chance.uniform(0.3, 3) * t) > 0
        hum: Samples = (0.1 * white + tones * gate).astype(np.float32)
        return hum
    hiss: Samples = white.astype(np.float32)
    return hiss


def _mix(voice: Samples, other: Samples, decibels: float) -> Samples:
    """Add another sound so much softer than the voice."""
    gain = np.sqrt(np.mean(voice**2) / (np.mean(other**2) + 1e-12)) * 10 ** (-decibels / 20)
    mixed: Samples = (voice + other * gain).astype(np.float32)
    return mixed


def babble_over(
    voice: Samples, babble: Sequence[Samples], decibels: float, chance: np.random.Generator
) -> Samples:
    """Add a murmur of three or more other voices, so much softer than the voice."""
    return _mix(voice, _murmur(babble, len(voice), chance), decibels)


def _murmur(babble: Sequence[Samples], count: int, chance: np.random.Generator) -> Samples:
    mixed = np.zeros(count, np.float32)
    talkers = min(len(babble), int(chance.integers(3, 9)))
    for index in chance.choice(len(babble), size=talkers, replace=False):
        other = np.resize(babble[index], count)
        mixed += np.roll(other, int(chance.integers(count))) / (np.abs(other).max() + 1e-6)
    return mixed


def _reverb(voice: Samples, chance: np.random.Generator) -> Samples:
    """Convolve with exponentially fading noise, 60 dB down after 0.1 to 0.5 s."""
    count = int(chance.uniform(0.1, 0.5) * SAMPLE_RATE)
    response = chance.standard_normal(count) * np.exp(-6.9 * np.arange(count) / count)
    response *= chance.uniform(0.05, 0.35) / np.sqrt(np.sum(response**2))
    response[0] = 1.0
    heard: Samples = fftconvolve(voice, response)[: len(voice)].astype(np.float32)
    return heard


def _equalise(voice: Samples, chance: np.random.Generator) -> Samples:
    tilted = lfilter([1, chance.uniform(-0.5, 0.5)], [1], voice)
    if chance.random() < 0.3:
        band = np.array([chance.uniform(60, 300), chance.uniform(3400, 7500)]) / HALF_RATE
        tilted = lfilter(*butter(2, band, "band"), tilted)
    coloured: Samples = tilted.astype(np.float32)
    return coloured


def _telephone(voice: Samples, chance: np.random.Generator) -> Samples:
    """Pass 300 to 3400 Hz and quantise to some 8 bits on a logarithmic scale, as mu-law does."""
    narrow = lfilter(*butter(4, np.array([300, 3400]) / HALF_RATE, "band"), voice)
    peak = np.abs(narrow).max() + 1e-6
    levels = chance.integers(64, 128)
    pressed = np.sign(narrow) * np.log1p(255 * np.abs(narrow) / peak) / np.log(256)
    stepped = np.round(pressed * levels) / levels
    unpressed = np.sign(stepped) * (256 ** np.abs(stepped) - 1) / 255
    received: Samples = (unpressed * peak).astype(np.float32)
    return received
