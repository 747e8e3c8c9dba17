"""Small graphs of MuseTalk's shapes: every output depends on every input, in a known way.

whisper: layer k of token t is (k + 1) times the mean of the two mel columns of the token
encoder: means are -1..1 averages of 8 x 8 pixels (r, g, b, r), the other half is 9
unet:    the reference latents, plus what is heard on average, plus a tenth of the masked ones
decoder: latents 0 to 2, each pixel eight times as wide and high
"""

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from functions.infer.manifest import Manifest, parse_manifest

FLOAT = TensorProto.FLOAT


def write_model(folder: Path, mutate=None) -> Manifest:
    """A model's folder with the four graphs; `mutate` may change a model by its stem."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        'family = "musetalk"\nname = "small"\nversion = "1"\nlicence = "CC0-1.0"',
        "sample_rate = 16000\n[crop]\nsize = 256\n[files]",
    ]
    for stem, make in GRAPHS.items():
        model = make()
        if mutate is not None:
            model = mutate(stem, model)
        data = model.SerializeToString()
        (folder / f"{stem}.onnx").write_bytes(data)
        lines.append(f'"{stem}.onnx" = "{hashlib.sha256(data).hexdigest()}"')
    text = "\n".join(lines).encode()
    (folder / "model.toml").write_bytes(text)
    return parse_manifest(text, folder)


def whisper() -> onnx.ModelProto:
    scale = np.arange(1, 6, dtype=np.float32).reshape(1, 1, 5, 1)
    spread = np.zeros((80, 384), np.float32)
    spread[np.arange(384) % 80, np.arange(384)] = 1
    nodes = [
        helper.make_node("AveragePool", ["mel"], ["pairs"], kernel_shape=[2], strides=[2]),
        helper.make_node("Transpose", ["pairs"], ["columns"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["columns", "spread"], ["wide"]),
        helper.make_node("Unsqueeze", ["wide", "axis"], ["one"]),
        helper.make_node("Mul", ["one", "scale"], ["states"]),
    ]
    constants = {"spread": spread, "scale": scale, "axis": np.array([2], np.int64)}
    return _model(nodes, {"mel": ["n", 80, 3000]}, {"states": ["n", 1500, 5, 384]}, constants)


def encoder() -> onnx.ModelProto:
    weight = np.zeros((8, 3, 1, 1), np.float32)
    weight[[0, 1, 2, 3], [0, 1, 2, 0]] = 1
    bias = np.array([0, 0, 0, 0, 9, 9, 9, 9], np.float32)
    nodes = [
        helper.make_node("AveragePool", ["x"], ["mean"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Conv", ["mean", "weight", "bias"], ["moments"]),
    ]
    shapes = {"x": ["n", 3, 256, 256]}, {"moments": ["n", 8, 32, 32]}
    return _model(nodes, *shapes, {"weight": weight, "bias": bias})


def unet() -> onnx.ModelProto:
    # Whoever exports a graph names and orders its inputs as they like.
    weight = np.zeros((4, 8, 1, 1), np.float32)
    weight[np.arange(4), np.arange(4)] = 0.1
    weight[np.arange(4), np.arange(4) + 4] = 1
    nodes = [
        helper.make_node("ReduceMean", ["text", "axes"], ["level"], keepdims=1),
        helper.make_node("Mul", ["level", "little"], ["softer"]),
        helper.make_node("Unsqueeze", ["softer", "last"], ["heard"]),
        helper.make_node("Conv", ["sample", "weight"], ["seen"]),
        helper.make_node("Add", ["seen", "heard"], ["latents"]),
    ]
    constants = {
        "weight": weight,
        "axes": np.array([1, 2], np.int64),
        "last": np.array([3], np.int64),
        "little": np.array(0.02, np.float32),
    }
    taken = {"text": ["n", 50, 384], "sample": ["n", 8, 32, 32]}
    return _model(nodes, taken, {"latents": ["n", 4, 32, 32]}, constants)


def decoder() -> onnx.ModelProto:
    weight = np.eye(3, 4, dtype=np.float32)[:, :, None, None]
    scales = np.array([1, 1, 8, 8], np.float32)
    nodes = [
        helper.make_node("Conv", ["latents", "weight"], ["rgb"]),
        helper.make_node("Resize", ["rgb", "", "scales"], ["image"], mode="nearest"),
    ]
    shapes = {"latents": ["n", 4, 32, 32]}, {"image": ["n", 3, 256, 256]}
    return _model(nodes, *shapes, {"weight": weight, "scales": scales})


GRAPHS = {"whisper": whisper, "encoder": encoder, "unet": unet, "decoder": decoder}


def _model(nodes, inputs, outputs, constants) -> onnx.ModelProto:
    def described(tensors):
        return [helper.make_tensor_value_info(n, FLOAT, s) for n, s in tensors.items()]

    kept = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "small", described(inputs), described(outputs), kept)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(made)
    return made
