"""Collects the nodes and constants of an ONNX graph while a TFLite graph is walked."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from functions.ingest.tflite_graph import Graph, Operator


def tensor_name(number: int) -> str:
    """What a TFLite tensor is called in the ONNX graph."""
    return f"t{number}"


def input_names(operator: Operator) -> list[str]:
    """What an operator's inputs are called in the ONNX graph."""
    return [tensor_name(number) for number in operator.inputs]


@dataclass
class OnnxWriter:
    """The ONNX graph so far.

    Args:
        graph: what is being converted.
        nodes: in running order.
        initializers: the constants.
    """

    graph: Graph
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)
    _fresh: int = 0

    def node(
        self,
        kind: str,
        *inputs: str,
        output: str | None = None,
        **attributes: Any,  # noqa: ANN401 -- an ONNX attribute is a number, a text or a list
    ) -> str:
        """Adds a node and gives its output's name, a fresh one unless told."""
        output = output or self._fresh_name()
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, value: ArrayLike, dtype: type[np.generic] = np.float32) -> str:
        """Adds a constant of this type."""
        name = self._fresh_name()
        array = np.ascontiguousarray(value, dtype=dtype)
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, value: NDArray[Any]) -> str:
        """Adds a float constant, kept in half precision where the model stores it so."""
        if value.dtype != np.float16:
            return self.constant(value)
        # The runtime folds the cast once while it loads the model.
        return self.node("Cast", self.constant(value, np.float16), to=TensorProto.FLOAT)

    def _fresh_name(self) -> str:
        self._fresh += 1
        return f"n{self._fresh}"
