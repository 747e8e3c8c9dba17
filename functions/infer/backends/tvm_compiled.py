"""Runs ONNX files that Apache TVM compiled for this machine's processor.

A graph is compiled once for each batch size, for its dynamic dimensions need a size, and kept in
the compile cache by the graph's digest, TVM's version and the target.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from functions.infer.backends.compiled import compiled_folder
from functions.infer.backends.faults import BackendAbsent, UnsupportedGraph
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
from functions.logs import logger

log = logger()

_FIX = "Install koubo[tvm]."


@dataclass(frozen=True)
class Tvm:
    """Runs ONNX files compiled by TVM.

    Args:
        target: what to compile for: `llvm` is this machine, else TVM's JSON form, such as
            `{"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "tsv110"}` for a Kunpeng 920.
        batches: the batch sizes to compile for.
        compiled: where compiled graphs are kept.
        threads: for one operator.
    """

    target: str
    batches: tuple[int, ...]
    compiled: Path
    threads: int = 1
    suffixes = (".onnx",)
    name = "tvm/cpu"

    def probe(self) -> Probe:
        """See `DeviceBackend`."""
        missing = [name for name in ("tvm", "onnx") if find_spec(name) is None]
        if missing:
            return Probe(works=False, says=f"no {' and no '.join(missing)}", fix=_FIX)
        try:
            tvm = self._tvm()
        except BackendAbsent as fault:
            return Probe(works=False, says=str(fault), fix=_FIX)
        return Probe(works=True, says=f"tvm {tvm.__version__}, {self.target}")

    def load(self, path: Path) -> DeviceGraph:
        """See `DeviceBackend`."""
        tvm = self._tvm()
        by = f"tvm-{tvm.__version__}-{hashlib.sha256(self.target.encode()).hexdigest()[:8]}"
        folder = compiled_folder(self.compiled, path, by)
        try:
            onnx = import_module("onnx")
            model = onnx.load(path)
            constant = {each.name for each in model.graph.initializer}
            given = [each for each in model.graph.input if each.name not in constant]
            inputs = tuple(_spec(onnx, each) for each in given)
            outputs = tuple(_spec(onnx, each) for each in model.graph.output)
        except Exception as error:
            # A file from anywhere fails in as many ways as there are parsers behind this.
            raise UnsupportedGraph(f"onnx can't read {path.name}: {error}") from error
        batches = self.batches if takes_any_batch(inputs) else (_fixed(inputs),)
        machines = {}
        for batch in batches:
            library = self._library(tvm, model, inputs, batch, folder / f"{batch}.so")
            machines[batch] = tvm.relax.VirtualMachine(library, tvm.cpu())["main"]
        graph = _TvmGraph(tvm, machines, inputs, outputs, batches, Lock())
        warm_up(graph)
        return graph

    def readings(self) -> tuple[Reading, ...]:
        """See `DeviceBackend`."""
        return ()

    def _tvm(self) -> Any:  # noqa: ANN401 -- not needed to check Koubo's types
        os.environ.setdefault("TVM_NUM_THREADS", str(self.threads))
        try:
            tvm = import_module("tvm")
            import_module("tvm.relax.frontend.onnx")
        except Exception as error:
            # A broken installation raises whatever its loader meets.
            raise BackendAbsent(f"tvm can't be imported: {error}") from error
        return tvm

    def _library(
        self,
        tvm: Any,  # noqa: ANN401 -- a module
        model: Any,  # noqa: ANN401 -- onnx ships no types
        inputs: tuple[TensorSpec, ...],
        batch: int,
        kept: Path,
    ) -> Any:  # noqa: ANN401 -- a module of TVM's
        """The graph compiled for one batch size, out of the cache where it is there."""
        if kept.is_file():
            return tvm.runtime.load_module(str(kept))
        described = json.loads(self.target) if self.target.startswith("{") else self.target
        shapes = {spec.name: _sized(spec, batch) for spec in inputs}
        try:
            module = tvm.relax.frontend.onnx.from_onnx(model, shape_dict=shapes)
            made = tvm.compile(module, target=tvm.target.Target(described))
        except Exception as error:
            # Its passes raise what they please.
            raise UnsupportedGraph(f"tvm can't compile it: {error}") from error
        making = kept.with_suffix(f".{os.getpid()}.so")
        try:
            made.export_library(str(making))
            making.replace(kept)
        except Exception as error:  # noqa: BLE001 -- without a C compiler it fails in many ways
            # Nothing is kept then; it runs from memory as well.
            log.warning("infer.not_kept", path=str(kept), error=str(error))
            return made
        return tvm.runtime.load_module(str(kept))


@dataclass
class _TvmGraph:
    tvm: Any
    machines: dict[int, Any]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batches: tuple[int, ...]
    lock: Lock
    backend = Tvm.name
    precision = "fp32"

    def run(self, inputs: Arrays) -> Outputs:
        rows = len(inputs[self.inputs[0].name])
        try:
            with self.lock:
                tensors = [self.tvm.runtime.tensor(inputs[spec.name]) for spec in self.inputs]
                made = self.machines[rows](*tensors)
                results = [made] if hasattr(made, "numpy") else list(made)
                return [np.array(result.numpy()) for result in results]
        except Exception as error:
            # Its errors are whatever its C++ side throws; on one CPU they stay the same.
            raise UnsupportedGraph(" ".join(str(error).split())) from error

    def close(self) -> None:
        self.machines = {}


def _spec(onnx: Any, value: Any) -> TensorSpec:  # noqa: ANN401 -- onnx ships no types
    kind = value.type.tensor_type
    sizes = [size.dim_value if size.HasField("dim_value") else None for size in kind.shape.dim]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
    return TensorSpec(value.name, tuple(sizes), str(dtype))


def _fixed(inputs: tuple[TensorSpec, ...]) -> int:
    return int(inputs[0].shape[0] or 1) if inputs and inputs[0].shape else 1


def _sized(spec: TensorSpec, batch: int) -> list[int]:
    sizes = [
        batch if place == 0 and size is None else size for place, size in enumerate(spec.shape)
    ]
    if None in sizes:
        raise UnsupportedGraph(
            f"tvm needs all of {spec.name}'s sizes but the batch's: {spec.shape}"
        )
    return [int(size or 0) for size in sizes]
