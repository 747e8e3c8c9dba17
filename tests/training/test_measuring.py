"""The figures that say how well the ear hears."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from functions.infer.ear import Ear
from training.measuring import EAR, FRAMES, OnnxGraph, figures, lag, measure, read
from training.mouth_tracks import Segment, read_segments, tracks

SAID = [
    Segment(0.0, 0.4, ""),
    Segment(0.4, 0.5, "m"),
    Segment(0.5, 0.8, "a"),
    Segment(0.8, 0.95, "n"),
    Segment(0.95, 1.2, "u"),
    Segment(1.2, 1.3, "p"),
    Segment(1.3, 1.6, "i"),
    Segment(1.6, 2.0, ""),
]
TRUTH = tracks(SAID, 2.0, FRAMES)
VOICE = Path(__file__).parents[2] / "functions" / "samples" / "voice.flac"


def test_the_truth_is_perfect() -> None:
    """Whoever hears the true mouth closes at every closure, nowhere else, in time, in full."""
    found = figures(TRUTH, TRUTH, SAID)
    assert found.r_open == pytest.approx(1)
    assert found.lag_frames == pytest.approx(0, abs=1e-6)
    assert (found.bilabials, found.bilabial_recall, found.false_closures) == (2, 1, 0)
    assert found.rounding_share == pytest.approx(1)
    assert found.rests == 1


def test_a_closure_at_n_is_false() -> None:
    """Lips that also close where none are said to: one closure of three is wrong."""
    heard = TRUTH.copy()
    heard[21:23, 2] = 1.0
    assert figures(heard, TRUTH, SAID).false_closures == pytest.approx(1 / 3)


def test_a_missed_closure_is_seen() -> None:
    """Lips that stay open at the m: one closure of two is missing, and none is false."""
    heard = TRUTH.copy()
    heard[:15, 2] = 0.0
    found = figures(heard, TRUTH, SAID)
    assert (found.bilabial_recall, found.false_closures) == (0.5, 0)
    assert found.bilabial_frames_recall < 1


def test_half_the_rounding_is_half() -> None:
    """A mouth that rounds half as far has half the share."""
    heard = TRUTH * np.array([1, 0.5, 1, 1], np.float32)
    assert figures(heard, TRUTH, SAID).rounding_share == pytest.approx(0.5, abs=1e-3)


def test_an_open_mouth_at_rest_is_seen() -> None:
    """A mouth that stands open in the pauses doesn't rest."""
    found = figures(np.maximum(TRUTH, np.float32(0.3)), TRUTH, SAID)
    assert found.rests == 0
    assert found.open_at_rest == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("frames", [-3, -1, 2])
def test_lag(frames: int) -> None:
    """A mouth that comes so many frames late is measured as that late."""
    assert lag(np.roll(TRUTH[:, 0], frames), TRUTH[:, 0]) == pytest.approx(frames, abs=0.05)


def test_a_recording_is_brought_to_the_ears_rate(tmp_path: Path) -> None:
    """Two channels at 44.1 kHz become one at 16 kHz of the same length."""
    soundfile.write(tmp_path / "two.wav", np.zeros((44_100, 2), np.float32), 44_100)
    assert read(tmp_path / "two.wav").shape == (16_000,)


def test_the_shipped_ear_on_the_sample_voice() -> None:
    """The sample voice, held out from training, is heard about as well as is written down."""
    segments = read_segments(VOICE.with_suffix(".phones.json"))
    found = measure(Ear(OnnxGraph(EAR)), read(VOICE), segments)
    assert found.r_open >= 0.85
    assert abs(found.lag_frames) <= 0.3
    assert found.bilabial_recall >= 0.7
    assert found.false_closures <= 0.35
    assert found.rounding_share >= 0.35
