"""The log filter banks that speech recognisers of Kaldi's school listen to, in numpy alone.

Formula (Kaldi's `feature-fbank` and `mel-computations`, https://github.com/kaldi-asr/kaldi, with
its defaults, 80 bands and no dither): 16 kHz mono on the scale of 16-bit numbers, frames of 400
samples every 160; of each frame the mean is taken away, then `y[n] = x[n] - .97 x[n-1]` with
`x[-1] = x[0]`, a Hann window to the power of .85, the power of a 512-point Fourier transform, 80
triangles that are even on the scale `1127 ln(1 + hertz / 700)` from 20 Hz to 8 kHz, and the
natural logarithm of no less than 2^-23.

Outside the recording there is silence.
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["BANDS", "FRAME", "HOP", "fbank_between"]

BANDS: Final = 80
FRAME: Final = 400
HOP: Final = 160
SAMPLE_RATE: Final = 16_000
_POINTS: Final = 512
_SCALE: Final = 32768.0
_PREEMPHASIS: Final = 0.97
_LEAST: Final = 2.0**-23
# As in `functions.infer.mel`: blocks of one shape, so that a frame is the same bits in every slice.
_BLOCK: Final = 64


def fbank_between(
    samples: NDArray[np.float32], first: int, last: int, *, offset: int = 0
) -> NDArray[np.float32]:
    """Frames `first` to `last - 1`: bit for bit those of the whole recording.

    Args:
        samples: float32 [n], 16 kHz mono in -1..1; all that the frames and the blocks of 64 around
            them cover, or as far as the recording goes.
        first: first frame; frame k begins at sample 160 k; may be negative.
        last: frame after the last one; may lie past the end.
        offset: index in the recording of `samples[0]`.

    Returns:
        float32 [last - first, 80].
    """
    out = np.empty((last - first, BANDS), np.float32)
    for block in range(first // _BLOCK, -(-last // _BLOCK)):
        start = block * _BLOCK
        begin, end = max(start, first), min(start + _BLOCK, last)
        made = _block(samples, start * HOP - offset)
        out[begin - first : end - first] = made[begin - start : end - start]
    return out


def _block(samples: NDArray[np.float32], begin: int) -> NDArray[np.float32]:
    """The 64 frames from a sample on."""
    sound = np.zeros((_BLOCK - 1) * HOP + FRAME)
    low, high = max(begin, 0), min(begin + len(sound), len(samples))
    if low < high:
        sound[low - begin : high - begin] = samples[low:high]
    frames = np.lib.stride_tricks.sliding_window_view(sound * _SCALE, FRAME)[::HOP]
    frames = frames - frames.mean(axis=1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    spectrum = np.fft.rfft((frames - _PREEMPHASIS * before) * _window(), _POINTS, axis=1)
    bands = (spectrum.real**2 + spectrum.imag**2) @ _filters()
    logs: NDArray[np.float32] = np.log(np.maximum(bands, _LEAST)).astype(np.float32)
    return logs


@cache
def _window() -> NDArray[np.float64]:
    return np.asarray(np.hanning(FRAME) ** 0.85)


@cache
def _filters() -> NDArray[np.float64]:
    """[257, 80]."""
    mels = _to_mel(np.arange(_POINTS // 2 + 1) * SAMPLE_RATE / _POINTS)
    edges = np.linspace(_to_mel(np.float64(20.0)), _to_mel(np.float64(8000.0)), BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (mels[:, None] - low) / (centre - low)
    falling = (high - mels[:, None]) / (high - centre)
    filters = np.maximum(0.0, np.minimum(rising, falling))
    filters[-1] = 0.0  # the last point of the transform belongs to no band
    return filters


def _to_mel(hz: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    return np.asarray(1127.0 * np.log1p(hz / 700.0))
