"""Writes torch networks as graphs: ONNX for most backends, a `.pt2` program for torch's own.

Needs torch, onnx and onnxscript.
"""

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

OPSET = 18
MOST = 32
"""The largest batch that the graphs promise to take."""


@dataclass(frozen=True)
class Form:
    """What a network takes and gives, by name, for one item of a batch.

    Args:
        inputs: shapes.
        output: its only one.
    """

    inputs: dict[str, tuple[int, ...]]
    output: str


def write_graph(network: nn.Module, form: Form, to: Path, *, program: bool) -> list[Path]:
    """Exports a network of any batch size.

    Args:
        network: ready to be evaluated.
        form: see `Form`.
        to: the `.onnx` file; weights of more than 2 GiB go into `<name>.data` beside it.
        program: whether a `.pt2` of the same stem is written, too.

    Returns:
        the files.
    """
    fuse_batch_norms(network)
    # It tells of every optional package that isn't there.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    # Batches of one would make one a constant of the graph.
    example = tuple(torch.zeros(2, *shape) for shape in form.inputs.values())
    batch = torch.export.Dim("n", min=1, max=MOST)
    dynamic = tuple({0: batch} for _ in example)
    with warnings.catch_warnings(), torch.no_grad():
        # Of what the exporters will do in later versions; nothing that users can act on.
        warnings.simplefilter("ignore")
        exported = torch.export.export(network, example, dynamic_shapes=dynamic)
        written = torch.onnx.export(
            exported,
            input_names=list(form.inputs),
            output_names=[form.output],
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    written.save(to)
    files = [to]
    beside = to.with_name(f"{to.name}.data")
    if beside.exists():
        files.append(beside)
    if program:
        torch.export.save(exported, to.with_suffix(".pt2"))
        files.append(to.with_suffix(".pt2"))
    return files


def fuse_batch_norms(network: nn.Module) -> None:
    """Makes each convolution with a batch norm after it one convolution, in place.

    NPUs and quantisers do best with those, and not every exporter does it.
    """
    fuse = torch.nn.utils.fusion.fuse_conv_bn_eval
    for chain in list(network.modules()):
        if not isinstance(chain, nn.Sequential):
            continue
        for index in range(len(chain) - 1):
            conv, norm = chain[index], chain[index + 1]
            if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d) and isinstance(
                norm, nn.BatchNorm2d
            ):
                chain[index] = fuse(conv, norm, isinstance(conv, nn.ConvTranspose2d))
                chain[index + 1] = nn.Identity()
