"""``python -m training.joining ONE OTHER TO``: two ears into one that says the mean of both.

Two networks that learned from different voices err in different places, so their mean errs less
than either. What one hears beyond the other's context is cut away inside the graph.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from functions.infer.ear import BLOCK, CHANNELS
from functions.infer.mel import BANDS

__all__ = ["SHARES", "join"]

OPSET: Final = 17
IR_VERSION: Final = 8
SHARES: Final = (0.45, 0.8, 0.2, 0.6)
"""What the first network's tracks count in the mean, in the order of `functions.infer.ear`."""


def join(one: Path, other: Path, to: Path) -> None:
    """Write the graph of both, ``mel`` [batch, 1, 80, the wider's] -> ``mouth`` [batch, 4, 64]."""
    models = [onnx.load(one), onnx.load(other)]
    widths = [model.graph.input[0].type.tensor_type.shape.dim[3].dim_value for model in models]
    widest = max(widths)
    graph = helper.make_graph(
        [],
        "ear",
        [helper.make_tensor_value_info("mel", TensorProto.FLOAT, ["batch", 1, BANDS, widest])],
        [
            helper.make_tensor_value_info(
                "mouth", TensorProto.FLOAT, ["batch", len(CHANNELS), BLOCK]
            )
        ],
    )
    shares = np.array(SHARES, np.float32).reshape(1, -1, 1)
    weighed = [
        _add(graph, model, f"{number}/", (widest - width) // 2, share)
        for number, (model, width, share) in enumerate(
            zip(models, widths, (shares, 1 - shares), strict=True)
        )
    ]
    graph.node.append(helper.make_node("Add", weighed, ["mouth"]))
    joined = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(joined, full_check=True)
    onnx.save(joined, to)


def _add(
    graph: onnx.GraphProto,
    model: onnx.ModelProto,
    prefix: str,
    cut: int,
    share: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> str:
    """Add a network to the graph and return the name of its weighed answer."""
    part = onnx.compose.add_prefix_graph(model.graph, prefix)
    width = part.input[0].type.tensor_type.shape.dim[3].dim_value
    question, answer = part.input[0].name, part.output[0].name
    constants = {
        f"{prefix}from": np.array([cut]),
        f"{prefix}to": np.array([cut + width]),
        f"{prefix}axis": np.array([3]),
        f"{prefix}share": share,
    }
    graph.initializer.extend(part.initializer)
    graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in constants.items()
    )
    cutting = ["mel", f"{prefix}from", f"{prefix}to", f"{prefix}axis"]
    graph.node.append(helper.make_node("Slice", cutting, [question]))
    graph.node.extend(part.node)
    weighed = f"{prefix}weighed"
    graph.node.append(helper.make_node("Mul", [answer, f"{prefix}share"], [weighed]))
    return weighed


def main() -> None:
    """Read the command line and join."""
    parser = argparse.ArgumentParser(prog="python -m training.joining", description=__doc__)
    for name in ("one", "other", "to"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    join(options.one, options.other, options.to)


if __name__ == "__main__":
    main()
