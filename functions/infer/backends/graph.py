"""What infer and a backend say to each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
Outputs = list[NDArray[Any]]


@dataclass(frozen=True)
class TensorSpec:
    """An input or an output of a graph.

    Args:
        name: as the graph calls it.
        shape: None where the graph takes any size.
        dtype: as numpy calls it, such as `float32`.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str


def takes_any_batch(inputs: tuple[TensorSpec, ...]) -> bool:
    """Whether a graph takes batches of any size: some input's first dimension is dynamic."""
    return any(bool(spec.shape) and spec.shape[0] is None for spec in inputs)


def batched(specs: tuple[TensorSpec, ...]) -> list[bool]:
    """Which inputs hold a row for each frame.

    Those whose first dimension is dynamic. Where none is, the graph was made for one batch size,
    the first input's first dimension, and they are the inputs that share it.
    """
    dynamic = [bool(spec.shape) and spec.shape[0] is None for spec in specs]
    if any(dynamic) or not specs or not specs[0].shape:
        return dynamic
    return [bool(spec.shape) and spec.shape[0] == specs[0].shape[0] for spec in specs]


class Graph(Protocol):
    """A loaded graph, ready to run; any thread may."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What it takes, in its own order."""
        ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What it gives, in its own order."""
        ...

    @property
    def backend(self) -> str:
        """What really runs it, such as `onnxruntime/CPUExecutionProvider`."""
        ...

    def run(self, inputs: Arrays) -> Outputs:
        """The graph's outputs, in its own order, for inputs by name.

        Raises:
            BackendFault: see `functions.infer.backends.faults`.
        """
        ...

    def close(self) -> None:
        """Gives back what it holds of the device."""
        ...


class DeviceGraph(Graph, Protocol):
    """A graph as a backend loads it; `functions.infer.router` makes a `Graph` for models of it."""

    @property
    def precision(self) -> str:
        """What it computes in, such as `fp32`, `fp16` or `int8`."""
        ...

    @property
    def batches(self) -> tuple[int, ...]:
        """The batch sizes that it was made for, ascending; empty where it takes any."""
        ...


@dataclass(frozen=True)
class Probe:
    """What a backend found out about itself, without loading a model.

    Args:
        works: whether it can run graphs here and now.
        says: what is there, or what is missing, in plain words.
        fix: what to do, where it doesn't work.
    """

    works: bool
    says: str
    fix: str = ""


@dataclass(frozen=True)
class Reading:
    """How a device is; what it doesn't tell is None.

    Args:
        device: such as `npu:0`.
        name: of the chip, such as `Ascend 310P3`.
        use: of its cores, 0..1.
        memory_used: bytes.
        memory_total: bytes.
        temperature: degrees Celsius.
        power: watts.
        power_of: what draws them: `chip`, or `card` where only the whole card is measured.
        healthy: whether it says that it is well.
    """

    device: str
    name: str = ""
    use: float | None = None
    memory_used: float | None = None
    memory_total: float | None = None
    temperature: float | None = None
    power: float | None = None
    power_of: str = "chip"
    healthy: bool | None = None


class Backend(Protocol):
    """Gives models their graphs; `functions.infer.router.Router` does it with several devices."""

    def load(self, path: Path) -> Graph:
        """Loads a graph from a file.

        Raises:
            NotSetUpError: there is no such file, or what runs it isn't installed.
            BackendFault: see `functions.infer.backends.faults`.
        """
        ...


class DeviceBackend(Protocol):
    """Loads graphs for one device."""

    @property
    def name(self) -> str:
        """Library and device, such as `onnxruntime/cpu` or `torch/npu:0`."""
        ...

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The kinds of files that it runs, the best one first, such as `.pt2`."""
        ...

    def probe(self) -> Probe:
        """Looks whether the device answers; never raises, whatever is missing."""
        ...

    def load(self, path: Path) -> DeviceGraph:
        """Loads a graph from a file of one of the suffixes, and runs it once for each batch size.

        Raises:
            BackendFault: see `functions.infer.backends.faults`.
        """
        ...

    def readings(self) -> tuple[Reading, ...]:
        """How the device is; empty where nobody tells. Never raises, and takes some seconds."""
        ...
