"""Small ONNX graphs for comparing and converting: convolutions with known weights."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write_convolutions(
    path: Path,
    *,
    names=("x", "y"),
    batch: int | str = "n",
    change: tuple[str, float] | None = None,
) -> Path:
    """Three layers, `first`, `second` and `third`, from [n, 2, 8, 8] to pictures [n, 3, 8, 8].

    Args:
        path: the file.
        names: of the input and the output.
        batch: the first size of both.
        change: a layer, and what is added to its bias.
    """
    random = np.random.default_rng(5)
    taken, made = names
    nodes, constants, size = [], {}, 2
    for layer, channels in (("first", 6), ("second", 6), ("third", 3)):
        constants[f"{layer}.w"] = random.normal(0, 0.4, (channels, size, 3, 3))
        bias = random.normal(0, 0.1, channels)
        constants[f"{layer}.b"] = bias + (change[1] if change and change[0] == layer else 0)
        inputs = [taken if layer == "first" else nodes[-1].output[0], f"{layer}.w", f"{layer}.b"]
        nodes.append(helper.make_node("Conv", inputs, [f"{layer}.conv"], pads=[1] * 4))
        kind, out = ("Sigmoid", made) if layer == "third" else ("Relu", layer)
        nodes.append(helper.make_node(kind, [f"{layer}.conv"], [out]))
        size = channels
    kept = [
        numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()
    ]
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, count, 8, 8])]
        for name, count in ((taken, 2), (made, 3))
    ]
    graph = helper.make_graph(nodes, "convolutions", *ends, kept)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path
