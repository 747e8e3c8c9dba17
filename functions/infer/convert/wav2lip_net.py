"""Wav2Lip's published network for faces of 96 pixels, from its layer table. Needs torch.

Names are those of the state dict that its authors publish, see `wav2lip_layers`.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from functions.infer.convert.wav2lip_layers import AUDIO, DECODER, FACE, OUTPUT, Layer


class Block(nn.Module):
    """One layer with its batch norm and ReLU; names as in the published state dict."""

    def __init__(self, channels: int, layer: Layer) -> None:
        super().__init__()
        shape = (channels, layer.channels, layer.kernel, layer.stride, layer.padding)
        # A transposed one of stride 2 doubles the side exactly.
        extra = {"output_padding": 1 if layer.stride == 2 else 0} if layer.up else {}
        kind = nn.ConvTranspose2d if layer.up else nn.Conv2d
        self.conv_block = nn.Sequential(kind(*shape, **extra), nn.BatchNorm2d(layer.channels))
        self.residual = layer.residual

    def forward(self, x: Tensor) -> Tensor:
        """[n, channels, h, w]."""
        seen = self.conv_block(x)
        return torch.relu(seen + x if self.residual else seen)


def _chain(channels: int, layers: tuple[Layer, ...]) -> nn.Sequential:
    sizes = [channels, *(layer.channels for layer in layers)]
    return nn.Sequential(
        *(Block(size, layer) for (size, _), layer in zip(pairwise(sizes), layers, strict=True))
    )


class Wav2Lip(nn.Module):
    """[n, 1, 80, 16] mel and [n, 6, 96, 96] faces to [n, 3, 96, 96] in 0..1."""

    def __init__(self) -> None:
        super().__init__()
        seen = [6, *(stage[-1].channels for stage in FACE)]
        self.face_encoder_blocks = nn.ModuleList(map(_chain, seen, FACE))
        self.audio_encoder = _chain(1, AUDIO)
        # What each stage of the decoder gets: the one before it, beside the encoder's of its size.
        skips = seen[:0:-1]
        made = [stage[-1].channels for stage in DECODER]
        joined = [one + skip for one, skip in zip(made, skips, strict=True)]
        self.face_decoder_blocks = nn.ModuleList(map(_chain, [512, *joined[:-1]], DECODER))
        self.output_block = nn.Sequential(
            Block(joined[-1], Layer(OUTPUT)), nn.Conv2d(OUTPUT, 3, 1), nn.Sigmoid()
        )

    def forward(self, mel: Tensor, face: Tensor) -> Tensor:
        """See the class."""
        skips = []
        for stage in self.face_encoder_blocks:
            face = stage(face)
            skips.append(face)
        x = self.audio_encoder(mel)
        for stage, skip in zip(self.face_decoder_blocks, reversed(skips), strict=True):
            x = torch.cat([stage(x), skip], dim=1)
        shown: Tensor = self.output_block(x)
        return shown
