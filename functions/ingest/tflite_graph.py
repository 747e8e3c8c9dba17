"""Reads a TFLite model into plain data: tensors by number and operators in running order.

Only what the float face models need is read: one subgraph, float or int32 constants, weights that
are stored in half precision behind a DEQUANTIZE.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tflite
from flatbuffers import flexbuffers
from numpy.typing import NDArray

_MAGIC = b"TFL3"

_DTYPES: Mapping[int, type[np.generic]] = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}

_KINDS: Mapping[int, str] = {
    number: name for name, number in vars(tflite.BuiltinOperator).items() if isinstance(number, int)
}

_OPTIONS: Mapping[str, Any] = {
    "ADD": tflite.AddOptions,
    "CONV_2D": tflite.Conv2DOptions,
    "DEPTHWISE_CONV_2D": tflite.DepthwiseConv2DOptions,
    "MAX_POOL_2D": tflite.Pool2DOptions,
}


@dataclass(frozen=True)
class Operator:
    """One step of the graph.

    Args:
        kind: TFLite's name in capitals, or a custom operator's own name.
        inputs: tensor numbers.
        output: tensor number.
        options: a builtin operator's options table, a custom operator's dictionary, or None.
    """

    kind: str
    inputs: tuple[int, ...]
    output: int
    options: Any


@dataclass(frozen=True, eq=False)
class Graph:
    """A model's operators in running order.

    Args:
        names: of the tensors, by number.
        shapes: of the tensors, by number, NHWC where they are images.
        constants: values of constant tensors, by number; weights in their stored precision.
        operators: what is computed, DEQUANTIZE already folded into the constants.
        input: the picture's tensor.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    constants: Mapping[int, NDArray[Any]]
    operators: tuple[Operator, ...]
    input: int

    def number(self, name: str) -> int:
        """The tensor of this name; ValueError when there is none."""
        return self.names.index(name)

    def reaching(self, outputs: Iterable[int]) -> tuple[Operator, ...]:
        """The operators on which these tensors depend, in running order."""
        wanted = set(outputs)
        kept = []
        for operator in reversed(self.operators):
            if operator.output in wanted:
                wanted.update(operator.inputs)
                kept.append(operator)
        return tuple(reversed(kept))


def read_graph(data: bytes) -> Graph:
    """Reads a `.tflite` file's content.

    Raises:
        ValueError: it is no TFLite model, or holds a constant of a type that the face models don't
            use, or an operator with several outputs.
    """
    if data[4:8] != _MAGIC:
        raise ValueError("this is no TFLite model")
    model = tflite.Model.GetRootAsModel(data, 0)
    subgraph = model.Subgraphs(0)
    tensors = [subgraph.Tensors(i) for i in range(subgraph.TensorsLength())]
    constants = {
        number: value
        for number, tensor in enumerate(tensors)
        if (value := _constant(model, tensor)) is not None
    }
    operators = []
    for i in range(subgraph.OperatorsLength()):
        operator = _operator(model, subgraph.Operators(i))
        if operator.kind == "DEQUANTIZE":
            constants[operator.output] = constants[operator.inputs[0]]
        else:
            operators.append(operator)
    return Graph(
        names=tuple(tensor.Name().decode() for tensor in tensors),
        shapes=tuple(_shape(tensor) for tensor in tensors),
        constants=constants,
        operators=tuple(operators),
        input=subgraph.Inputs(0),
    )


def _shape(tensor: tflite.Tensor) -> tuple[int, ...]:
    return tuple(int(tensor.Shape(i)) for i in range(tensor.ShapeLength()))


def _constant(model: tflite.Model, tensor: tflite.Tensor) -> NDArray[Any] | None:
    buffer = model.Buffers(tensor.Buffer())
    if not buffer.DataLength():
        return None
    dtype = _DTYPES.get(tensor.Type())
    if dtype is None:
        raise ValueError(f"tensor {tensor.Name().decode()} has type {tensor.Type()}")
    return np.frombuffer(buffer.DataAsNumpy().tobytes(), dtype).reshape(_shape(tensor))


def _operator(model: tflite.Model, operator: tflite.Operator) -> Operator:
    code = model.OperatorCodes(operator.OpcodeIndex())
    # Old files fill only the narrow field, new ones both; the other one is then zero or a marker.
    kind = _KINDS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
    options: Any = None
    if kind == "CUSTOM":
        kind = code.CustomCode().decode()
        if operator.CustomOptionsLength():
            options = flexbuffers.Loads(operator.CustomOptionsAsNumpy().tobytes())
    elif kind in _OPTIONS:
        table = operator.BuiltinOptions()
        options = _OPTIONS[kind]()
        options.Init(table.Bytes, table.Pos)
    if operator.OutputsLength() != 1:
        raise ValueError(f"operator {kind} has {operator.OutputsLength()} outputs")
    return Operator(
        kind=kind,
        inputs=tuple(operator.Inputs(i) for i in range(operator.InputsLength())),
        output=operator.Outputs(0),
        options=options,
    )
