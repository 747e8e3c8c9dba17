"""Small graphs of Ultralight's shapes with random weights, encoders and generators."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


def _save(path, nodes, inputs, outputs, weights):
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs],
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


def write_generator(
    path: Path,
    audio: tuple[int, ...] = (16, 32, 32),
    size: int = 160,
    batch: int | str = 1,
    end: str = "Sigmoid",
) -> Path:
    """`end(conv(face) + mean of what is heard)`; the published ones take one frame at a time."""
    random = np.random.default_rng(1)
    weights = {
        "conv": random.normal(0, 0.3, (3, 6, 3, 3)).astype(np.float32),
        "weights": random.normal(0, 1, (1, *audio)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["input", "conv"], ["seen"], pads=[1, 1, 1, 1]),
        helper.make_node("Mul", ["audio", "weights"], ["weighted"]),
        helper.make_node("ReduceMean", ["weighted"], ["heard"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Add", ["seen", "heard"], ["sum"]),
        helper.make_node(end, ["sum"], ["output"]),
    ]
    inputs = [("input", FLOAT, [batch, 6, size, size]), ("audio", FLOAT, [batch, *audio])]
    return _save(path, nodes, inputs, [("output", [batch, 3, size, size])], weights)


def write_hubert(path: Path, length: int | str = "n") -> Path:
    """One convolution of HuBERT's reach: 400 samples every 320, 1024 values."""
    weights = np.random.default_rng(2).normal(0, 0.05, (1024, 1, 400)).astype(np.float32)
    nodes = [
        helper.make_node("Unsqueeze", ["input_values", "axis"], ["one"]),
        helper.make_node("Conv", ["one", "conv"], ["tokens"], strides=[320]),
        helper.make_node("Transpose", ["tokens"], ["last_hidden_state"], perm=[0, 2, 1]),
    ]
    inputs = [("input_values", FLOAT, [1, length])]
    outputs = [("last_hidden_state", [1, "t", 1024])]
    return _save(path, nodes, inputs, outputs, {"conv": weights, "axis": np.array([1])})


def write_wenet(path: Path) -> Path:
    """A convolution over 67 frames to 16 x 512, off by as much as offset and caches are."""
    weights = np.random.default_rng(3).normal(0, 0.02, (512, 1, 7, 80)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["chunk", "conv"], ["rows"], strides=[4, 1]),
        helper.make_node("Squeeze", ["rows", "last"], ["narrow"]),
        helper.make_node("Transpose", ["narrow"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("Cast", ["offset"], ["number"], to=FLOAT),
        helper.make_node("Sub", ["number", "hundred"], ["off"]),
        helper.make_node("Add", ["turned", "off"], ["one"]),
        helper.make_node("ReduceMean", ["att_cache"], ["a"], keepdims=0),
        helper.make_node("ReduceMean", ["cnn_cache"], ["c"], keepdims=0),
        helper.make_node("Add", ["one", "a"], ["two"]),
        helper.make_node("Add", ["two", "c"], ["output"]),
        helper.make_node("Identity", ["att_cache"], ["r_att_cache"]),
    ]
    inputs = [
        ("chunk", FLOAT, [1, 1, 67, 80]),
        ("offset", TensorProto.INT64, [1]),
        ("att_cache", FLOAT, [3, 8, 16, 128]),
        ("cnn_cache", FLOAT, [3, 1, 512, 14]),
    ]
    outputs = [("output", [1, 16, 512]), ("r_att_cache", [3, 8, 16, 128])]
    constants = {"conv": weights, "last": np.array([3]), "hundred": np.float32([100])}
    return _save(path, nodes, inputs, outputs, constants)
