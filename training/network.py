"""The ear's network: dilated one-dimensional convolutions from log-mel to four mouth tracks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from functions.infer.ear import BLOCK, CHANNELS, COLUMN_SECONDS, CONTEXT
from functions.infer.mel import BANDS, SILENCE
from training.alignment import align
from training.corpus import columns
from training.phones import PHONES
from training.speech import Speech

__all__ = ["DEEP", "SHALLOW", "Network", "Shape", "aligned", "export"]

OPSET: Final = 17


@dataclass(frozen=True)
class Shape:
    """How a network is built.

    Attributes:
        width: channels of each layer.
        dilations: of each layer's three taps; they sum to `CONTEXT`.
    """

    width: int
    dilations: tuple[int, ...]

    def __post_init__(self) -> None:
        assert sum(self.dilations) == CONTEXT


SHALLOW: Final = Shape(160, (1, 1, 2, 2, 4, 8, 8))
DEEP: Final = Shape(192, (1, 1, 1, 2, 2, 3, 4, 6, 6))


class Network(nn.Module):
    """[batch, 1, 80, n + 2 * CONTEXT] log-mel -> [batch, 4, n]: open, width, close, lipteeth.

    No padding: column j of the answer has heard columns j to j + 2 * CONTEXT of the question.
    A second head names the phone; it teaches the layers below it and isn't exported.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, (first, *others) = shape.width, shape.dilations
        self._dilations = others
        self.first = nn.Sequential(
            nn.Conv1d(BANDS, width, 3, dilation=first, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
        )
        self.residuals = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(width, width, 3, dilation=dilation, bias=False),
                nn.BatchNorm1d(width),
                nn.ReLU(),
                nn.Conv1d(width, width, 1),
            )
            for dilation in others
        )
        self.last = nn.Sequential(nn.ReLU(), nn.Conv1d(width, width, 1), nn.ReLU())
        self.mouth = nn.Conv1d(width, len(CHANNELS), 1)
        self.phone = nn.Conv1d(width, len(PHONES), 1)

    def logits(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Return the four tracks before their squashing, and the phones' logits."""
        hidden = self._hidden(mel)
        tracks: Tensor = self.mouth(hidden)
        phones: Tensor = self.phone(hidden)
        return tracks, phones

    def forward(self, mel: Tensor) -> Tensor:
        """Return open, close and lipteeth in 0..1, width in -1..1."""
        raw = self.mouth(self._hidden(mel))
        return torch.cat(
            [torch.sigmoid(raw[:, :1]), torch.tanh(raw[:, 1:2]), torch.sigmoid(raw[:, 2:])], 1
        )

    def _hidden(self, mel: Tensor) -> Tensor:
        hidden = self.first(mel.squeeze(1))
        for dilation, residual in zip(self._dilations, self.residuals, strict=True):
            hidden = hidden[:, :, dilation:-dilation] + residual(hidden)
        answer: Tensor = self.last(hidden)
        return answer


@torch.no_grad()
def aligned(speech: Speech, network: Network) -> tuple[Speech, float]:
    """Return clean speech with its phones where a trained network hears them, and how well."""
    mel, _ = columns(speech.samples)
    around = np.pad(mel.astype(np.float32), ((CONTEXT, CONTEXT), (0, 0)), constant_values=SILENCE)
    _, phones = network.logits(torch.from_numpy(around.T[None, None].copy()))
    likely = torch.log_softmax(phones[0], dim=0).T.numpy()
    segments, fit = align(speech.segments, likely, COLUMN_SECONDS)
    return Speech(speech.samples, segments, speech.voice), fit


def export(network: Network, path: Path) -> None:
    """Write the network as ONNX: ``mel`` [batch, 1, 80, 116] -> ``mouth`` [batch, 4, 64]."""
    network.eval()
    torch.onnx.export(
        network,
        (torch.zeros(1, 1, BANDS, BLOCK + 2 * CONTEXT),),
        str(path),
        input_names=["mel"],
        output_names=["mouth"],
        dynamic_axes={"mel": {0: "batch"}, "mouth": {0: "batch"}},
        opset_version=OPSET,
        dynamo=False,
    )
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
