"""Kinds of devices as PyTorch knows them; another vendor's is one more, in a file of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from functions.infer.backends import ascend, npu_smi
from functions.infer.backends.faults import (
    BackendFault,
    DeviceLost,
    DeviceOutOfMemory,
    UnsupportedGraph,
)
from functions.infer.backends.graph import Probe, Reading

# Of cudaError_t: no such device now, ECC, and what leaves the context unusable.
_CUDA_LOST = frozenset({46, 100, 101, 214, 700, 702, 709, *range(714, 720), 999})
_CUDA_MEMORY = 2
_CPU_MEMORY = "DefaultCPUAllocator"


@dataclass(frozen=True)
class Accelerator:
    """A kind of device as PyTorch knows it.

    Args:
        kind: its name in device strings, and of its module in `torch`.
        extension: the package that brings it; none where torch has it.
        fix: what to do where the extension is missing or can't be imported.
        present: looks for the device by its number before torch is imported.
        prepare: sets up the device's module.
        fault_of: what an error, which is neither out of memory nor unsupported, means.
        readings: how the device of this number is.
        precision: what it computes in where nobody says.
    """

    kind: str
    extension: str = ""
    fix: str = ""
    present: Callable[[int], Probe] = lambda _: Probe(works=True, says="")
    prepare: Callable[[Any], None] = lambda _: None
    fault_of: Callable[[Exception, str], BackendFault] = lambda _, said: BackendFault(said)
    readings: Callable[[int], tuple[Reading, ...]] = lambda _: ()
    precision: str = "fp16"


def _prepare_npu(module: Any) -> None:  # noqa: ANN401 -- torch_npu is not here to be typed
    # Compiled operators take minutes at each new shape; those that are there already do not.
    module.set_compile_mode(jit_compile=False)
    module.config.allow_internal_format = False


def _cuda_fault(error: Exception, said: str) -> BackendFault:
    code = getattr(error, "error_code", None)
    if code == _CUDA_MEMORY:
        return DeviceOutOfMemory(said)
    return DeviceLost(said) if code in _CUDA_LOST else BackendFault(said)


def _cpu_fault(error: Exception, said: str) -> BackendFault:
    if isinstance(error, MemoryError) or _CPU_MEMORY in said:
        return DeviceOutOfMemory(said)
    return UnsupportedGraph(said)  # the same question has the same answer for ever


ACCELERATORS = {
    "npu": Accelerator(
        kind="npu",
        extension="torch_npu",
        fix=f"Install the torch_npu that fits torch and CANN. {ascend.CANN_FIX}",
        present=lambda index: ascend.probe_device(index, ascend.device_count()),
        prepare=_prepare_npu,
        fault_of=lambda _, said: ascend.fault_of(ascend.code_of(said), said),
        readings=npu_smi.readings,
    ),
    "cuda": Accelerator(kind="cuda", fault_of=_cuda_fault),
    "cpu": Accelerator(kind="cpu", fault_of=_cpu_fault, precision="fp32"),
}
"""Those that come with Koubo, by kind."""
