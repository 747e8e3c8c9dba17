"""The log-mel spectrogram that lip-sync networks of the Wav2Lip family listen to, in numpy alone.

Formula (Wav2Lip's published audio settings, https://github.com/Rudrabha/Wav2Lip, ``hparams.py``):
16 kHz mono, pre-emphasis ``y[n] = x[n] - .97 x[n-1]``, magnitude of a centred 800-point STFT
(periodic Hann window, hop 200), 80 Slaney mel bands of unit area from 55 to 7600 Hz, then
``clip(1.6 log10(max(1e-5, band)) + 2.4, -4, 4)``, the closed form of its decibels and
normalisation. Slaney's scale is linear (66.7 Hz a mel) up to 1 kHz and logarithmic above, with a
ratio of 6.4 every 27 mels (M. Slaney, Auditory Toolbox, Interval technical report 1998-010).

Outside the recording there is silence, so frames before its start and after its end are defined
too: all bands -4 where the window holds none of it.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BANDS",
    "HOP",
    "MARGIN",
    "MELS_PER_SECOND",
    "SAMPLE_RATE",
    "SILENCE",
    "log_mel",
    "log_mel_between",
    "slaney_filters",
]

SAMPLE_RATE: Final = 16_000
HOP: Final = 200
MELS_PER_SECOND: Final = SAMPLE_RATE // HOP
BANDS: Final = 80
SILENCE: Final = -4.0  # what every band of a frame without sound is
WINDOW: Final = 800
MARGIN: Final = WINDOW // 2 + 1  # samples on either side of its centre that a frame depends on
PREEMPHASIS: Final = 0.97
LOWEST_HZ: Final = 55.0
HIGHEST_HZ: Final = 7600.0

# Frames are worked out in blocks that begin at multiples of this number whatever was asked for:
# a matrix product of one shape rounds one way, so a frame is the same bits in every slice.
BLOCK: Final = 64

LINEAR_HZ_PER_MEL: Final = 200.0 / 3.0
LOG_START_HZ: Final = 1000.0
LOG_START_MEL: Final = LOG_START_HZ / LINEAR_HZ_PER_MEL
LOG_STEP: Final = float(np.log(6.4)) / 27.0


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the log-mel spectrogram of a whole recording.

    Args:
        samples: float32 [n], 16 kHz mono in -1..1.

    Returns:
        float32 [1 + n // 200, 80] in -4..4; frame k is centred on sample 200 k.
    """
    return log_mel_between(samples, 0, 1 + len(samples) // HOP)


def log_mel_between(
    samples: NDArray[np.float32], first: int, last: int, *, offset: int = 0
) -> NDArray[np.float32]:
    """Return frames ``first`` to ``last - 1``: bit for bit those of the whole recording.

    Memory is that of the frames asked for plus two blocks. A caller who holds only a part of the
    recording passes it with ``offset``, the index of its first sample in the recording; the part
    must reach ``MARGIN`` samples past the outermost frames' centres on both sides, or to the
    recording's ends.

    Args:
        samples: float32 [n], 16 kHz mono in -1..1.
        first: first frame; may be negative (silence before the start).
        last: frame after the last one; may lie past the end.
        offset: index in the recording of ``samples[0]``.

    Returns:
        float32 [last - first, 80] in -4..4.

    Raises:
        ValueError: ``samples`` isn't one-dimensional or ``last`` lies before ``first``.
    """
    if samples.ndim != 1:
        raise ValueError(f"samples must be one-dimensional, not of shape {samples.shape}")
    if last < first:
        raise ValueError(f"last ({last}) lies before first ({first})")
    out = np.empty((last - first, BANDS), np.float32)
    for block in range(first // BLOCK, -(-last // BLOCK)):
        start = block * BLOCK
        begin, end = max(start, first), min(start + BLOCK, last)
        out[begin - first : end - first] = _block(samples, start, offset)[
            begin - start : end - start
        ]
    return out


def _block(samples: NDArray[np.float32], start: int, offset: int) -> NDArray[np.float32]:
    """Return the ``BLOCK`` frames from frame ``start`` on."""
    count = (BLOCK - 1) * HOP + WINDOW
    begin = start * HOP - WINDOW // 2 - offset
    # One sample more in front, for the pre-emphasis. In double precision, as training heard it: a
    # quiet band beside a loud one is a small difference of big numbers.
    raw = np.zeros(count + 1)
    low, high = max(begin - 1, 0), min(begin + count, len(samples))
    if low >= high:
        return np.full((BLOCK, BANDS), SILENCE, np.float32)
    raw[low - begin + 1 : high - begin + 1] = samples[low:high]
    sound = raw[1:] - PREEMPHASIS * raw[:-1]
    sound[high - begin :] = 0.0  # the pre-emphasis of the silence after the end is silence too
    windows = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP]
    spectrum = np.abs(np.fft.rfft(windows * _hann(), axis=1))
    filters = slaney_filters(WINDOW, BANDS, LOWEST_HZ, HIGHEST_HZ)
    bands = np.maximum(spectrum @ filters, 1e-5)
    mel: NDArray[np.float32] = np.clip(1.6 * np.log10(bands) + 2.4, -4.0, 4.0).astype(np.float32)
    return mel


@cache
def _hann() -> NDArray[np.float64]:
    window: NDArray[np.float64] = np.hanning(WINDOW + 1)[:-1]
    return window


@cache
def slaney_filters(window: int, bands: int, lowest: float, highest: float) -> NDArray[np.float32]:
    """Return triangular filters on Slaney's scale, each of unit area over its hertz.

    Args:
        window: points of the Fourier transform.
        bands: filters.
        lowest: hertz at which the first begins.
        highest: hertz at which the last ends.

    Returns:
        float32 [window // 2 + 1, bands].
    """
    bins = np.linspace(0.0, SAMPLE_RATE / 2, window // 2 + 1)
    edges = _to_hz(np.linspace(_to_mel(lowest), _to_mel(highest), bands + 2))
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - low) / (centre - low)
    falling = (high - bins[:, None]) / (high - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    filters: NDArray[np.float32] = (triangles * (2.0 / (high - low))).astype(np.float32)
    return filters


def _to_mel(hz: float) -> float:
    if hz < LOG_START_HZ:
        return hz / LINEAR_HZ_PER_MEL
    return LOG_START_MEL + float(np.log(hz / LOG_START_HZ)) / LOG_STEP


def _to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = mel * LINEAR_HZ_PER_MEL
    logarithmic = LOG_START_HZ * np.exp(LOG_STEP * (mel - LOG_START_MEL))
    return np.where(mel < LOG_START_MEL, linear, logarithmic)
