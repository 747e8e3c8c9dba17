"""Turns a TFLite face model into plain ONNX (opset 17, NCHW, any batch).

One small function writes the nodes of one TFLite operator; `_WRITERS` is the table of them. Image
tensors are NCHW from end to end and are put back into TFLite's order where they are flattened.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import tflite
from numpy.typing import NDArray
from onnx import TensorProto, helper

from functions.ingest.mediapipe_operators import (
    PLANE,
    landmarks_to_matrix,
    transform_landmarks,
    transform_tensor,
)
from functions.ingest.onnx_writer import OnnxWriter, input_names, tensor_name
from functions.ingest.tflite_graph import Operator, read_graph

OPSET = 17
_IR_VERSION = 8


_WriteOperator = Callable[[OnnxWriter, Operator], None]


def convert(data: bytes, outputs: Mapping[str, str]) -> onnx.ModelProto:
    """Converts a model and keeps only what the named outputs need.

    Args:
        data: the `.tflite` file's content.
        outputs: TFLite tensor name to ONNX output name, in the order wanted.

    Returns:
        A checked model with the input `picture` (batch, 3, H, W) and the outputs, of which images
        are NCHW.

    Raises:
        ValueError: there is no tensor of that name, or an operator is needed that is unknown.
    """
    graph = read_graph(data)
    numbers = {graph.number(name): new for name, new in outputs.items()}
    writer = OnnxWriter(graph)
    writer.node("Identity", "picture", output=tensor_name(graph.input))
    for operator in graph.reaching(numbers):
        write = _WRITERS.get(operator.kind)
        if write is None:
            raise ValueError(f"operator {operator.kind} is unknown")
        write(writer, operator)
    results = []
    for number, name in numbers.items():
        writer.node("Identity", tensor_name(number), output=name)
        results.append(_value_info(name, graph.shapes[number]))
    picture = _value_info("picture", graph.shapes[graph.input])
    model = helper.make_model(
        helper.make_graph(writer.nodes, "face", [picture], results, writer.initializers),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="koubo",
    )
    model.ir_version = _IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model


def _value_info(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    """Declares a tensor of this shape (NHWC where it is an image) with any batch."""
    sizes = [shape[3], *shape[1:3]] if len(shape) == 4 else list(shape[1:])
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *sizes])


def _fused(writer: OnnxWriter, value: str, activation: int, output: int) -> None:
    """Adds the activation that TFLite keeps inside another operator."""
    if activation == tflite.ActivationFunctionType.NONE:
        writer.node("Identity", value, output=tensor_name(output))
    elif activation == tflite.ActivationFunctionType.RELU:
        writer.node("Relu", value, output=tensor_name(output))
    elif activation == tflite.ActivationFunctionType.RELU6:
        low, high = writer.constant(0), writer.constant(6)
        writer.node("Clip", value, low, high, output=tensor_name(output))
    else:
        raise ValueError(f"fused activation {activation} is unknown")


def _pads(
    writer: OnnxWriter, operator: Operator, kernel: Sequence[int], strides: Sequence[int]
) -> list[int]:
    """TFLite's SAME padding as ONNX wants it: top, left, bottom, right; the odd one goes last."""
    if operator.options.Padding() == tflite.Padding.VALID:
        return [0, 0, 0, 0]
    before, after = [], []
    for size, reach, stride in zip(
        writer.graph.shapes[operator.inputs[0]][1:3], kernel, strides, strict=True
    ):
        total = max((-(-size // stride) - 1) * stride + reach - size, 0)
        before.append(total // 2)
        after.append(total - total // 2)
    return before + after


def _convolve(writer: OnnxWriter, operator: Operator, weights: NDArray[Any], groups: int) -> None:
    options = operator.options
    strides = [options.StrideH(), options.StrideW()]
    kernel = list(weights.shape[2:])
    value = writer.node(
        "Conv",
        tensor_name(operator.inputs[0]),
        writer.weight(weights),
        writer.weight(writer.graph.constants[operator.inputs[2]]),
        strides=strides,
        kernel_shape=kernel,
        pads=_pads(writer, operator, kernel, strides),
        group=groups,
    )
    _fused(writer, value, options.FusedActivationFunction(), operator.output)


def _conv_2d(writer: OnnxWriter, operator: Operator) -> None:
    weights = writer.graph.constants[operator.inputs[1]]
    _convolve(writer, operator, weights.transpose(0, 3, 1, 2), groups=1)


def _depthwise_conv_2d(writer: OnnxWriter, operator: Operator) -> None:
    weights = writer.graph.constants[operator.inputs[1]].transpose(3, 0, 1, 2)
    groups = weights.shape[0] // operator.options.DepthMultiplier()
    _convolve(writer, operator, weights, groups)


def _max_pool_2d(writer: OnnxWriter, operator: Operator) -> None:
    options = operator.options
    kernel = [options.FilterHeight(), options.FilterWidth()]
    strides = [options.StrideH(), options.StrideW()]
    value = writer.node(
        "MaxPool",
        *input_names(operator),
        kernel_shape=kernel,
        strides=strides,
        pads=_pads(writer, operator, kernel, strides),
    )
    _fused(writer, value, options.FusedActivationFunction(), operator.output)


def _relu(writer: OnnxWriter, operator: Operator) -> None:
    writer.node("Relu", *input_names(operator), output=tensor_name(operator.output))


def _prelu(writer: OnnxWriter, operator: Operator) -> None:
    """Slope * x + (1 - slope) * relu(x), the slopes as 1 x 1 depthwise convolutions.

    onnxruntime's PRelu took more than half of the mesh's time. This form keeps to operators for
    which it has its blocked layout and fused sums: 1.3 ms a face instead of 4.0 on one x86-64 core.
    """
    value, slope = operator.inputs
    slopes = writer.graph.constants[slope].astype(np.float32).reshape(-1, 1, 1, 1)

    def scale(source: str, factors: NDArray[np.float32]) -> str:
        weights = writer.constant(factors)
        return writer.node("Conv", source, weights, kernel_shape=[1, 1], group=len(factors))

    straight = scale(tensor_name(value), slopes)
    positive = scale(writer.node("Relu", tensor_name(value)), 1 - slopes)
    writer.node("Add", straight, positive, output=tensor_name(operator.output))


def _add(writer: OnnxWriter, operator: Operator) -> None:
    value = writer.node("Add", *input_names(operator))
    _fused(writer, value, operator.options.FusedActivationFunction(), operator.output)


def _pad(writer: OnnxWriter, operator: Operator) -> None:
    value, amounts = operator.inputs
    nchw = writer.graph.constants[amounts][[0, 3, 1, 2]]
    pads = writer.constant(nchw.T.reshape(-1), np.int64)
    writer.node("Pad", tensor_name(value), pads, output=tensor_name(operator.output))


def _concatenation(writer: OnnxWriter, operator: Operator) -> None:
    # The detector joins its two grids of anchors, which are flat by then.
    writer.node("Concat", *input_names(operator), axis=1, output=tensor_name(operator.output))


def _reshape(writer: OnnxWriter, operator: Operator) -> None:
    value = tensor_name(operator.inputs[0])
    if len(writer.graph.shapes[operator.inputs[0]]) == 4:
        value = writer.node("Transpose", value, perm=[0, 2, 3, 1])
    if len(writer.graph.shapes[operator.output]) == 4:
        raise ValueError("a RESHAPE that makes an image is unknown")
    # A size of 0 keeps the batch, whatever it is.
    shape = writer.constant([0, *writer.graph.shapes[operator.output][1:]], np.int64)
    writer.node("Reshape", value, shape, output=tensor_name(operator.output))


def _mul(writer: OnnxWriter, operator: Operator) -> None:
    value, factor = operator.inputs
    factors = writer.graph.constants[factor]
    if factors.shape == (1, 4, 4):
        factors = factors[PLANE]
    writer.node(
        "Mul", tensor_name(value), writer.weight(factors), output=tensor_name(operator.output)
    )


_WRITERS: Mapping[str, _WriteOperator] = {
    "ADD": _add,
    "CONCATENATION": _concatenation,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "MAX_POOL_2D": _max_pool_2d,
    "MUL": _mul,
    "PAD": _pad,
    "PRELU": _prelu,
    "RELU": _relu,
    "RESHAPE": _reshape,
    "Landmarks2TransformMatrix": landmarks_to_matrix,
    "TransformLandmarks": transform_landmarks,
    "TransformTensorBilinear": transform_tensor,
}
