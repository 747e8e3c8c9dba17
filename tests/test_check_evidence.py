from fractions import Fraction

import numpy as np
import pytest

from functions.check_evidence import evidence, margin, vertex

RATE = Fraction(25)


def speech(frames: int, seed: int) -> np.ndarray:
    """What a voice asks for: (frames + twice the margin, 4), some syllables a second."""
    chance = np.random.default_rng(seed)
    noise = chance.normal(size=(frames + 2 * margin(RATE, frames) + 8, 3))
    smooth = np.stack([np.convolve(row, np.hanning(9), "valid") for row in noise.T], axis=1)
    opening, width = 1 / (1 + np.exp(-smooth[:, 0])), np.tanh(smooth[:, 1])
    close = (smooth[:, 2] > 2.5).astype(float)
    return np.stack([opening * (1 - close), width, close, 0 * close], axis=1)


def natural(mouth: np.ndarray, late: int, seed: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Aperture and width of a mouth of which so much follows the voice; the rest is its own."""
    frames = _frames(mouth)
    edge = (len(mouth) - frames) // 2
    said = mouth[edge - late : edge - late + frames]
    own = speech(frames, seed + 1000)[edge : edge + frames]
    mixed = share * said + (1 - share) * own
    # A smile that comes and goes, slower than speech.
    smile = 0.05 * np.sin(np.arange(frames) / 60)
    return 0.02 + 0.1 * mixed[:, 0] + smile**2, 0.6 + 0.05 * mixed[:, 1] + smile


def _frames(mouth: np.ndarray) -> int:
    return next(n for n in range(len(mouth)) if n + 2 * margin(RATE, n) == len(mouth))


@pytest.mark.parametrize("late", [-10, -5, 0, 5, 10])
@pytest.mark.parametrize("seed", range(4))
def test_a_mouth_that_half_follows_stands_out(late: int, seed: int) -> None:
    """Half of what the lips do is their own: still the right lag is found, and told from chance."""
    mouth = speech(400, seed)
    found = evidence(*natural(mouth, late, seed, 0.5), mouth, RATE)
    assert found is not None
    assert found.confidence > 3.8
    assert found.lag == pytest.approx(late, abs=0.5)
    assert found.seconds == 16
    assert found.is_enough


@pytest.mark.parametrize("seed", range(8))
def test_other_words_stand_out_no_more_than_chance(seed: int) -> None:
    """A mouth that says something else goes with no lag much better than with any other."""
    said = speech(400, seed)
    found = evidence(*natural(said, 0, seed, 0.9), speech(400, seed + 50), RATE)
    assert found is not None
    assert found.confidence < 3.8


def test_moments_without_a_face_count_for_nothing() -> None:
    """Where no face was seen nothing is compared; the rest still tells."""
    mouth = speech(400, 1)
    apertures, widths = natural(mouth, 3, 1, 0.7)
    apertures[100:160] = widths[100:160] = np.nan
    found = evidence(apertures, widths, mouth, RATE)
    assert found is not None
    assert found.lag == pytest.approx(3, abs=0.5)


@pytest.mark.parametrize("frames", [0, 20, 99])
def test_a_short_video_is_no_evidence(frames: int) -> None:
    """Under four seconds there are too few wrong lags to say what chance does."""
    mouth = speech(frames, 2)
    assert evidence(np.ones(frames), np.ones(frames), mouth, RATE) is None


def test_some_seconds_are_not_enough() -> None:
    """Six seconds may show that mouth and voice belong together, but not that they don't."""
    mouth = speech(150, 3)
    found = evidence(*natural(mouth, 0, 3, 0.8), mouth, RATE)
    assert found is not None
    assert not found.is_enough


def test_a_still_mouth_and_silence_are_no_evidence() -> None:
    """Where nothing moves or nothing is said, or nobody is seen, there is nothing to compare."""
    mouth = speech(200, 4)
    apertures, widths = natural(mouth, 0, 4, 1.0)
    assert evidence(np.full(200, 0.04), np.full(200, 0.7), mouth, RATE) is None
    assert evidence(apertures, widths, np.zeros_like(mouth), RATE) is None
    assert evidence(np.full(200, np.nan), np.full(200, np.nan), mouth, RATE) is None


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(30000, 1001), Fraction(60)])
def test_the_margin_is_in_seconds(rate: Fraction) -> None:
    """Some seconds either way, at most a third of the video."""
    assert margin(rate, 10_000) == round(Fraction(12, 5) * rate)
    assert margin(rate, 90) == 30


def test_a_peak_lies_between_frames() -> None:
    """A parabola's vertex is found; a peak at the border is taken as it is."""
    lags = np.arange(-4, 5)
    scores = 1 - (lags - 1.3) ** 2 / 50
    assert vertex(scores, int(np.argmax(scores))) == pytest.approx(1.3)
    assert vertex(lags.astype(float), 8) == 4
