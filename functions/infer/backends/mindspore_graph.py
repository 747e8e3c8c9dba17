"""Runs MindSpore graphs (`.mindir`) on the CPU or on an Ascend NPU.

MindSpore has one device for a whole process, chosen once: a worker can't have both.
"""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

from functions.infer.backends import ascend, npu_smi
from functions.infer.backends.faults import (
    BackendAbsent,
    BackendFault,
    DeviceOutOfMemory,
    UnsupportedGraph,
)
from functions.infer.backends.graph import (
    Arrays,
    DeviceGraph,
    Outputs,
    Probe,
    Reading,
    TensorSpec,
    takes_any_batch,
)
from functions.infer.backends.warm_up import warm_up

# TensorProto.DataType of mind_ir.proto.
_DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
}
_FIX = "Install koubo[mindspore]; on an NPU, the build of MindSpore that fits CANN."


@dataclass(frozen=True)
class MindSpore:
    """Runs MindSpore graphs.

    Args:
        device: `cpu`, or `ascend:0`.
        batches: sizes to run graphs with; none takes any.
    """

    device: str = "cpu"
    batches: tuple[int, ...] = ()
    suffixes = (".mindir",)

    @property
    def name(self) -> str:
        """See `DeviceBackend`."""
        return f"mindspore/{self.device}"

    @property
    def on_ascend(self) -> bool:
        """Whether it runs on an NPU."""
        return self.device != "cpu"

    @property
    def index(self) -> int:
        """The device's number."""
        return int(self.device.partition(":")[2] or 0)

    def probe(self) -> Probe:
        """See `DeviceBackend`."""
        if find_spec("mindspore") is None:
            return Probe(works=False, says="no mindspore", fix=_FIX)
        if self.on_ascend:
            found = ascend.probe_device(self.index, ascend.device_count())
            if not found.works:
                return found
        try:
            mindspore = self._mindspore()
        except BackendAbsent as fault:
            return Probe(works=False, says=str(fault), fix=_FIX)
        return Probe(works=True, says=f"mindspore {mindspore.__version__}, {self.device}")

    def load(self, path: Path) -> DeviceGraph:
        """See `DeviceBackend`."""
        if self.on_ascend:
            found = ascend.probe_device(self.index, ascend.device_count())
            if not found.works:
                raise BackendAbsent(found.says)
        mindspore = self._mindspore()
        try:
            proto = import_module("mindspore.train.mind_ir_pb2").ModelProto()
            proto.ParseFromString(path.read_bytes())
            inputs = tuple(map(_spec, proto.graph.input))
            outputs = tuple(map(_spec, proto.graph.output))
            cell = mindspore.nn.GraphCell(mindspore.load(str(path)))
        except Exception as error:
            # A file from anywhere fails in as many ways as there are parsers behind this.
            raise UnsupportedGraph(f"mindspore can't read {path.name}: {error}") from error
        graph = _MindSporeGraph(self, mindspore, cell, inputs, outputs, Lock())
        warm_up(graph)
        return graph

    def readings(self) -> tuple[Reading, ...]:
        """See `DeviceBackend`."""
        return npu_smi.readings(self.index) if self.on_ascend else ()

    def fault(self, error: Exception) -> BackendFault:
        """What an error of MindSpore's means on this device."""
        said = " ".join(str(error).split())
        if isinstance(error, MemoryError):
            return DeviceOutOfMemory(said)
        if self.on_ascend:
            return ascend.fault_of(ascend.code_of(said), said)
        return UnsupportedGraph(said)  # the same question has the same answer for ever

    def _mindspore(self) -> Any:  # noqa: ANN401 -- not needed to check Koubo's types
        try:
            mindspore = import_module("mindspore")
            if self.on_ascend:
                mindspore.set_device("Ascend", self.index)
            else:
                mindspore.set_device("CPU")
        except Exception as error:
            # A broken installation raises whatever its loader meets.
            said = " ".join(str(error).split())
            raise BackendAbsent(f"mindspore has no {self.device}: {said}") from error
        return mindspore


@dataclass
class _MindSporeGraph:
    owner: MindSpore
    mindspore: Any
    cell: Any
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    lock: Lock
    precision = "fp32"

    @property
    def backend(self) -> str:
        return self.owner.name

    @property
    def batches(self) -> tuple[int, ...]:
        return self.owner.batches if takes_any_batch(self.inputs) else ()

    def run(self, inputs: Arrays) -> Outputs:
        tensors = [self.mindspore.Tensor(inputs[spec.name]) for spec in self.inputs]
        try:
            with self.lock:
                made = self.cell(*tensors)
                results = made if isinstance(made, tuple | list) else (made,)
                return [result.asnumpy() for result in results]
        except Exception as error:
            # Its errors are whatever its C++ side throws.
            raise self.owner.fault(error) from error

    def close(self) -> None:
        self.cell = None


def _spec(value: Any) -> TensorSpec:  # noqa: ANN401 -- protobuf's objects
    (tensor,) = value.tensor
    shape = tuple(size if size > 0 else None for size in tensor.dims)
    # Exported names begin with those of the cells around them.
    name = value.name.rpartition(":")[2]
    return TensorSpec(name, shape, _DTYPES[tensor.data_type])
