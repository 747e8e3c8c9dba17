import numpy as np
import pytest
from scipy.signal import stft

from functions.infer.whisper_mel import SAMPLES, whisper_mel


def documented(samples):
    """The same from the published description: scipy's STFT, filters drawn one by one."""
    sound = np.pad(samples.astype(np.float64), (0, SAMPLES - len(samples)))
    padded = np.pad(sound, 200, mode="reflect")
    _, _, spectrum = stft(
        padded,
        window=0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400),
        nperseg=400,
        noverlap=240,
        boundary=None,
        padded=False,
        scaling="spectrum",
    )
    power = np.abs(spectrum * 200) ** 2  # scipy divides by the window's sum
    bands = np.log10(np.maximum(filters() @ power[:, :3000], 1e-10))
    return (np.maximum(bands, bands.max() - 8) + 4) / 4


def filters():
    """Slaney's 80 triangles of unit area between 0 and 8000 Hz, over 201 bins of 40 Hz."""

    def hertz(mel):
        return mel * 200 / 3 if mel < 15 else 1000 * np.exp((mel - 15) * np.log(6.4) / 27)

    top = 15 + np.log(8) / (np.log(6.4) / 27)
    edges = [hertz(top * k / 81) for k in range(82)]
    drawn = np.zeros((80, 201))
    for band in range(80):
        low, middle, high = edges[band : band + 3]
        for index in range(201):
            at = 40 * index
            up, down = (at - low) / (middle - low), (high - at) / (high - middle)
            drawn[band, index] = max(0, min(up, down)) * 2 / (high - low)
    return drawn


@pytest.mark.parametrize("seconds", [0.5, 7.3, 30])
def test_it_is_the_documented_arithmetic(seconds):
    """Whatever the length, within 1e-4 of an independent reference; the rest of 30 s is silence."""
    count = int(seconds * 16000)
    t = np.arange(count) / 16000
    noise = np.random.default_rng(3).normal(0, 0.02, count)
    samples = (0.3 * np.sin(2 * np.pi * 440 * t) * np.cos(t) + noise).astype(np.float32)
    mel = whisper_mel(samples)
    assert mel.shape == (80, 3000)
    assert mel.dtype == np.float32
    assert np.abs(mel - documented(samples)).max() < 1e-4


def test_silence_is_flat():
    """Nothing heard is the floor of the logarithm, not a division by nothing."""
    assert np.array_equal(whisper_mel(np.zeros(0, np.float32)), np.full((80, 3000), -1.5))


def test_more_than_a_window_is_refused():
    """Thirty seconds are what the encoder was made for."""
    with pytest.raises(ValueError, match="480000"):
        whisper_mel(np.zeros(SAMPLES + 1, np.float32))
