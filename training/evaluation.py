"""Measures the exported ear, the way the product runs it, on voices that it never heard.

The truth is `mouth_tracks.tracks` of the phones that the synthesiser spoke. Beside the ear stands
a baseline: the loudness of each frame taken for the mouth's opening, which is what a program can
do with no model at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from functions.infer.ear import Ear
from functions.infer.mel import SAMPLE_RATE
from functions.loudness import block_levels, speech_level
from training import augmentation
from training.corpus import HELD_OUT, Speech, held_out
from training.mouth_tracks import Segment, tracks

__all__ = ["OnnxGraph", "evaluate", "lag_ms"]

FRAMES: Final = Fraction(25)
CLIPS: Final = 60  # a set: some 5 minutes
NOISE_DECIBELS: Final = 15
FARTHEST_LAG: Final = 8  # frames
# Only what is next to no other closure counts as wrongly closed.
NOT_CLOSED: Final = {"n": "nɲŋ", "t_d": "td", "v_w": "vwʋ", "vowel": "aeiouæɑʌəɛɪɔʊy"}

Floats = NDArray[np.float32]


class OnnxGraph:
    """The exported graph on one core, as the ear wants it."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )

    def run(self, inputs: Mapping[str, Floats]) -> Sequence[Floats]:
        """Return the outputs in the graph's order."""
        answer: Sequence[Floats] = self._session.run(None, dict(inputs))
        return answer


def evaluate(path: Path, seed: int) -> dict[str, dict[str, Any]]:
    """Return the figures of each held-out set, and of the recorded voice in noise."""
    ear = Ear(OnnxGraph(path))
    sets = {kind: list(held_out(kind, CLIPS, seed)) for kind in HELD_OUT}
    chance = np.random.default_rng(seed)
    sets["flite_slt_in_noise"] = [_in_noise(speech, chance) for speech in sets["flite_slt"]]
    return {kind: _measure(ear, speeches) for kind, speeches in sets.items()}


def lag_ms(late: Floats, truth: Floats, rate: Fraction = FRAMES) -> float:
    """Return by how much ``late`` runs behind ``truth``, from the peak of their correlation.

    The peak is placed between frames by a parabola through it and its neighbours.
    """
    lags = range(-FARTHEST_LAG, FARTHEST_LAG + 1)
    found = [_correlation_at(late, truth, lag) for lag in lags]
    top = int(np.argmax(found))
    between = 0.0
    if 0 < top < len(found) - 1:
        before, peak, after = found[top - 1 : top + 2]
        between = 0.5 * (before - after) / (before - 2 * peak + after)
    return 1000 * (lags[top] + between) / float(rate)


def _correlation_at(late: Floats, truth: Floats, lag: int) -> float:
    count = len(truth) - abs(lag)
    return _correlation(late[max(lag, 0) :][:count], truth[max(-lag, 0) :][:count])


def _correlation(a: Floats, b: Floats) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def _in_noise(speech: Speech, chance: np.random.Generator) -> Speech:
    sound = augmentation.noise(len(speech.samples), chance)
    gain = np.sqrt(np.mean(speech.samples**2) / np.mean(sound**2)) * 10 ** (-NOISE_DECIBELS / 20)
    return Speech((speech.samples + gain * sound).astype(np.float32), speech.segments, speech.voice)


def _measure(ear: Ear, speeches: Iterable[Speech]) -> dict[str, Any]:
    heard, truth, loudness, phones = [], [], [], []
    for speech in speeches:
        wanted = tracks(speech.segments, speech.seconds, FRAMES)
        level = speech_level(block_levels(speech.samples))
        heard.append(ear.hear(speech.samples, FRAMES, 0, len(wanted), level=level))
        truth.append(wanted)
        loudness.append(_loudness(speech.samples, len(wanted)))
        phones += _phone_of_each_frame(speech.segments, len(wanted))
    return _figures(np.concatenate(heard), np.concatenate(truth), np.concatenate(loudness), phones)


def _figures(heard: Floats, truth: Floats, loudness: Floats, phones: list[str]) -> dict[str, Any]:
    closed, said_closed = truth[:, 2] > 0.7, heard[:, 2] > 0.5
    apart = truth[:, 2] < 0.1
    # A phone's last letter is what its end sounds like: "tʃ" is no t.
    endings = np.array([phone[-1:] for phone in phones])
    wrong = {
        name: float(said_closed[apart & np.isin(endings, list(group))].mean())
        for name, group in NOT_CLOSED.items()
    }
    quiet = np.array([phone == "" for phone in phones]) & (truth[:, 0] < 0.01)
    figures: dict[str, Any] = {
        "minutes": len(truth) / float(FRAMES) / 60,
        "r_open": _correlation(heard[:, 0], truth[:, 0]),
        "r_open_of_loudness_baseline": _correlation(loudness, truth[:, 0]),
        "r_width": _correlation(heard[:, 1], truth[:, 1]),
        "r_close": _correlation(heard[:, 2], truth[:, 2]),
        "r_lipteeth": _correlation(heard[:, 3], truth[:, 3]),
        "lag_ms": lag_ms(heard[:, 0], truth[:, 0]),
        "bilabial_recall": float(said_closed[closed].mean()),
        "bilabial_precision": float((truth[said_closed, 2] > 0.35).mean()),
        "open_at_bilabials": float(heard[closed, 0].mean()),
        "open_in_silence": float(heard[quiet, 0].mean()),
        "range_open": float(np.quantile(heard[:, 0], 0.95) / np.quantile(truth[:, 0], 0.95)),
    }
    rounded = {name: round(value, 3) for name, value in figures.items()}
    return rounded | {"closed_wrongly": {name: round(share, 3) for name, share in wrong.items()}}


def _phone_of_each_frame(segments: Sequence[Segment], count: int) -> list[str]:
    phones = [""] * count
    for start, end, phone in segments:
        middle = np.arange(count) / float(FRAMES) + 0.5 / float(FRAMES)
        for index in np.flatnonzero((middle >= start) & (middle < end)):
            phones[index] = phone
    return phones


def _loudness(samples: Floats, count: int) -> Floats:
    """Return the loudness of each frame, -50..-10 dB as 0..1."""
    frame = int(SAMPLE_RATE / FRAMES)
    padded = np.pad(samples, (0, max(0, count * frame - len(samples))))[: count * frame]
    rms = np.sqrt(np.mean(padded.reshape(count, frame) ** 2, axis=1))
    loudness: Floats = np.clip((20 * np.log10(rms + 1e-6) + 50) / 40, 0, 1)
    return loudness
