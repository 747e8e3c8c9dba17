"""What a speech recogniser makes of a voice, for models that listen through one.

Two kinds of encoders, each a graph of its own, told apart by its inputs:

- HuBERT (https://github.com/facebookresearch/fairseq): [1, n] samples with mean 0 and variance 1,
  in clips of 20 s, to [1, (n - 80) / 320, 1024]; two in a row are one feature, 25 a second.
- WeNet (https://github.com/wenet-e2e/wenet): 67 frames of `functions.infer.fbank`, the first of
  which begins 320 ms before the feature's time, with `offset` 100 and empty caches, to
  [1, 16, 512]; 20 a second.

A feature is the same however the timeline is cut: clips begin at multiples of 20 s.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from functions.errors import BadModelError
from functions.infer.backends import Graph
from functions.infer.backends.graph import TensorSpec
from functions.infer.family import VoiceReader
from functions.infer.fbank import BANDS, FRAME, HOP, fbank_between

_SAMPLE_RATE: Final = 16_000
_MARGIN: Final = 64 * HOP + FRAME  # a block of `fbank_between`


class Features(Protocol):
    """An encoder that listens."""

    rate: int
    """Features a second."""
    values: int
    """Of one feature."""

    def hear(self, voice: VoiceReader, first: int, last: int) -> NDArray[np.float32]:
        """(last - first, values): zeros before the recording's start and after its end."""
        ...


def features_of(label: str, encoder: Graph) -> Features:
    """The kind of features that an encoder gives.

    Args:
        label: of the model, for complaints.
        encoder: its graph.

    Raises:
        BadModelError: it is neither kind.
    """
    shapes = [spec.shape for spec in encoder.inputs]
    if is_wenet(encoder.inputs):
        return WenetFeatures(label, encoder)
    if is_hubert(encoder.inputs):
        return HubertFeatures(label, encoder)
    what = f"has an encoder for {', '.join(map(str, map(list, map(_shown, shapes))))}"
    raise BadModelError(
        f"model {label} {what}; known are HuBERT's [1, n] and WeNet's [1, 1, 67, 80]"
    )


def is_wenet(inputs: Sequence[TensorSpec]) -> bool:
    """Whether one of these is 67 frames of 80 bands."""
    return any(spec.shape[-2:] == (WenetFeatures.frames, BANDS) for spec in inputs)


def is_hubert(inputs: Sequence[TensorSpec]) -> bool:
    """Whether these are samples and nothing else."""
    return len(inputs) == 1 and len(inputs[0].shape) == 2


class WenetFeatures:
    """Features of a WeNet encoder; see `Features`."""

    rate = 20
    values = 16 * 512
    frames = 67
    _step = _SAMPLE_RATE // HOP // rate
    _lead = 32  # frames

    def __init__(self, label: str, encoder: Graph) -> None:
        self._label = label
        self._encoder = encoder
        self._constant: dict[str, NDArray[np.generic]] = {}
        for spec in encoder.inputs:
            if spec.shape[-2:] == (self.frames, BANDS):
                self._chunk = spec
                continue
            shape = [size for size in spec.shape if size is not None]
            if len(shape) != len(spec.shape):
                what = f"has an encoder whose input {spec.name} may be of any size"
                raise BadModelError(f"model {label} {what}")
            whole = np.issubdtype(np.dtype(spec.dtype), np.integer)
            self._constant[spec.name] = np.full(shape, 100 if whole else 0, spec.dtype)

    def hear(self, voice: VoiceReader, first: int, last: int) -> NDArray[np.float32]:
        """See `Features`."""
        out = np.zeros((last - first, self.values), np.float32)
        begin, end = max(first, 0), last
        low = (begin * self._step - self._lead) * HOP - _MARGIN
        high = ((end - 1) * self._step - self._lead + self.frames) * HOP + _MARGIN
        samples = voice.samples(low, high)
        start = max(low, 0)
        if len(samples) < high - start:
            end = min(end, (start + len(samples)) * self.rate // _SAMPLE_RATE + 1)
        if begin >= end:
            return out
        frame = begin * self._step - self._lead
        until = (end - 1) * self._step - self._lead + self.frames
        heard = fbank_between(samples, frame, until, offset=start)
        for feature in range(begin, end):
            at = (feature - begin) * self._step
            out[feature - first] = self._encode(heard[at : at + self.frames])
        return out

    def _encode(self, heard: NDArray[np.float32]) -> NDArray[np.float32]:
        shape = (1,) * (len(self._chunk.shape) - 2) + heard.shape
        chunk = heard.reshape(shape).astype(self._chunk.dtype)
        made = self._encoder.run({self._chunk.name: chunk, **self._constant})[0]
        return _checked(self._label, made, (1, 16, 512)).reshape(-1)


class HubertFeatures:
    """Features of a HuBERT encoder; see `Features`."""

    rate = 25
    values = 2 * 1024
    _stride = 320
    _kernel = 400
    _clip = 1000  # tokens
    _least = 1e-7  # of a variance

    def __init__(self, label: str, encoder: Graph) -> None:
        self._label = label
        self._encoder = encoder
        self._input = encoder.inputs[0]

    def hear(self, voice: VoiceReader, first: int, last: int) -> NDArray[np.float32]:
        """See `Features`."""
        width = self.values // 2
        out = np.zeros((last - first, 2, width), np.float32)
        tokens = out.reshape(-1, width)
        begin = 2 * first
        for clip in range(max(begin, 0) // self._clip, (2 * last - 1) // self._clip + 1):
            start = clip * self._clip
            heard = self._encode(voice, clip)
            # Only the recording's last token can lack its pair, for clips have an even number.
            heard = heard[: len(heard) // 2 * 2]
            low, high = max(start, begin), min(start + len(heard), 2 * last)
            if low < high:
                tokens[low - begin : high - begin] = heard[low - start : high - start]
        return out.reshape(last - first, self.values)

    def _encode(self, voice: VoiceReader, clip: int) -> NDArray[np.float32]:
        """(n, 1024): the tokens of one clip."""
        length = self._clip * self._stride + self._kernel - self._stride
        start = clip * self._clip * self._stride
        samples = voice.samples(start, start + length)
        count = (len(samples) - self._kernel) // self._stride + 1
        if count < 1:
            return np.zeros((0, self.values // 2), np.float32)
        normal = (samples - samples.mean()) / np.sqrt(samples.var() + self._least)
        wanted = self._input.shape[1]
        if wanted is not None:
            normal = np.pad(normal, (0, max(0, wanted - len(normal))))[:wanted]
        made = self._encoder.run({self._input.name: normal[None].astype(self._input.dtype)})[0]
        tokens = (len(normal) - self._kernel) // self._stride + 1
        return _checked(self._label, made, (1, tokens, self.values // 2))[0, :count]


def _checked(label: str, made: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    if made.shape != shape:
        what = f"has an encoder that gives {list(made.shape)} where {list(shape)} is wanted"
        raise BadModelError(f"model {label} {what}")
    if not np.isfinite(made).all():
        raise BadModelError(f"model {label} has an encoder that gives NaN or infinity")
    return made.astype(np.float32)


def _shown(shape: tuple[int | None, ...]) -> list[int | str]:
    return ["n" if size is None else size for size in shape]
