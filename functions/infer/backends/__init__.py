"""What runs a model's graphs: one file for each library, behind one protocol."""

from functions.infer.backends.graph import Backend, Graph
from functions.infer.backends.onnx_runtime import OnnxRuntime

__all__ = ["Backend", "Graph", "OnnxRuntime"]
