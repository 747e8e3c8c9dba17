"""How loud a voice is: one number a recording, so that every part of it is heard at one level."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK", "block_levels", "speech_level"]

BLOCK: Final = 320  # samples: 20 ms at 16 kHz
LOUD_SHARE: Final = 0.95


def block_levels(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the root mean square of each whole block of 320 samples, float32 [n // 320].

    A long recording is measured piece by piece: the levels of pieces whose lengths are multiples
    of 320 samples, joined, are the levels of the whole.
    """
    blocks = samples[: len(samples) // BLOCK * BLOCK].reshape(-1, BLOCK)
    levels: NDArray[np.float32] = np.sqrt(np.mean(np.square(blocks), axis=1, dtype=np.float32))
    return levels


def speech_level(levels: NDArray[np.float32]) -> float:
    """Return the level that loud speech reaches: the 95th percentile of the block levels.

    A click or a door slam moves it as little as a long pause does. 0 for a recording shorter than
    a block.
    """
    return float(np.quantile(levels, LOUD_SHARE)) if len(levels) else 0.0
