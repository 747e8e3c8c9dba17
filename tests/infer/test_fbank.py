"""The filter banks against an independent reading of Kaldi's formulas, and in slices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.infer.fbank import fbank_between


def sound(count, seed=0):
    """Noise that swells and fades, -1..1."""
    noise = np.random.default_rng(seed).normal(0, 0.1, count)
    return (noise * (0.02 + np.abs(np.sin(np.arange(count) / 1500)) ** 3)).astype(np.float32)


def reference(samples):
    """Frame by frame, band by band, in double precision."""

    def mel(hertz):
        return 1127 * np.log(1 + hertz / 700)

    whole = samples.astype(np.float64) * 32768
    width = (mel(8000) - mel(20)) / 81
    phase = np.exp(-2j * np.pi * np.outer(np.arange(256), np.arange(512)) / 512)
    rows = []
    for start in range(0, len(whole) - 399, 160):
        frame = whole[start : start + 400] - whole[start : start + 400].mean()
        emphasised = [frame[0] - 0.97 * frame[0], *(frame[1:] - 0.97 * frame[:-1])]
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)
        power = np.abs(phase[:, :400] @ (np.array(emphasised) * hann**0.85)) ** 2
        row = []
        for band in range(80):
            left = mel(20) + band * width
            energy = 0.0
            for point in range(256):
                at = (mel(point * 31.25) - left) / width
                energy += power[point] * max(0.0, min(at, 2 - at))
            row.append(np.log(max(energy, np.finfo(np.float32).eps)))
        rows.append(row)
    return np.array(rows)


def test_formula():
    """Every band of every frame is the formula's, to 1e-4."""
    samples = sound(8000)
    wanted = reference(samples)
    assert wanted.shape == (48, 80)
    np.testing.assert_allclose(fbank_between(samples, 0, 48), wanted, atol=1e-4)


def test_silence_is_the_least_logarithm():
    """Outside of the recording every band is ln 2^-23."""
    samples = sound(1000)
    out = fbank_between(samples, -70, -3)
    np.testing.assert_allclose(out, np.log(2.0**-23), rtol=1e-6)
    np.testing.assert_array_equal(fbank_between(samples, 40, 100), out[:60])


@settings(max_examples=30)
@given(st.integers(-100, 150), st.integers(1, 150), st.integers(0, 3))
def test_slices_are_the_whole(first, count, seed):
    """A slice, of a part of the recording, has the bits of the whole."""
    samples = sound(20_000, seed)
    whole = fbank_between(samples, -128, 320)
    low = max(0, (first - 64) * 160)
    part = samples[low : max(0, (first + count + 64) * 160 + 400)]
    got = fbank_between(part, first, first + count, offset=low)
    np.testing.assert_array_equal(got, whole[first + 128 : first + 128 + count])


@pytest.mark.parametrize("level", [1.0, 1e-4])
def test_loudness_is_added(level):
    """Twice as loud is ln 4 more, wherever there is sound."""
    samples = sound(4000) * np.float32(level)
    apart = fbank_between(samples * 2, 5, 15) - fbank_between(samples, 5, 15)
    np.testing.assert_allclose(apart, np.log(4), atol=1e-3)
