"""A device for the tests of PyTorch's backend: simulated, or a real one where one is at hand.

KOUBO_TEST_DEVICE names a real one, such as `cuda:0`. Memory is really limited on both; on a real
device, whose faults can't be ordered, operators fail in a dispatch mode above it.
"""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from functions.infer.backends.accelerator import ACCELERATORS, Accelerator
from functions.infer.backends.graph import Probe
from functions.infer.backends.torch_device import TorchDevice
from tests.infer.backends.simulated_device import CONDITION, install

NAMED = os.environ.get("KOUBO_TEST_DEVICE", "npu:0")
_CUDA_LAUNCH_FAILURE = 719


@dataclass
class _Failing(TorchDispatchMode):
    """Fails operators of whatever device they are for."""

    lost: bool = False
    lost_after: int | None = None
    unsupported: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_dispatch__(self, operator: Any, kinds: Any, args: Any = (), kwargs: Any = None):
        if self.lost_after is not None:
            self.lost_after -= 1
            self.lost |= self.lost_after < 0
        if self.lost:
            error = RuntimeError("CUDA error: unspecified launch failure")
            error.error_code = _CUDA_LAUNCH_FAILURE  # type: ignore[attr-defined]
            raise error
        if str(operator).rpartition(".")[0] in self.unsupported:
            raise NotImplementedError(f"Could not run '{operator}'")
        return operator(*args, **(kwargs or {}))


@dataclass
class Device:
    """A device and what can be done to it.

    Args:
        accelerator: its kind.
        name: such as `npu:0`.
        condition: what makes it fail.
    """

    accelerator: Accelerator
    name: str
    condition: Any
    around: AbstractContextManager[Any] = field(default_factory=nullcontext)

    def backend(self, precision: str = "fp32", batches: tuple[int, ...] = (1, 2, 4)) -> TorchDevice:
        """PyTorch on it."""
        return TorchDevice(self.accelerator, self.name, precision, batches=batches)

    def leave(self, size: int) -> None:
        """Leaves so many bytes of memory free."""
        if self.condition is CONDITION:
            self.condition.memory = self.condition.used + size
            return
        module = getattr(torch, self.accelerator.kind)
        module.empty_cache()
        _, total = module.mem_get_info()
        module.set_per_process_memory_fraction((module.memory_reserved() + size) / total)

    def lose(self, after: int) -> None:
        """Loses it after so many operators, until `mend`."""
        if self.condition is CONDITION:
            after += self.condition.operators
        self.condition.lost_after = after

    def mend(self) -> None:
        """Makes it well."""
        self.condition.lost, self.condition.lost_after = False, None
        self.condition.unsupported = frozenset()

    def forbid(self, *operators: str) -> None:
        """Makes it unable to run these operators."""
        self.condition.unsupported = frozenset(operators)


def open_device() -> Device:
    """The device that the environment names, well."""
    kind = NAMED.partition(":")[0]
    if kind != "npu":
        failing = _Failing()
        return Device(ACCELERATORS[kind], NAMED, failing, failing)
    condition = install("npu")
    present = replace(
        ACCELERATORS["npu"],
        present=lambda index: Probe(works=index < condition.count, says="simulated"),
        readings=lambda _: (),
    )
    return Device(present, NAMED, condition)
