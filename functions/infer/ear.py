"""The ear of the default model: a voice in, what the mouth does in each video frame out.

A small network hears blocks of the log-mel spectrogram and says 80 times a second how the mouth
stands. That track belongs to the recording, not to a video: it is worked out in blocks that begin
at fixed moments, smoothed over a fixed time and then averaged over each video frame. So a frame is
the same bits however the timeline is cut into segments, and any frame rate sees the same mouth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from functions.infer.mel import HOP, MARGIN, MELS_PER_SECOND, log_mel_between

__all__ = [
    "BLOCK",
    "CHANNELS",
    "COLUMN_SECONDS",
    "CONTEXT",
    "Ear",
    "Graph",
    "at_speech_level",
    "reach",
]

CHANNELS: Final = ("open", "width", "close", "lipteeth")
BLOCK: Final = 64  # columns that the graph answers at once: 0.8 s
CONTEXT: Final = 26  # columns that it hears before and after each: 325 ms
COLUMN_SECONDS: Final = 1 / MELS_PER_SECOND

# The network learned from voices at this level (95th percentile of 20 ms loudness).
HEARD_LEVEL: Final = 0.1
LARGEST_GAIN: Final = 100.0

SMOOTHING: Final = np.array([0.25, 0.5, 0.25], np.float32)  # over columns: 25 ms
POINTS: Final = 4  # moments in a frame whose mean it is
SEALING: Final = (0.25, 0.5)  # closes below the first are none, above the second whole


class Graph(Protocol):
    """A loaded model, on whatever device."""

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> Sequence[NDArray[np.float32]]:
        """Return the outputs for inputs by name."""
        ...


def at_speech_level(samples: NDArray[np.float32], level: float) -> NDArray[np.float32]:
    """Return samples brought to the loudness that the network knows.

    Args:
        samples: float32 [n].
        level: `functions.loudness.speech_level` of the whole recording.
    """
    return samples * np.float32(min(HEARD_LEVEL / max(level, 1e-9), LARGEST_GAIN))


class Ear:
    """Hears mouth tracks with a graph: ``mel`` [1, 1, 80, 116] -> ``mouth`` [1, 4, 64].

    Column j of the answer belongs to column j + `CONTEXT` of the question.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def hear(
        self,
        samples: NDArray[np.float32],
        rate: Fraction,
        first: int,
        last: int,
        *,
        level: float,
        offset: int = 0,
    ) -> NDArray[np.float32]:
        """Return the mouth in the video frames ``first`` to ``last - 1``.

        Args:
            samples: float32 [n], 16 kHz mono: the whole recording, or with ``offset`` the part
                of it that `reach` names.
            rate: frames a second.
            first: first frame; frame i lasts from i / rate to (i + 1) / rate seconds.
            last: frame after the last one; past the recording's end there is silence.
            level: `functions.loudness.speech_level` of the whole recording.
            offset: index in the recording of ``samples[0]``.

        Returns:
            float32 [last - first, 4]: open 0..1, width -1 (pursed) .. 1 (spread), close 0..1
            (lips pressed together), lipteeth 0..1 (lower lip under the upper teeth).

        Raises:
            ValueError: the range is empty the wrong way round, or the rate isn't positive.
        """
        if rate <= 0 or last < first:
            raise ValueError(f"no frames {first} to {last} at {rate} a second")
        if last == first:
            return np.empty((0, len(CHANNELS)), np.float32)
        column, between = _positions(rate, first, last)
        begin = int(column[0])
        earliest, latest = reach(rate, first, last)
        skipped = max(earliest - offset, 0)
        part = at_speech_level(samples[skipped : max(latest - offset, 0)], level)
        track = self._track(part, begin, int(column[-1]) + 2, offset + skipped)
        index = column - begin
        values = track[index] * (1 - between)[:, None] + track[index + 1] * between[:, None]
        return _seal(values.reshape(-1, POINTS, len(CHANNELS)).mean(axis=1))

    def _track(
        self, samples: NDArray[np.float32], first: int, last: int, offset: int
    ) -> NDArray[np.float32]:
        """Return the smoothed track at mel columns ``first`` to ``last - 1``, float32 [n, 4]."""
        radius = len(SMOOTHING) // 2
        low, high = (first - radius) // BLOCK, -(-(last + radius) // BLOCK)
        blocks = [self._block(samples, block, offset) for block in range(low, high)]
        raw = np.concatenate(blocks)
        start = first - radius - low * BLOCK
        count = last - first
        smooth = np.zeros((count, len(CHANNELS)), np.float32)
        for tap, weight in enumerate(SMOOTHING):
            smooth += weight * raw[start + tap : start + tap + count]
        return smooth

    def _block(self, samples: NDArray[np.float32], block: int, offset: int) -> NDArray[np.float32]:
        start = block * BLOCK
        mel = log_mel_between(samples, start - CONTEXT, start + BLOCK + CONTEXT, offset=offset)
        # One block a call: a batch of another size may round otherwise.
        question = np.ascontiguousarray(mel.T)[None, None]
        mouth: NDArray[np.float32] = self._graph.run({"mel": question})[0][0].T
        return mouth


def reach(rate: Fraction, first: int, last: int) -> tuple[int, int]:
    """Return the samples that frames depend on: from the first number up to the second.

    May lie outside the recording on both sides: there is silence.
    """
    column, _ = _positions(rate, first, last)
    radius = len(SMOOTHING) // 2
    low = (int(column[0]) - radius) // BLOCK * BLOCK - CONTEXT
    high = -(-(int(column[-1]) + 2 + radius) // BLOCK) * BLOCK + CONTEXT
    return low * HOP - MARGIN, high * HOP + MARGIN


def _positions(
    rate: Fraction, first: int, last: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return `POINTS` moments in each frame: the mel column before each, and the way to the next.

    In whole numbers, so that frame 100,000 is as exact as frame 1.
    """
    points = np.arange(first * POINTS, last * POINTS, dtype=np.int64)
    numerator = (2 * points + 1) * (MELS_PER_SECOND * rate.denominator)
    denominator = 2 * POINTS * rate.numerator
    column, rest = np.divmod(numerator, denominator)
    return column, (rest / denominator).astype(np.float32)


def _seal(mouth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Make closures decisive: lips that nearly touch at p, b, m look like a mistake."""
    low, high = SEALING
    share = np.clip((mouth[:, 2] - low) / (high - low), 0.0, 1.0)
    sealed = share * share * (3 - 2 * share)
    out = mouth.copy()
    out[:, 0] *= 1 - sealed
    out[:, 2] = sealed
    return out
