"""A small network of Wav2Lip's shapes as a PyTorch program, an ONNX file or a MindSpore graph.

All with the same random weights. Convolutions with normalisation folded in, ReLU, a transposed
convolution, a concatenation, a sigmoid: what Wav2Lip is made of.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

AUDIO, FACE, OUT = (1, 80, 16), (6, 96, 96), (3, 96, 96)
LAYERS = {
    "audio": (8, 1, 3, 3),
    "face": (8, 6, 3, 3),
    "up": (16, 8, 4, 4),
    "out": (3, 8, 1, 1),
}
"""Shapes of the weights, as ONNX and PyTorch have them."""


def weights(seed: int = 7) -> dict[str, np.ndarray]:
    """By `<layer>.weight` and `<layer>.bias`, of a size that keeps the output away from 0 and 1."""
    random = np.random.default_rng(seed)
    made = {}
    for name, shape in LAYERS.items():
        fan = np.prod(shape) / shape[1 if name == "up" else 0]
        made[f"{name}.weight"] = (random.normal(size=shape) / np.sqrt(fan)).astype(np.float32)
        outputs = shape[1 if name == "up" else 0]
        made[f"{name}.bias"] = (0.1 * random.normal(size=outputs)).astype(np.float32)
    return made


def write_onnx(path: Path) -> Path:
    """The network as an ONNX file that takes any batch."""
    layer = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}

    def node(kind: str, name: str, given: list[str], made: str, **options: Any) -> Any:
        parameters = [f"{name}.weight", f"{name}.bias"]
        return helper.make_node(kind, [*given, *parameters], [made], **options)

    nodes = [
        node("Conv", "audio", ["audio"], "a", **layer),
        helper.make_node("Relu", ["a"], ["ar"]),
        helper.make_node("GlobalAveragePool", ["ar"], ["am"]),
        node("Conv", "face", ["face"], "f", **layer),
        helper.make_node("Relu", ["f"], ["fr"]),
        helper.make_node("Sub", ["fr", "fr"], ["zero"]),
        helper.make_node("Add", ["zero", "am"], ["as"]),
        helper.make_node("Concat", ["as", "fr"], ["both"], axis=1),
        node(
            "ConvTranspose", "up", ["both"], "u", kernel_shape=[4, 4], strides=[2, 2], pads=[1] * 4
        ),
        helper.make_node("Relu", ["u"], ["ur"]),
        node("Conv", "out", ["ur"], "o"),
        helper.make_node("Sigmoid", ["o"], ["patch"]),
    ]

    def info(name: str, shape: tuple[int, ...]) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])

    constants = [numpy_helper.from_array(value, name) for name, value in weights().items()]
    graph = helper.make_graph(
        nodes, "small", [info("audio", AUDIO), info("face", FACE)], [info("patch", OUT)], constants
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


def write_torch(path: Path) -> Path:
    """The network as a PyTorch program that takes any batch."""
    import torch
    from torch import nn

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.audio = nn.Conv2d(1, 8, 3, 2, 1)
            self.face = nn.Conv2d(6, 8, 3, 2, 1)
            self.up = nn.ConvTranspose2d(16, 8, 4, 2, 1)
            self.out = nn.Conv2d(8, 3, 1)

        def forward(self, audio: Any, face: Any) -> Any:
            heard = torch.relu(self.audio(audio)).mean((2, 3), keepdim=True)
            seen = torch.relu(self.face(face))
            both = torch.cat([heard.expand_as(seen), seen], 1)
            return torch.sigmoid(self.out(torch.relu(self.up(both))))

    small = Small().eval()
    small.load_state_dict({name: torch.from_numpy(value) for name, value in weights().items()})
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(
        small,
        (torch.zeros(2, *AUDIO), torch.zeros(2, *FACE)),
        dynamic_shapes={"audio": {0: batch}, "face": {0: batch}},
    )
    torch.export.save(program, path)
    return path


def write_mindspore(path: Path) -> Path:
    """The network as a MindSpore graph that takes any batch."""
    import mindspore
    from mindspore import nn, ops

    def layer(name: str, kind: Any, *shape: int, padding: int = 1) -> Any:
        ours = weights()
        values = {
            "weight_init": mindspore.Tensor(ours[f"{name}.weight"]),
            "bias_init": mindspore.Tensor(ours[f"{name}.bias"]),
        }
        return kind(*shape, pad_mode="pad", padding=padding, has_bias=True, **values)

    class Small(nn.Cell):
        def __init__(self) -> None:
            super().__init__()
            self.audio = layer("audio", nn.Conv2d, 1, 8, 3, 2)
            self.face = layer("face", nn.Conv2d, 6, 8, 3, 2)
            self.up = layer("up", nn.Conv2dTranspose, 16, 8, 4, 2)
            self.out = layer("out", nn.Conv2d, 8, 3, 1, 1, padding=0)

        def construct(self, audio: Any, face: Any) -> Any:
            heard = ops.mean(ops.relu(self.audio(audio)), (2, 3), True)
            seen = ops.relu(self.face(face))
            both = ops.cat((ops.zeros_like(seen) + heard, seen), 1)
            return ops.sigmoid(self.out(ops.relu(self.up(both))))

    mindspore.set_device("CPU")
    small = Small()
    given = [
        mindspore.Tensor(shape=(None, *shape), dtype=mindspore.float32) for shape in (AUDIO, FACE)
    ]
    mindspore.export(small, *given, file_name=str(path.with_suffix("")), file_format="MINDIR")
    return path
