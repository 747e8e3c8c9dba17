"""Measures the exported ear, the way the product runs it, on voices that it never heard.

The truth is `mouth_tracks.tracks` of the phones that the synthesiser spoke; Kokoro's, whose times
are rough, are aligned first. Beside the ear stands a baseline: the loudness of each frame taken
for the mouth's opening, which is what a program can do with no model at all.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from functions.infer.ear import Ear
from functions.infer.mel import SAMPLE_RATE
from training import augmentation, speech
from training.measuring import FRAMES, OnnxGraph, figures, hear
from training.mouth_tracks import Segment, tracks
from training.network import Network, aligned
from training.speech import Speech

__all__ = ["evaluate"]

CLIPS: Final = 40  # a set
CLIPS_OF_KOKORO: Final = 20
CLIPS_OF_A_LANGUAGE: Final = 12
NOISE_DECIBELS: Final = 15
# Only what is next to no other closure counts as wrongly closed.
NOT_CLOSED: Final = {"n": "nɲŋ", "t_d": "td", "v_w": "vwʋ", "vowel": "aeiouæɑʌəɛɪɔʊy"}
GAP: Final = 1.0  # seconds between two clips, farther than any measure reaches

Floats = NDArray[np.float32]


def evaluate(path: Path, seed: int, aligner: Network) -> dict[str, Any]:
    """Return the figures of each held-out set, of the recorded voice in noise and in babble.

    Args:
        path: the exported ear.
        seed: of the sentences and voices.
        aligner: the network that says when Kokoro said which phone.
    """
    ear = Ear(OnnxGraph(path))
    sets: dict[str, list[Speech]] = {}
    for kind in speech.HELD_OUT:
        if kind.startswith("kokoro"):
            rough = speech.held_out(kind, CLIPS_OF_KOKORO, seed)
            sets[kind] = [aligned(clip, aligner)[0] for clip in rough]
        else:
            sets[kind] = list(speech.held_out(kind, CLIPS, seed))
    chance = np.random.default_rng(seed)
    recorded = sets["flite_slt"]
    others = [clip.samples for clip in sets["espeak_variants"]]
    sets["flite_slt_in_noise"] = [_in_noise(clip, chance) for clip in recorded]
    sets["flite_slt_in_babble"] = [
        Speech(
            augmentation.babble_over(clip.samples, others, 0.0, chance), clip.segments, clip.voice
        )
        for clip in recorded
    ]
    found: dict[str, Any] = {kind: _measure(ear, clips) for kind, clips in sets.items()}
    found["by_language"] = {
        language: _short(_measure(ear, list(_in(language, seed)))) for language in speech.SPOKEN
    }
    return found


def _in(language: str, seed: int) -> Iterable[Speech]:
    chance = random.Random(seed)
    for _ in range(CLIPS_OF_A_LANGUAGE):
        yield speech.held_out_voice(language, chance)


def _short(measured: Mapping[str, Any]) -> dict[str, float]:
    kept = ("r_open", "r_width", "bilabial_recall", "false_closures", "lag_frames")
    return {key: measured[key] for key in kept}


def _in_noise(clip: Speech, chance: np.random.Generator) -> Speech:
    sound = augmentation.noise(len(clip.samples), chance)
    gain = np.sqrt(np.mean(clip.samples**2) / np.mean(sound**2)) * 10 ** (-NOISE_DECIBELS / 20)
    return Speech((clip.samples + gain * sound).astype(np.float32), clip.segments, clip.voice)


def _measure(ear: Ear, clips: Sequence[Speech]) -> dict[str, Any]:
    """Return the figures of all clips, one after the other with silence between them."""
    heard, truth, loudness, segments = [], [], [], []
    gap = np.zeros((round(GAP * FRAMES), 4), np.float32)
    start = 0.0
    for clip in clips:
        wanted = tracks(clip.segments, clip.seconds, FRAMES)
        heard += [hear(ear, clip.samples)[: len(wanted)], gap]
        truth += [wanted, gap]
        loudness += [_loudness(clip.samples, len(wanted)), gap[:, 0]]
        segments += [Segment(start + at, start + to, phone) for at, to, phone in clip.segments]
        start += float(len(wanted) / FRAMES) + GAP
    joined, wanted = np.concatenate(heard), np.concatenate(truth)
    found = asdict(figures(joined, wanted, segments))
    found["minutes"] = start / 60
    found["r_open_of_loudness_baseline"] = float(
        np.corrcoef(np.concatenate(loudness), wanted[:, 0])[0, 1]
    )
    rounded = {name: round(value, 3) for name, value in found.items()}
    return rounded | {"closed_wrongly": _closed_wrongly(joined, wanted, segments)}


def _closed_wrongly(heard: Floats, truth: Floats, segments: Sequence[Segment]) -> dict[str, float]:
    """Return how often the lips are heard closed in frames of phones that close none."""
    # A phone's last letter is what its end sounds like: "tʃ" is no t.
    endings = np.array([phone[-1:] for phone in _phone_of_each_frame(segments, len(truth))])
    closed, apart = heard[:, 2] > 0.5, truth[:, 2] < 0.1
    shares = {
        name: closed[apart & np.isin(endings, list(group))] for name, group in NOT_CLOSED.items()
    }
    return {name: round(float(of.mean()), 3) if len(of) else 0.0 for name, of in shares.items()}


def _phone_of_each_frame(segments: Sequence[Segment], count: int) -> list[str]:
    phones = [""] * count
    middle = (np.arange(count) + 0.5) / float(FRAMES)
    for start, end, phone in segments:
        low, high = np.searchsorted(middle, (start, end))
        phones[low:high] = [phone] * (high - low)
    return phones


def _loudness(samples: Floats, count: int) -> Floats:
    """Return the loudness of each frame, -50..-10 dB as 0..1."""
    frame = int(SAMPLE_RATE / FRAMES)
    padded = np.pad(samples, (0, max(0, count * frame - len(samples))))[: count * frame]
    rms = np.sqrt(np.mean(padded.reshape(count, frame) ** 2, axis=1))
    loudness: Floats = np.clip((20 * np.log10(rms + 1e-6) + 50) / 40, 0, 1)
    return loudness
