"""Wav2Lip's real network for faces of 96 pixels with random weights: what it costs to run.

The batch norms of the published network are part of its convolutions, as in every export of it.
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import NodeProto, TensorProto, helper, numpy_helper

from functions.infer.convert.wav2lip_layers import AUDIO, DECODER, FACE, OUTPUT, SIZE, Layer

INPUTS = {"mel": ("n", 1, 80, 16), "face": ("n", 6, SIZE, SIZE)}
SPREAD = 1.5
"""What the numbers before the last sigmoid are spread to: pictures with contrast."""


def write_wav2lip(path: Path) -> Path:
    """Writes the ONNX file, 145 MB, the same every time."""
    # Measured first without the sigmoid, to scale the last layer by.
    model = _Drawing().model(1.0, sigmoid=False)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    random = np.random.default_rng(1)
    given = {
        "mel": random.uniform(-4, 4, (4, *INPUTS["mel"][1:])).astype(np.float32),
        "face": random.random((4, *INPUTS["face"][1:]), np.float32),
    }
    (logits,) = session.run(None, given)
    onnx.save(_Drawing().model(SPREAD / float(logits.std()), sigmoid=True), path)
    return path


class _Drawing:
    """Nodes and weights, layer by layer."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(7)
        self._nodes: list[NodeProto] = []
        self._weights: list[TensorProto] = []

    def model(self, gain: float, *, sigmoid: bool) -> onnx.ModelProto:
        """The whole network."""
        skips, x, channels = [], "face", 6
        for stage in FACE:
            x, channels = self._chain(x, channels, stage)
            skips.append((x, channels))
        x, channels = self._chain("mel", 1, AUDIO)
        for stage in DECODER:
            x, channels = self._chain(x, channels, stage)
            skip, more = skips.pop()
            x, channels = self._node("Concat", [x, skip], axis=1), channels + more
        x, channels = self._chain(x, channels, (Layer(OUTPUT),))
        x = self._convolution(x, channels, Layer(3, 1, 1, 0), gain)
        self._node("Sigmoid" if sigmoid else "Identity", [x], name="shown")
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in INPUTS.items()
        ]
        shown = helper.make_tensor_value_info("shown", TensorProto.FLOAT, ("n", 3, SIZE, SIZE))
        graph = helper.make_graph(self._nodes, "wav2lip", ends, [shown], self._weights)
        opset = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opset, ir_version=9)

    def _chain(self, x: str, channels: int, layers: tuple[Layer, ...]) -> tuple[str, int]:
        for layer in layers:
            seen = self._convolution(x, channels, layer, 0.7 if layer.residual else 1.0)
            x = self._node("Relu", [self._node("Add", [seen, x]) if layer.residual else seen])
            channels = layer.channels
        return x, channels

    def _convolution(self, x: str, channels: int, layer: Layer, gain: float) -> str:
        kernel, stride = (layer.kernel, layer.kernel), np.broadcast_to(layer.stride, 2)
        shape = (channels, layer.channels) if layer.up else (layer.channels, channels)
        reached = channels * np.prod(kernel) / (np.prod(stride) if layer.up else 1)
        weight = self._random.normal(0, gain * np.sqrt(2 / reached), (*shape, *kernel))
        bias = self._random.normal(0, 0.02, layer.channels)
        name = f"w{len(self._weights)}"
        for kind, values in (("weight", weight), ("bias", bias)):
            tensor = numpy_helper.from_array(values.astype(np.float32), f"{name}.{kind}")
            self._weights.append(tensor)
        options: dict[str, object] = {"strides": stride.tolist(), "pads": [layer.padding] * 4}
        if layer.up and layer.stride == 2:
            options["output_padding"] = [1, 1]
        inputs = [x, f"{name}.weight", f"{name}.bias"]
        return self._node("ConvTranspose" if layer.up else "Conv", inputs, **options)

    def _node(self, kind: str, inputs: list[str], name: str = "", **options: object) -> str:
        name = name or f"{kind.lower()}{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], **options))
        return name
