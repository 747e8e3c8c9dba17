"""What runs a model's graphs. One backend now; others need only load a file and run it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from functions.errors import NotSetUpError

Arrays = Mapping[str, NDArray[np.float32]]


class Graph(Protocol):
    """A loaded graph, ready to run."""

    @property
    def backend(self) -> str:
        """What really runs it, such as `onnxruntime/CPUExecutionProvider`."""
        ...

    def run(self, inputs: Arrays) -> list[NDArray[np.float32]]:
        """The graph's outputs, in its own order, for inputs by name."""
        ...


class Backend(Protocol):
    """Loads graphs for one kind of device."""

    def load(self, path: Path) -> Graph:
        """Loads a graph from a file.

        Raises:
            NotSetUpError: there is no such file, or this backend can't run what is in it.
        """
        ...


@dataclass(frozen=True)
class OnnxRuntime:
    """Runs ONNX files with onnxruntime.

    Args:
        threads: for one operator; whole segments run beside each other, which wastes less.
        provider: onnxruntime's name of what computes.
    """

    threads: int = 1
    provider: str = "CPUExecutionProvider"

    def load(self, path: Path) -> Graph:
        """See `Backend`."""
        if not path.is_file():
            raise NotSetUpError(f"the model file {path.name} is missing from {path.parent}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # Threads that spin while they wait would be charged to the other workers of this machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=[self.provider])
        except Exception as error:
            raise NotSetUpError(f"onnxruntime can't run {path.name}: {error}") from error
        return _OnnxGraph(session)


@dataclass(frozen=True)
class _OnnxGraph:
    session: Any  # onnxruntime ships no types

    @property
    def backend(self) -> str:
        # onnxruntime falls back on its own; the first provider is the one that it settled on.
        return f"onnxruntime/{self.session.get_providers()[0]}"

    def run(self, inputs: Arrays) -> list[NDArray[np.float32]]:
        outputs: list[NDArray[np.float32]] = self.session.run(None, dict(inputs))
        return outputs
