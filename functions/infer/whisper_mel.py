"""The log-mel spectrogram that Whisper's encoder listens to, in numpy alone.

Formula (A. Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, 2022, and
the published `audio.py` of that model): 16 kHz mono, windows of 30 s filled up with silence, power
of a centred 400-point STFT (periodic Hann window, hop 160, the ends mirrored, the last frame
dropped), 80 Slaney mel bands of unit area from 0 to 8000 Hz, `log10(max(1e-10, band))`, not lower
than 8 below the window's largest, then `(x + 4) / 4`.
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from functions.infer.mel import SAMPLE_RATE, slaney_filters

__all__ = ["BANDS", "FRAMES", "SAMPLES", "whisper_mel"]

SAMPLES: Final = 30 * SAMPLE_RATE
"""In a window."""
BANDS: Final = 80
HOP: Final = 160
FRAMES: Final = SAMPLES // HOP
"""In a window."""
POINTS: Final = 400
BLOCK: Final = 500  # frames that are worked out at once: bounds the memory


def whisper_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the spectrogram of one window.

    Args:
        samples: float32 [n], n at most `SAMPLES`, 16 kHz mono in -1..1; silence follows them.

    Returns:
        float32 [80, 3000].

    Raises:
        ValueError: `samples` isn't one-dimensional or longer than a window.
    """
    if samples.ndim != 1 or len(samples) > SAMPLES:
        raise ValueError(f"a window is at most {SAMPLES} samples in a row, not {samples.shape}")
    sound = np.pad(samples, (0, SAMPLES - len(samples)))
    sound = np.pad(sound, POINTS // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(sound, POINTS)[::HOP][:FRAMES]
    filters = slaney_filters(POINTS, BANDS, 0.0, SAMPLE_RATE / 2)
    bands = np.empty((FRAMES, BANDS))
    for start in range(0, FRAMES, BLOCK):
        block = slice(start, start + BLOCK)
        # In double precision: a quiet band beside a loud one is a small difference of big numbers.
        spectrum = np.fft.rfft(windows[block].astype(np.float64) * _hann(), axis=1)
        bands[block] = (spectrum.real**2 + spectrum.imag**2) @ filters
    logs = np.log10(np.maximum(bands, 1e-10))
    mel: NDArray[np.float32] = ((np.maximum(logs, logs.max() - 8) + 4) / 4).T.astype(np.float32)
    return np.ascontiguousarray(mel)


@cache
def _hann() -> NDArray[np.float64]:
    window: NDArray[np.float64] = np.hanning(POINTS + 1)[:-1]
    return window
