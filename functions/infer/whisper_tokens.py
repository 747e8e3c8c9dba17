"""What whisper-tiny's encoder makes of a voice, as MuseTalk listens to it.

The recording is heard in windows of 30 s that begin at multiples of 30 s, so a token belongs to
the recording, not to a segment. Each token (50 a second) is five vectors: what goes into the
encoder's first layer and what comes out of its four. Video frame i hears 10 tokens from
`floor(i * 50 / rate) - 2 * ceil(50 / rate)` on; outside the recording they are zeros. A sinusoid of
each vector's place among the 50 is added (A. Vaswani et al., Attention Is All You Need, 2017,
section 3.5).

Upstream rounds the frame rate down to whole numbers, which makes 29.97 drift, and leaves out what
lies after the last whole frame; here the rate is exact and every frame hears something.
"""

from fractions import Fraction
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from functions.infer.backends import Graph
from functions.infer.family import VoiceReader
from functions.infer.whisper_mel import SAMPLES, whisper_mel

TOKENS_PER_SECOND: Final = 50
SAMPLES_PER_TOKEN: Final = 320
WINDOW_TOKENS: Final = 1500
HEARD: Final = 10
"""Tokens that a video frame hears."""
LEFT: Final = 2
"""Frames before its own of which a frame hears the tokens."""


class WhisperTokens:
    """Hears a voice with the encoder's graph: [1, 80, 3000] -> [1, 1500, layers, width].

    Args:
        encoder: the graph.
        token: layers and width.
    """

    def __init__(self, encoder: Graph, token: tuple[int, int] = (5, 384)) -> None:
        self._encoder = encoder
        (self._input,) = encoder.inputs
        self._token = token

    def hear(
        self, voice: VoiceReader, rate: Fraction, first: int, last: int
    ) -> NDArray[np.float32]:
        """Return what the video frames `first` to `last - 1` hear.

        Args:
            voice: the recording.
            rate: frames a second.
            first: first frame.
            last: frame after the last one; past the recording's end there are zeros.

        Returns:
            float32 [last - first, 10 * layers, width], the vectors of a token beside each other.
        """
        starts = first_tokens(rate, first, last)
        begin, end = int(starts[0]), int(starts[-1]) + HEARD
        tokens = self._tokens(voice, begin, end)
        heard = tokens[(starts - begin)[:, None] + np.arange(HEARD)]
        vectors = heard.reshape(len(starts), -1, tokens.shape[-1])
        summed: NDArray[np.float32] = vectors + positions(*vectors.shape[1:])
        return summed

    def _tokens(self, voice: VoiceReader, begin: int, end: int) -> NDArray[np.float32]:
        """The tokens [begin, end), zeros outside the recording."""
        tokens = np.zeros((end - begin, *self._token), np.float32)
        for window in range(max(begin, 0) // WINDOW_TOKENS, -(-end // WINDOW_TOKENS)):
            start = window * WINDOW_TOKENS
            samples = voice.samples(window * SAMPLES, (window + 1) * SAMPLES)
            low, high = max(begin, start), min(end, start + len(samples) // SAMPLES_PER_TOKEN)
            if low < high:
                heard = self._encode(samples)
                tokens[low - begin : high - begin] = heard[low - start : high - start]
        return tokens

    def _encode(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """All tokens of a window."""
        mel = whisper_mel(samples).astype(self._input.dtype)
        states: NDArray[np.float32] = self._encoder.run({self._input.name: mel[None]})[0][0]
        return states


def first_tokens(rate: Fraction, first: int, last: int) -> NDArray[np.int64]:
    """The first token that each of the frames hears; before the recording they are negative."""
    frames = np.arange(first, last, dtype=np.int64)
    step = TOKENS_PER_SECOND / rate
    before = LEFT * -(-step.numerator // step.denominator)
    return frames * step.numerator // step.denominator - before


@cache
def positions(count: int, width: int) -> NDArray[np.float32]:
    """The sinusoids, float32 [count, width]: sines at even places, cosines at odd ones."""
    wave = np.exp(np.arange(0, width, 2) * (-np.log(10000.0) / width))
    angle = np.arange(count)[:, None] * wave
    return np.stack([np.sin(angle), np.cos(angle)], axis=2).reshape(count, width).astype(np.float32)
