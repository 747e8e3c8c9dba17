"""``python -m training.measuring VOICE [PHONES]``: how well the ear hears a recording.

PHONES tells what is said when, as ``[{"start": s, "end": s, "phone": p}, ...]`` in IPA or ARPAbet,
and is ``VOICE`` with the ending ``.phones.json`` if it isn't given. The truth is what
`mouth_tracks.tracks` makes of them, so the figures say how far the ear's mouth is from the mouth of
somebody who was told the words.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from math import gcd
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

from functions.infer.ear import Ear
from functions.infer.mel import SAMPLE_RATE
from functions.loudness import block_levels, speech_level
from training import augmentation, espeak, flite
from training.mouth_tracks import Segment, letters, read_segments, tracks

__all__ = ["Figures", "OnnxGraph", "figures", "hear", "in_babble", "measure", "read"]

EAR: Final = Path(__file__).parents[1] / "functions/infer/models/viseme/1/ear.onnx"
FRAMES: Final = Fraction(25)
FARTHEST_LAG: Final = 8  # frames
# Phones are timed to some 20 ms by hand or by forced alignment: what is nearer touches.
TOLERANCE: Final = 0.02
CLOSED: Final = 0.5
ROUNDED: Final = -0.3
RESTING: Final = 0.1
SHORTEST_REST: Final = 0.15  # seconds
# Nobody in the murmur was trained on: voices of espeak-ng, and flite's woman.
MURMUR: Final = (
    ("en-us+f3", "people never know what the weather may bring before summer ends"),
    ("en-gb-scotland+m5", "we moved a big table from the kitchen up to the top floor"),
    ("de+belinda", "morgen fahren wir mit dem Wagen an das Meer und kommen abends wieder"),
    ("fr+Denis", "le petit garçon mange une pomme devant la maison de sa maman"),
    ("es+klatt3", "mañana por la mañana vamos a comer pan con mi abuela en el pueblo"),
)
MURMURING_WOMAN: Final = "nobody but my mother could remember the name of that village"

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Figures:
    """How near the heard mouth is to the true one, frame by frame at 25 a second.

    Attributes:
        r_open: correlation of the opening.
        r_width: correlation of the width.
        lag_frames: by how many frames the heard opening comes late.
        bilabials: how many p, b, m are said.
        bilabial_recall: share of them at which the lips close (in a frame no farther than 20 ms).
        bilabial_frames_recall: share of the frames that a closure fills in which lips are closed.
        false_closures: share of the closures heard that touch no p, b, m.
        open_at_bilabials: mean opening in the frames that a closure fills.
        rounding_share: heard rounding in rounded frames as a share of the true one; 0 if none is.
        range_open: 95th percentile of the opening, heard over true.
        open_at_rest: mean opening in pauses of 150 ms and longer; 0 without such a pause.
        rests: share of those pauses' frames in which the mouth is shut.
    """

    r_open: float
    r_width: float
    lag_frames: float
    bilabials: int
    bilabial_recall: float
    bilabial_frames_recall: float
    false_closures: float
    open_at_bilabials: float
    rounding_share: float
    range_open: float
    open_at_rest: float
    rests: float


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


def read(path: Path) -> Floats:
    """Return a recording as the ear wants it: float32 mono at 16 kHz."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return _resampled(samples.mean(axis=1), rate)


def hear(ear: Ear, samples: Floats) -> Floats:
    """Return the mouth in every frame of a recording, float32 [frames, 4]."""
    count = round(len(samples) / SAMPLE_RATE * FRAMES)
    return ear.hear(samples, FRAMES, 0, count, level=speech_level(block_levels(samples)))


def in_babble(samples: Floats, decibels: float = 0.0, seed: int = 1) -> Floats:
    """Return the recording with six other voices murmuring, so much softer than it."""
    spoken = [espeak.speak(text, voice)[:2] for voice, text in MURMUR]
    spoken.append(flite.speak(MURMURING_WOMAN, "slt")[:2])
    others = [_resampled(sound, rate) for sound, rate in spoken]
    chance = np.random.default_rng(seed)
    return augmentation.babble_over(samples, others, decibels, chance)


def measure(ear: Ear, samples: Floats, segments: Sequence[Segment]) -> Figures:
    """Return the figures of one recording."""
    heard = hear(ear, samples)
    return figures(heard, tracks(segments, len(samples) / SAMPLE_RATE, FRAMES), segments)


