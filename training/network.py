"""The ear's network: dilated one-dimensional convolutions from log-mel to four mouth tracks."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import onnx
import torch
from torch import Tensor, nn

from functions.infer.ear import BLOCK, CONTEXT
from functions.infer.mel import BANDS

__all__ = ["Network", "export"]

DILATIONS: Final = (1, 1, 2, 2, 4, 8)
WIDTH: Final = 112
OPSET: Final = 17

assert sum(DILATIONS) == CONTEXT


class Network(nn.Module):
    """[batch, 1, 80, n + 2 * CONTEXT] log-mel -> [batch, 4, n]: open, width, close, lipteeth.

    No padding: column j of the answer has heard columns j to j + 2 * CONTEXT of the question.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv1d(BANDS, WIDTH, 3, dilation=DILATIONS[0], bias=False),
            nn.BatchNorm1d(WIDTH),
            nn.ReLU(),
        )
        self.residuals = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(WIDTH, WIDTH, 3, dilation=dilation, bias=False),
                nn.BatchNorm1d(WIDTH),
                nn.ReLU(),
                nn.Conv1d(WIDTH, WIDTH, 1),
            )
            for dilation in DILATIONS[1:]
        )
        self.last = nn.Sequential(
            nn.ReLU(), nn.Conv1d(WIDTH, WIDTH, 1), nn.ReLU(), nn.Conv1d(WIDTH, 4, 1)
        )

    def logits(self, mel: Tensor) -> Tensor:
        """Return the four tracks before their squashing."""
        hidden = self.first(mel.squeeze(1))
        for dilation, residual in zip(DILATIONS[1:], self.residuals, strict=True):
            hidden = hidden[:, :, dilation:-dilation] + residual(hidden)
        answer: Tensor = self.last(hidden)
        return answer

    def forward(self, mel: Tensor) -> Tensor:
        """Return open, close and lipteeth in 0..1, width in -1..1."""
        raw = self.logits(mel)
        return torch.cat(
            [torch.sigmoid(raw[:, :1]), torch.tanh(raw[:, 1:2]), torch.sigmoid(raw[:, 2:])], 1
        )


def export(network: Network, path: Path) -> None:
    """Write the network as ONNX: ``mel`` [batch, 1, 80, 100] -> ``mouth`` [batch, 4, 64]."""
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
