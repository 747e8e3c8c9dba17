"""Backends that do as they are told, and fail in the ways that devices do."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from functions.infer.backends.faults import BackendFault
from functions.infer.backends.graph import (
    Arrays,
    DeviceBackend,
    DeviceGraph,
    Outputs,
    Probe,
    Reading,
    TensorSpec,
)

IN = TensorSpec("x", (None, 2), "float32")
OUT = TensorSpec("y", (None, 2), "float32")


@dataclass
class Scripted:
    """A device whose graphs give `factor * x`.

    Args:
        name: of the backend.
        batches: of its graphs.
        factor: tells devices apart by what they give.
        takes: what its graphs take.
        run_fault: the fault of a run of so many rows, or None.
        load_fault: the fault of loading, or None.
        alive: what its probe says.
        told: how it is.
        sizes: rows of each run that was tried.
        loads: how often a graph was loaded.
        closed: how often one was closed.
    """

    name: str
    batches: tuple[int, ...] = ()
    factor: float = 2.0
    takes: tuple[TensorSpec, ...] = (IN,)
    run_fault: Callable[[int], BackendFault | None] = lambda _: None
    load_fault: Callable[[], BackendFault | None] = lambda: None
    alive: bool = True
    told: tuple[Reading, ...] = ()
    sizes: list[int] = field(default_factory=list)
    loads: int = 0
    closed: int = 0
    suffixes: tuple[str, ...] = (".onnx",)

    def probe(self) -> Probe:
        return Probe(works=self.alive, says="here" if self.alive else "gone")

    def load(self, path: Path) -> "ScriptedGraph":
        self.loads += 1
        if (fault := self.load_fault()) is not None:
            raise fault
        return ScriptedGraph(self)

    def readings(self) -> tuple[Reading, ...]:
        return self.told


@dataclass(frozen=True)
class ScriptedGraph:
    owner: Scripted
    outputs: tuple[TensorSpec, ...] = (OUT,)
    precision: str = "fp32"

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self.owner.takes

    @property
    def batches(self) -> tuple[int, ...]:
        return self.owner.batches

    @property
    def backend(self) -> str:
        return self.owner.name

    def run(self, inputs: Arrays) -> Outputs:
        (rows,) = (inputs[spec.name] for spec in self.inputs)
        self.owner.sizes.append(len(rows))
        if (fault := self.owner.run_fault(len(rows))) is not None:
            raise fault
        return [np.asarray(rows * np.float32(self.owner.factor))]

    def close(self) -> None:
        self.owner.closed += 1


@dataclass
class Unreliable:
    """A device that runs real graphs on this machine's CPU, and fails as it is told.

    Args:
        backend: what really runs.
        name: of the device that it pretends to be.
        fault: of the next run of this graph, or None.
        alive: what its probe says.
    """

    backend: DeviceBackend
    name: str
    fault: Callable[[str], BackendFault | None]
    alive: bool = True
    suffixes: tuple[str, ...] = (".onnx",)

    def probe(self) -> Probe:
        return Probe(works=self.alive, says="here" if self.alive else "gone")

    def load(self, path: Path) -> "UnreliableGraph":
        return UnreliableGraph(self, path.stem, self.backend.load(path))

    def readings(self) -> tuple[Reading, ...]:
        return ()


@dataclass(frozen=True)
class UnreliableGraph:
    owner: Unreliable
    stem: str
    real: DeviceGraph
    batches: tuple[int, ...] = ()
    precision: str = "fp16"

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self.real.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self.real.outputs

    @property
    def backend(self) -> str:
        return self.owner.name

    def run(self, inputs: Arrays) -> Outputs:
        if (fault := self.owner.fault(self.stem)) is not None:
            raise fault
        return self.real.run(inputs)

    def close(self) -> None:
        self.real.close()
