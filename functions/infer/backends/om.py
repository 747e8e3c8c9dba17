"""Runs offline models (`.om`) on an Ascend NPU: with ais_bench where it is, else with pyACL.

ATC compiles such a file for one kind of chip and for certain batch sizes.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

from functions.infer.backends import ascend, npu_smi
from functions.infer.backends.acl_model import AclModel
from functions.infer.backends.faults import BackendAbsent, BackendFault, UnsupportedGraph
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

_AIS_BENCH = "ais_bench.infer.interface"
_ACL = "acl"


@dataclass(frozen=True)
class Om:
    """Runs offline models.

    Args:
        index: of the NPU.
        batches: the batch sizes that models were compiled for; ais_bench doesn't tell them.
    """

    index: int = 0
    batches: tuple[int, ...] = ()
    suffixes = (".om",)

    @property
    def name(self) -> str:
        """See `DeviceBackend`."""
        return f"om/npu:{self.index}"

    def probe(self) -> Probe:
        """See `DeviceBackend`."""
        found = ascend.probe_device(self.index, ascend.device_count())
        if not found.works:
            return found
        library = next((name for name in (_AIS_BENCH, _ACL) if _import(name)), None)
        if library is None:
            says = "neither ais_bench nor CANN's acl can be imported"
            return Probe(works=False, says=says, fix=ascend.CANN_FIX)
        return Probe(works=True, says=f"{library}, {found.says}")

    def load(self, path: Path) -> DeviceGraph:
        """See `DeviceBackend`."""
        found = self.probe()
        if not found.works:
            raise BackendAbsent(found.says)
        graph: DeviceGraph
        if interface := _import(_AIS_BENCH):
            graph = _AisGraph.load(interface, self, path)
        else:
            graph = _AclGraph.load(_import(_ACL), self, path)
        warm_up(graph)
        return graph

    def readings(self) -> tuple[Reading, ...]:
        """See `DeviceBackend`."""
        return npu_smi.readings(self.index)


@dataclass
class _AisGraph:
    """A model in an `InferSession`; it takes its inputs by place."""

    session: Any
    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batches: tuple[int, ...]
    lock: Lock
    precision = "as compiled"

    @staticmethod
    def load(interface: Any, owner: Om, path: Path) -> "_AisGraph":  # noqa: ANN401 -- an import
        try:
            session = interface.InferSession(owner.index, str(path))
            specs = [
                tuple(map(_ais_spec, each))
                for each in (session.get_inputs(), session.get_outputs())
            ]
        except Exception as error:
            raise _fault(error, path) from error
        batches = owner.batches if takes_any_batch(specs[0]) else ()
        return _AisGraph(session, owner.name, specs[0], specs[1], batches, Lock())

    @property
    def backend(self) -> str:
        return f"{self.name} (ais_bench)"

    def run(self, inputs: Arrays) -> Outputs:
        given = [inputs[spec.name] for spec in self.inputs]
        try:
            with self.lock:
                made = self.session.infer(given, mode="dymbatch" if self.batches else "static")
        except Exception as error:
            raise _fault(error, None) from error
        return list(made)

    def close(self) -> None:
        self.session = None


@dataclass
class _AclGraph:
    """A model in pyACL."""

    model: AclModel
    name: str
    lock: Lock
    precision = "as compiled"

    @staticmethod
    def load(acl: Any, owner: Om, path: Path) -> "_AclGraph":  # noqa: ANN401 -- an import
        return _AclGraph(AclModel(acl, owner.index, path), owner.name, Lock())

    @property
    def backend(self) -> str:
        return f"{self.name} (acl)"

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self.model.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self.model.outputs

    @property
    def batches(self) -> tuple[int, ...]:
        return self.model.batches

    def run(self, inputs: Arrays) -> Outputs:
        with self.lock:
            return self.model.run([inputs[spec.name] for spec in self.inputs])

    def close(self) -> None:
        with self.lock:
            self.model.close()


def _import(name: str) -> Any:  # noqa: ANN401 -- a module
    try:
        return import_module(name)
    except (ImportError, OSError):  # without CANN its libraries are missing
        return None


def _ais_spec(tensor: Any) -> TensorSpec:  # noqa: ANN401 -- ais_bench ships no types
    shape = tuple(size if size > 0 else None for size in tensor.shape)
    return TensorSpec(tensor.name, shape, str(tensor.datatype))


def _fault(error: Exception, path: Path | None) -> BackendFault:
    said = " ".join(str(error).split())
    code = ascend.code_of(said)
    if code is None and path is not None:
        return UnsupportedGraph(f"{path.name} can't be loaded: {said}")
    return ascend.fault_of(code, said)
