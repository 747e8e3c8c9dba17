"""The shipped ear on voices that it never heard, and whatever way the timeline is cut."""

from fractions import Fraction
from functools import cache
from itertools import pairwise
from math import gcd
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import scipy.signal
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.infer import ear as ear_module
from functions.infer.ear import Ear, reach
from functions.loudness import block_levels, speech_level
from training.mouth_tracks import read_segments, tracks

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "functions" / "infer" / "models" / "viseme" / "1" / "ear.onnx"
VOICE = ROOT / "functions" / "samples" / "voice.flac"
MANDARIN = ROOT / "tests" / "fixtures" / "voice_zh.flac"
RATES = [Fraction(25), Fraction(30_000, 1001), Fraction(24), Fraction(60), Fraction(50, 3)]


class OnnxGraph:
    """onnxruntime on one core behind the ear's protocol."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(MODEL), options, providers=["CPUExecutionProvider"]
        )

    def run(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        return self.session.run(None, inputs)


@pytest.fixture(scope="module")
def ear() -> Ear:
    return Ear(OnnxGraph())


@cache
def load(path: Path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32")
    common = gcd(rate, 16_000)
    return scipy.signal.resample_poly(samples, 16_000 // common, rate // common).astype(np.float32)


def hear(ear: Ear, samples: np.ndarray, rate: Fraction = Fraction(25)) -> np.ndarray:
    count = round(len(samples) / 16_000 * rate)
    return ear.hear(samples, rate, 0, count, level=speech_level(block_levels(samples)))


def truth(path: Path, seconds: float, rate: Fraction = Fraction(25)) -> np.ndarray:
    return tracks(read_segments(path.with_suffix(".phones.json")), seconds, rate)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def test_model_is_small() -> None:
    """The weights that ship stay under 4 MiB, half of what the whole model may take."""
    assert MODEL.stat().st_size <= 4 * 2**20


@pytest.mark.parametrize("rate", RATES)
def test_held_out_voice(ear: Ear, rate: Fraction) -> None:
    """At any rate the opening follows the phones of a recorded woman's voice, in time."""
    samples = load(VOICE)
    heard = hear(ear, samples, rate)
    wanted = truth(VOICE, len(samples) / 16_000, rate)
    assert heard.shape == wanted.shape
    assert correlation(heard[:, 0], wanted[:, 0]) >= 0.85
    by_lag = [
        correlation(np.roll(heard[:, 0], -lag)[8:-8], wanted[8:-8, 0]) for lag in range(-5, 6)
    ]
    assert abs(int(np.argmax(by_lag)) - 5) <= 1


def test_held_out_mandarin(ear: Ear) -> None:
    """The opening follows the phones of a held-out Mandarin voice."""
    samples = load(MANDARIN)
    wanted = truth(MANDARIN, len(samples) / 16_000)
    assert correlation(hear(ear, samples)[:, 0], wanted[:, 0]) >= 0.85


def test_wrong_voice(ear: Ear) -> None:
    """What one voice says doesn't pass for another's: the measure can fail."""
    heard = hear(ear, load(MANDARIN))
    wanted = truth(VOICE, len(load(VOICE)) / 16_000)
    count = min(len(heard), len(wanted))
    assert correlation(heard[:count, 0], wanted[:count, 0]) < 0.4


def test_bilabials_close(ear: Ear) -> None:
    """Most p, b, m of the held-out voice shut the lips, and what shuts them is mostly one."""
    samples = load(VOICE)
    heard, wanted = hear(ear, samples), truth(VOICE, len(samples) / 16_000)
    closed = wanted[:, 2] > 0.7
    assert (heard[closed, 2] > 0.5).mean() >= 0.7
    assert (wanted[heard[:, 2] > 0.5, 2] > 0.35).mean() >= 0.7
    assert heard[closed, 0].mean() < 0.1


def test_silence_is_a_closed_mouth(ear: Ear) -> None:
    """Digital silence, a quiet room and what lies past the end leave the mouth shut."""
    nothing = np.zeros(48_000, np.float32)
    assert ear.hear(nothing, Fraction(25), 0, 75, level=0.0)[:, 0].max() < 0.05
    room = np.random.default_rng(0).standard_normal(48_000).astype(np.float32) * 1e-3
    assert ear.hear(room, Fraction(25), 0, 75, level=0.1)[:, 0].max() < 0.05
    samples = load(VOICE)
    after = ear.hear(samples, Fraction(25), 300, 350, level=0.1)
    assert after.shape == (50, 4)
    assert after[:, 0].max() < 0.05


def test_loudness_of_the_recording_does_not_matter(ear: Ear) -> None:
    """A voice recorded 20 dB softer moves the mouth the same way."""
    samples = load(VOICE)
    loud, soft = hear(ear, samples), hear(ear, samples * np.float32(0.1))
    np.testing.assert_allclose(loud, soft, atol=0.02)


@settings(max_examples=25, deadline=None)
@given(
    rate=st.sampled_from(RATES),
    cuts=st.lists(st.integers(1, 250), max_size=6),
    slack=st.integers(0, 500),
)
def test_cuts_do_not_matter(ear: Ear, rate: Fraction, cuts: list[int], slack: int) -> None:
    """However the timeline is cut, and with only the needed samples at hand, bits are the same."""
    samples = load(VOICE)
    level = speech_level(block_levels(samples))
    whole = ear.hear(samples, rate, 0, 251, level=level)
    edges = sorted({0, 251, *cuts})
    parts = []
    for first, last in pairwise(edges):
        low, high = reach(rate, first, last)
        low, high = max(low - slack, 0), high + slack
        parts.append(ear.hear(samples[low:high], rate, first, last, level=level, offset=low))
    assert (np.concatenate(parts) == whole).all()


def test_far_along_a_recording(ear: Ear) -> None:
    """Four hours in, frames are as exact as at the start, and memory is only the frames'."""
    rate = Fraction(30_000, 1001)
    # 1001 s hold exactly 30,000 frames and 80,080 columns: a whole number of blocks is 1001 x 4 s.
    shift, frames = 4004 * 4 * 16_000, 4 * 120_000
    samples = load(VOICE)[: 16_000 * 4]
    near = ear.hear(samples, rate, 0, 90, level=0.1)
    far = ear.hear(samples, rate, frames, frames + 90, level=0.1, offset=shift)
    assert (near == far).all()


def test_wrong_range(ear: Ear) -> None:
    """A range the wrong way round and a rate of nothing are refused; an empty range is empty."""
    samples = np.zeros(16_000, np.float32)
    with pytest.raises(ValueError, match="no frames"):
        ear.hear(samples, Fraction(25), 5, 4, level=0.1)
    with pytest.raises(ValueError, match="no frames"):
        ear.hear(samples, Fraction(0), 0, 4, level=0.1)
    assert ear.hear(samples, Fraction(25), 3, 3, level=0.1).shape == (0, 4)


def test_closures_are_decisive() -> None:
    """A mouth that the network nearly closes is shut, one that it hardly closes stays open."""
    mouth = np.array([[0.3, 0.1, 0.9, 0], [0.3, 0.1, 0.2, 0]], np.float32)
    sealed = ear_module._seal(mouth)
    assert sealed[0].tolist() == pytest.approx([0, 0.1, 1, 0])
    assert sealed[1].tolist() == pytest.approx([0.3, 0.1, 0, 0])
