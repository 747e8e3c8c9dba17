"""The layers of Wav2Lip's published network for faces of 96 pixels.

K. R. Prajwal et al., A Lip Sync Expert Is All You Need, 2020, and the state dict that its authors
publish (https://github.com/Rudrabha/Wav2Lip): every layer is a convolution with batch norm and a
ReLU, some add what went in; the decoder takes up what the face encoder's stages saw, and a last
layer of three channels ends in a sigmoid.
"""

from dataclasses import dataclass

SIZE = 96


@dataclass(frozen=True)
class Layer:
    """A convolution: channels that come out, kernel, stride, padding; `up` for a transposed one."""

    channels: int
    kernel: int = 3
    stride: int | tuple[int, int] = 1
    padding: int = 1
    residual: bool = False
    up: bool = False


def _more(channels: int, count: int) -> tuple[Layer, ...]:
    return (Layer(channels, residual=True),) * count


def _down(channels: int, more: int) -> tuple[Layer, ...]:
    return (Layer(channels, stride=2), *_more(channels, more))


def _up(channels: int, more: int) -> tuple[Layer, ...]:
    return (Layer(channels, stride=2, up=True), *_more(channels, more))


_POINT = Layer(512, 1, 1, 0)
_SHRINK = Layer(512, 3, 1, 0)
FACE = (
    (Layer(16, 7, 1, 3),),
    *(_down(32, 2), _down(64, 3), _down(128, 2), _down(256, 2), _down(512, 1)),
    (_SHRINK, _POINT),
)
AUDIO = (
    *(Layer(32), *_more(32, 2)),
    *(Layer(64, stride=(3, 1)), *_more(64, 2)),
    *(Layer(128, stride=3), *_more(128, 2)),
    *(Layer(256, stride=(3, 2)), *_more(256, 1)),
    *(_SHRINK, _POINT),
)
DECODER = (
    (_POINT,),
    (Layer(512, 3, 1, 0, up=True), *_more(512, 1)),
    *(_up(512, 2), _up(384, 2), _up(256, 2), _up(128, 2), _up(64, 2)),
)
OUTPUT = 32
"""Channels before the last layer, which is 1 x 1 without a batch norm."""
