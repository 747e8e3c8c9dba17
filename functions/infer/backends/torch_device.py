"""Runs PyTorch programs (`.pt2`) on an NPU, a GPU or the CPU."""

import gc
import os
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from traceback import clear_frames
from typing import Any

import numpy as np

from functions.infer.backends.accelerator import Accelerator
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


@dataclass(frozen=True)
class TorchDevice:
    """Runs PyTorch programs.

    Args:
        accelerator: the kind of device.
        device: such as `npu:0`.
        precision: `fp16`, `fp32`, or `auto` for what suits the device.
        threads: for one operator, on the CPU.
        batches: sizes to run graphs with; none takes any.
    """

    accelerator: Accelerator
    device: str
    precision: str = "auto"
    threads: int = 1
    batches: tuple[int, ...] = ()
    suffixes = (".pt2",)

    @property
    def name(self) -> str:
        """See `DeviceBackend`."""
        return f"torch/{self.device}"

    @property
    def index(self) -> int:
        """The device's number."""
        return int(self.device.partition(":")[2] or 0)

    def probe(self) -> Probe:
        """See `DeviceBackend`; computes one plus one on the device."""
        if find_spec("torch") is None:
            return Probe(works=False, says="no torch", fix="Install koubo[torch].")
        found = self.accelerator.present(self.index)
        if not found.works:
            return found
        try:
            torch = self._torch()
            (two,) = torch.ones(1, device=self.device).add(1).cpu().tolist()
        except BackendFault as fault:
            return Probe(works=False, says=str(fault), fix=self.accelerator.fix)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the device doesn't work
            return Probe(
                works=False, says=f"{self.device} fails: {error}", fix=self.accelerator.fix
            )
        says = f"torch {torch.__version__}, {self.device} {found.says}".strip()
        return Probe(works=two == 2, says=says, fix=self.accelerator.fix)

    def load(self, path: Path) -> DeviceGraph:
        """See `DeviceBackend`."""
        found = self.accelerator.present(self.index)
        if not found.works:
            raise BackendAbsent(found.says)
        torch = self._torch()
        try:
            program = torch.export.load(path)
        except Exception as error:
            # A file from anywhere fails in as many ways as there are parsers behind this.
            raise UnsupportedGraph(f"torch can't read {path.name}: {error}") from error
        specs = _specs(torch, program)
        graph = _TorchGraph(self, torch, self._moved(torch, program), *specs)
        warm_up(graph)
        return graph

    def readings(self) -> tuple[Reading, ...]:
        """See `DeviceBackend`."""
        return self.accelerator.readings(self.index)

    @property
    def computes_in(self) -> str:
        """The precision, with `auto` made out."""
        return self.accelerator.precision if self.precision == "auto" else self.precision

    def fault(self, torch: Any, error: Exception) -> BackendFault:  # noqa: ANN401 -- an import
        """What an error of torch's means on this device."""
        said = " ".join(str(error).split())
        if isinstance(error, torch.OutOfMemoryError):
            return DeviceOutOfMemory(said)
        if isinstance(error, NotImplementedError):
            return UnsupportedGraph(said)
        return self.accelerator.fault_of(error, said)

    def _torch(self) -> Any:  # noqa: ANN401 -- torch is not needed to check Koubo's types
        """Torch with this kind of device in it."""
        # With torch_npu installed and no CANN, torch itself could not be imported otherwise.
        os.environ["TORCH_DEVICE_BACKEND_AUTOLOAD"] = "0"
        kind, extension = self.accelerator.kind, self.accelerator.extension
        try:
            torch = import_module("torch")
            if extension and not hasattr(torch, kind):
                import_module(extension)
        except Exception as error:
            # A broken installation raises whatever its loader meets.
            raise BackendAbsent(f"{extension or 'torch'} can't be imported: {error}") from error
        if kind == "cpu":
            torch.set_num_threads(self.threads)
            return torch
        module = getattr(torch, kind)
        if not module.is_available() or self.index >= module.device_count():
            raise BackendAbsent(f"torch {torch.__version__} finds no {self.device}")
        try:
            self.accelerator.prepare(module)
            module.set_device(self.index)
        except Exception as error:
            raise self.fault(torch, error) from error
        return torch

    def _moved(self, torch: Any, program: Any) -> Any:  # noqa: ANN401 -- torch's objects
        """The program's module on the device."""
        try:
            # Tensors that the program itself makes have their device written into it.
            passes = import_module("torch.export.passes")
            moved = passes.move_to_device_pass(program, self.device)
            module = moved.module().to(self.device)
            return module.half() if self.computes_in == "fp16" else module
        except Exception as error:
            raise self.fault(torch, error) from error


@dataclass
class _TorchGraph:
    owner: TorchDevice
    torch: Any
    module: Any
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def backend(self) -> str:
        return self.owner.name

    @property
    def precision(self) -> str:
        return self.owner.computes_in

    @property
    def batches(self) -> tuple[int, ...]:
        return self.owner.batches if takes_any_batch(self.inputs) else ()

    def run(self, inputs: Arrays) -> Outputs:
        try:
            return self._compute(inputs)
        except Exception as error:
            fault = self.owner.fault(self.torch, error)
            if isinstance(fault, DeviceOutOfMemory):
                # The error holds the frames that it came through, some of them in circles, and
                # they hold tensors: without this a smaller batch would find no more room.
                clear_frames(error.__traceback__)
                gc.collect()
                self._empty_cache()
            raise fault from error

    def _compute(self, inputs: Arrays) -> Outputs:
        torch, owner = self.torch, self.owner
        half = torch.float16 if owner.computes_in == "fp16" else None
        if owner.accelerator.kind != "cpu":
            getattr(torch, owner.accelerator.kind).set_device(owner.index)  # of this thread
        with torch.inference_mode():
            moved = []
            for spec in self.inputs:
                tensor = torch.from_numpy(inputs[spec.name])
                dtype = half if tensor.is_floating_point() else None
                moved.append(tensor.to(owner.device, dtype))
            made = self.module(*moved)
            results = made if isinstance(made, tuple | list) else (made,)
            return [
                np.ascontiguousarray(result.cpu().numpy().astype(spec.dtype, copy=False))
                for result, spec in zip(results, self.outputs, strict=True)
            ]

    def close(self) -> None:
        self.module = None
        self._empty_cache()

    def _empty_cache(self) -> None:
        module = getattr(self.torch, self.owner.accelerator.kind, None)
        # On a lost device this fails, too, and there is nothing left to give back.
        with suppress(AttributeError, RuntimeError):
            module.empty_cache()  # type: ignore[union-attr]


def _specs(
    torch: Any,  # noqa: ANN401 -- torch's objects
    program: Any,  # noqa: ANN401
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """What a program takes and gives."""
    nodes = {node.name: node for node in program.graph.nodes}
    signature = program.graph_signature

    def spec(name: str) -> TensorSpec:
        value = nodes[name].meta["val"]
        shape = tuple(size if isinstance(size, int) else None for size in value.shape)
        return TensorSpec(name, shape, str(torch.empty(0, dtype=value.dtype).numpy().dtype))

    return tuple(map(spec, signature.user_inputs)), tuple(map(spec, signature.user_outputs))
