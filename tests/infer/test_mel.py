"""The log-mel against an independent reading of its formula, and in slices."""

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.infer.mel import HOP, MARGIN, SILENCE, log_mel, log_mel_between


def voice_like(count: int, seed: int = 0) -> np.ndarray:
    """Noise whose loudness and colour change, -1..1."""
    chance = np.random.default_rng(seed)
    noise = scipy.signal.lfilter([1], [1, -0.9], chance.standard_normal(count))
    loudness = 0.05 + np.abs(np.sin(np.arange(count) / 1500)) ** 3
    return (0.1 * noise * loudness).astype(np.float32)


def slaney_filters() -> np.ndarray:
    """80 triangles between 55 and 7600 Hz, written from Slaney's description, band by band."""
    breakpoint_mel = 15.0  # 1000 Hz at 200/3 Hz a mel

    def to_mel(hz: float) -> float:
        if hz < 1000:
            return 3 * hz / 200
        return breakpoint_mel + 27 * np.log(hz / 1000) / np.log(6.4)

    def to_hz(mel: float) -> float:
        if mel < breakpoint_mel:
            return 200 * mel / 3
        return 1000 * 6.4 ** ((mel - breakpoint_mel) / 27)

    low, high = to_mel(55), to_mel(7600)
    edges = [to_hz(low + (high - low) * i / 81) for i in range(82)]
    filters = np.zeros((80, 401))
    for band in range(80):
        left, centre, right = edges[band : band + 3]
        area = (right - left) / 2
        for number in range(401):
            hz = 20.0 * number
            if left < hz <= centre:
                filters[band, number] = (hz - left) / (centre - left) / area
            elif centre < hz < right:
                filters[band, number] = (right - hz) / (right - centre) / area
    return filters


def reference(samples: np.ndarray) -> np.ndarray:
    """The formula with scipy's filter and window and a plain DFT, in double precision."""
    emphasised = scipy.signal.lfilter([1, -0.97], [1], samples.astype(np.float64))
    padded = np.pad(emphasised, 400)
    window = scipy.signal.get_window("hann", 800, fftbins=True)
    phase = np.exp(-2j * np.pi * np.outer(np.arange(800), np.arange(401)) / 800)
    frames = [padded[i * 200 : i * 200 + 800] * window for i in range(1 + len(samples) // 200)]
    amplitude = np.abs(np.array(frames) @ phase) @ slaney_filters().T
    decibels = 20 * np.log10(np.maximum(1e-5, amplitude)) - 20
    return np.clip(8 * (decibels + 100) / 100 - 4, -4, 4)


def test_formula() -> None:
    """Every band of every frame is the formula's, to 1e-4 of its range of 8."""
    samples = voice_like(16_123)
    got = log_mel(samples)
    assert got.shape == (81, 80)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, reference(samples), atol=1e-4)


def test_frame_centre() -> None:
    """A click at sample 200 k is loudest in frame k."""
    samples = np.zeros(16_000, np.float32)
    samples[200 * 37] = 0.5
    assert int(log_mel(samples).mean(axis=1).argmax()) == 37


def test_silence() -> None:
    """Silence is -4 in every band, also before the start and after the end of a recording."""
    assert (log_mel(np.zeros(3000, np.float32)) == SILENCE).all()
    samples = voice_like(8000)
    assert (log_mel_between(samples, -200, -2) == SILENCE).all()
    assert (log_mel_between(samples, 43, 300) == SILENCE).all()
    assert (log_mel(np.zeros(0, np.float32)) == SILENCE).all()


@settings(max_examples=60, deadline=None)
@given(count=st.integers(0, 30_000), first=st.integers(-80, 160), length=st.integers(0, 200))
def test_slices_are_the_whole(count: int, first: int, length: int) -> None:
    """Any slice of any recording is bit for bit that part of the whole."""
    samples = voice_like(count)
    whole = log_mel_between(samples, -100, 400)
    part = log_mel_between(samples, first, first + length)
    assert (part == whole[first + 100 : first + 100 + length]).all()


@settings(max_examples=60, deadline=None)
@given(
    first=st.integers(0, 140),
    length=st.integers(1, 90),
    more=st.tuples(st.integers(0, 999), st.integers(0, 999)),
)
def test_part_of_a_recording(first: int, length: int, more: tuple[int, int]) -> None:
    """A caller who holds only what the frames depend on, or a bit more, gets the same bits."""
    samples = voice_like(30_000)
    low = max(0, first * HOP - MARGIN - more[0])
    high = (first + length - 1) * HOP + MARGIN + more[1]
    part = log_mel_between(samples[low:high], first, first + length, offset=low)
    assert (part == log_mel_between(samples, first, first + length)).all()


def test_wrong_input() -> None:
    """Stereo and ranges the wrong way round are refused."""
    with pytest.raises(ValueError, match="one-dimensional"):
        log_mel(np.zeros((100, 2), np.float32))
    with pytest.raises(ValueError, match="before first"):
        log_mel_between(np.zeros(100, np.float32), 3, 2)
