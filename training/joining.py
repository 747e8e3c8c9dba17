"""``python -m training.joining EAR EAR TO``: two ears into one that says the mean of both.

Networks of different shapes err in different places, so their mean errs less than each.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from functions.infer.ear import BLOCK, CHANNELS, CONTEXT
from functions.infer.mel import BANDS

__all__ = ["join"]

OPSET: Final = 17
IR_VERSION: Final = 8
LARGE: Final = 1024  # numbers of a weight that is kept in 16 bits


def join(one: Path, other: Path, to: Path) -> None:
    """Write the graph of both, ``mel`` [batch, 1, 80, 116] -> ``mouth`` [batch, 4, 64]."""
    mel, mouth = ["batch", 1, BANDS, BLOCK + 2 * CONTEXT], ["batch", len(CHANNELS), BLOCK]
    graph = helper.make_graph(
        [],
        "ear",
        [helper.make_tensor_value_info("mel", TensorProto.FLOAT, mel)],
        [helper.make_tensor_value_info("mouth", TensorProto.FLOAT, mouth)],
        [numpy_helper.from_array(np.array(0.5, np.float32), "half")],
    )
    answers = [
        _add(graph, onnx.load(path), f"{number}/") for number, path in enumerate((one, other))
    ]
    graph.node.append(helper.make_node("Add", answers, ["sum"]))
    graph.node.append(helper.make_node("Mul", ["sum", "half"], ["mouth"]))
    _halve(graph)
    joined = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(joined, full_check=True)
    onnx.save(joined, to)


def _add(graph: onnx.GraphProto, model: onnx.ModelProto, prefix: str) -> str:
    """Add a network to the graph and return the name of its answer."""
    part = onnx.compose.add_prefix_graph(model.graph, prefix)
    for node in part.node:
        node.input[:] = ["mel" if name == part.input[0].name else name for name in node.input]
    graph.initializer.extend(part.initializer)
    graph.node.extend(part.node)
    answer: str = part.output[0].name
    return answer


def _halve(graph: onnx.GraphProto) -> None:
    """Keep large weights as 16-bit floats, half of the file; a runtime widens them as it loads."""
    casts = []
    for number, initializer in enumerate(graph.initializer):
        weights = numpy_helper.to_array(initializer)
        if weights.dtype == np.float32 and weights.size >= LARGE:
            name = initializer.name
            half = numpy_helper.from_array(weights.astype(np.float16), f"{name}_half")
            graph.initializer[number].CopyFrom(half)
            casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def main() -> None:
    """Read the command line and join."""
    parser = argparse.ArgumentParser(prog="python -m training.joining", description=__doc__)
    for name in ("one", "other", "to"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    join(options.one, options.other, options.to)


if __name__ == "__main__":
    main()