def figures(heard: Floats, truth: Floats, segments: Sequence[Segment]) -> Figures:
    """Return the figures of a heard mouth against the true one, both float32 [frames, 4]."""
    closed = heard[:, 2] > CLOSED
    said = [segment for segment in letters(segments) if segment.phone in "pbm" and segment.phone]
    closures = _runs(closed)
    filled = truth[:, 2] > 0.7
    rounded = truth[:, 1] < ROUNDED
    resting = _resting(segments, len(truth))
    return Figures(
        r_open=_correlation(heard[:, 0], truth[:, 0]),
        r_width=_correlation(heard[:, 1], truth[:, 1]),
        lag_frames=lag(heard[:, 0], truth[:, 0]),
        bilabials=len(said),
        bilabial_recall=_share([_touch(segment, closures) for segment in said]),
        bilabial_frames_recall=_mean(closed[filled]),
        false_closures=_share(
            [not _touch(Segment(*run, ""), [(at, to) for at, to, _ in said]) for run in closures]
        ),
        open_at_bilabials=_mean(heard[filled, 0]),
        rounding_share=_mean(heard[rounded, 1]) / (_mean(truth[rounded, 1]) or 1.0),
        range_open=float(np.quantile(heard[:, 0], 0.95) / np.quantile(truth[:, 0], 0.95)),
        open_at_rest=_mean(heard[resting, 0]),
        rests=_mean(heard[resting, 0] < RESTING),
    )


def lag(late: Floats, truth: Floats) -> float:
    """Return by how many frames ``late`` runs behind ``truth``: the peak of their correlation.

    The peak is placed between frames by a parabola through it and its neighbours.
    """
    lags = range(-FARTHEST_LAG, FARTHEST_LAG + 1)
    found = [_correlation_at(late, truth, lag) for lag in lags]
    top = int(np.argmax(found))
    between = 0.0
    if 0 < top < len(found) - 1:
        before, peak, after = found[top - 1 : top + 2]
        between = 0.5 * (before - after) / (before - 2 * peak + after)
    return lags[top] + between


def _resampled(samples: Floats, rate: int) -> Floats:
    common = gcd(rate, SAMPLE_RATE)
    resampled: Floats = resample_poly(samples, SAMPLE_RATE // common, rate // common).astype("f4")
    return resampled


def _runs(closed: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Return when each run of closed frames begins and ends, in seconds."""
    edges = np.flatnonzero(np.diff(np.r_[False, closed, False].astype(np.int8)))
    return [
        (float(low / FRAMES), float(high / FRAMES))
        for low, high in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    ]


def _touch(segment: Segment, spans: Sequence[tuple[float, float]]) -> bool:
    return any(
        start < segment.end + TOLERANCE and end > segment.start - TOLERANCE for start, end in spans
    )


def _resting(segments: Sequence[Segment], count: int) -> NDArray[np.bool_]:
    """Mark the frames in pauses, less what the mouth needs to close before and open after them."""
    resting = np.zeros(count, np.bool_)
    bounds = [0.0, *(t for s in segments if s.phone for t in (s.start, s.end)), count / FRAMES]
    for start, end in list(pairwise(bounds))[::2]:
        if end - start >= SHORTEST_REST:
            edge = 0.06 * FRAMES
            resting[int(np.ceil(start * FRAMES + edge)) : int(end * FRAMES - edge)] = True
    return resting


def _correlation_at(late: Floats, truth: Floats, lag: int) -> float:
    count = len(truth) - abs(lag)
    return _correlation(late[max(lag, 0) :][:count], truth[max(-lag, 0) :][:count])


def _correlation(a: Floats, b: Floats) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def _share(answers: Sequence[bool]) -> float:
    return sum(answers) / len(answers) if answers else 0.0


def _mean(values: NDArray[np.floating] | NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else 0.0


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m training.measuring", description=__doc__)
    parser.add_argument("voice", type=Path)
    parser.add_argument("phones", type=Path, nargs="?")
    parser.add_argument("--ear", type=Path, default=EAR, help="instead of the shipped one")
    parser.add_argument("--babble", type=float, default=0.0, help="how much softer it is, dB")
    options = parser.parse_args()
    ear, samples = Ear(OnnxGraph(options.ear)), read(options.voice)
    segments = read_segments(options.phones or options.voice.with_suffix(".phones.json"))
    found = {
        "clean": measure(ear, samples, segments),
        f"babble at {options.babble:g} dB": measure(
            ear, in_babble(samples, options.babble), segments
        ),
    }
    rounded = {
        name: {key: round(value, 3) for key, value in asdict(got).items()}
        for name, got in found.items()
    }
    print(json.dumps(rounded, indent=1))


if __name__ == "__main__":
    main()
