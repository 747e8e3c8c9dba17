"""A device for PyTorch that is none: tensors of this process, behind an accelerator's manners.

It keeps count of memory and of operators, and on demand it runs out of memory, doesn't know an
operator, or is lost and stays so. It proves control flow, never numbers. One process can have one
kind of simulated device, and not beside the real package of that kind. Needs torch 2.10 or newer.
"""

import types
import weakref
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

aten = torch.ops.aten

FACTORIES = (
    *("empty.memory_format", "empty_strided", "zeros", "ones", "full", "arange", "arange.start"),
    *("arange.start_step", "scalar_tensor", "linspace", "eye"),
)
LOST = "NPU function error: {}, error code is 507901"
NO_SUCH_DEVICE = "NPU function error: SetDevice, error code is 107001"


@dataclass
class Condition:
    """How the device is; tests change it.

    Args:
        memory: bytes that it has.
        count: how many devices there are.
        lost_after: operators after which it is lost; never without it.
        lost: whether it is: then everything fails until somebody sets this back.
        unsupported: names of operators that it doesn't know, such as `aten.sigmoid`.
        operators: how many it has run.
        used: bytes that live tensors take.
    """

    memory: int = 1 << 30
    count: int = 1
    lost_after: int | None = None
    lost: bool = False
    unsupported: frozenset[str] = frozenset()
    operators: int = 0
    used: int = 0
    _live: dict[int, int] = field(default_factory=dict)

    def reset(self) -> None:
        """A healthy device; what is allocated stays."""
        self.memory, self.count, self.operators = 1 << 30, 1, 0
        self.lost_after, self.lost, self.unsupported = None, False, frozenset()

    def launch(self, operator: str) -> None:
        """Runs an operator, or fails as the device would."""
        self.operators += 1
        if self.lost_after is not None and self.operators > self.lost_after:
            self.lost, self.lost_after = True, None
        if self.lost:
            raise RuntimeError(LOST.format(operator))
        if operator.rpartition(".")[0] in self.unsupported:
            raise NotImplementedError(f"Could not run '{operator}' on this device")

    def hold(self, storage: torch.UntypedStorage) -> None:
        """Takes memory for as long as the storage lives."""
        key, size = storage.data_ptr(), storage.nbytes()
        if key in self._live:
            return
        if self.used + size > self.memory:
            raise torch.OutOfMemoryError(f"device out of memory, tried to allocate {size} bytes")
        self._live[key] = size
        self.used += size
        weakref.finalize(storage, self._release, key)

    def _release(self, key: int) -> None:
        self.used -= self._live.pop(key, 0)


CONDITION = Condition()
_kept: list[Any] = []


class DeviceTensor(torch.Tensor):
    """A tensor that says it is on the device and lives in this process."""

    kind = "npu"

    @staticmethod
    def __new__(cls, raw: torch.Tensor) -> "DeviceTensor":
        storage = raw.untyped_storage()
        CONDITION.hold(storage)
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            raw.shape,
            strides=raw.stride(),
            storage_offset=raw.storage_offset(),
            dtype=raw.dtype,
            layout=raw.layout,
            device=torch.device(cls.kind, 0),
        )
        tensor.raw, tensor.storage_held = raw, storage
        return tensor

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"{self.raw!r} on {self.kind}"

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError(f"can't convert {self.kind} tensor to numpy")

    @classmethod
    def __torch_dispatch__(cls, operator, kinds, args=(), kwargs=None):
        return _run(operator, args, dict(kwargs or {}))


def _raw(value: Any) -> Any:
    return value.raw if isinstance(value, DeviceTensor) else value


def _is_device(device: Any) -> bool:
    return device is not None and torch.device(device).type in (DeviceTensor.kind, "privateuseone")


def _run(operator: Any, args: tuple, kwargs: dict) -> Any:
    if operator is aten._to_copy.default:
        return _moved(args[0], kwargs)
    if operator is aten.copy_.default:
        CONDITION.launch("aten.copy_.default")
        _raw(args[0]).copy_(_raw(args[1]))
        return args[0]
    name = operator.name()
    has = torch._C._dispatch_has_kernel_for_dispatch_key
    if has(name, "CompositeImplicitAutograd") and not has(name, "CPU"):
        return operator.decompose(*args, **kwargs)  # inference mode hands composites over whole
    CONDITION.launch(str(operator))
    if kwargs.get("device") is not None:
        kwargs["device"] = torch.device("cpu")
    given = {
        id(_raw(leaf)): leaf
        for leaf in tree_leaves((args, kwargs))
        if isinstance(leaf, DeviceTensor)
    }
    with torch._C._DisableTorchDispatch():
        made = operator(*tree_map(_raw, args), **tree_map(_raw, kwargs))
    return tree_map_only(
        torch.Tensor, lambda raw: given[id(raw)] if id(raw) in given else DeviceTensor(raw), made
    )


def _moved(tensor: torch.Tensor, kwargs: dict) -> torch.Tensor:
    """A copy to the device, from it, or on it."""
    device = kwargs.pop("device", None)
    stays = isinstance(tensor, DeviceTensor) if device is None else _is_device(device)
    CONDITION.launch("aten._to_copy.default")
    kwargs = {
        name: value for name, value in kwargs.items() if name not in ("non_blocking", "pin_memory")
    }
    raw = aten._to_copy.default(_raw(tensor), device="cpu", **kwargs)
    return DeviceTensor(raw) if stays else raw


def _factory(operator: Any) -> Any:
    def make(*args: Any, **kwargs: Any) -> torch.Tensor:
        CONDITION.launch(str(operator))
        kwargs.pop("pin_memory", None)
        return DeviceTensor(operator(*args, **{**kwargs, "device": torch.device("cpu")}))

    return make


def _copy_from(source: torch.Tensor, to: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
    CONDITION.launch("aten._copy_from")
    _raw(to).copy_(_raw(source))
    return to


class DeviceModule(types.ModuleType):
    """What `torch.npu` offers, as far as torch and Koubo ask."""

    config = types.SimpleNamespace(allow_internal_format=True)
    jit_compile = True

    def is_available(self) -> bool:
        return CONDITION.count > 0

    def is_initialized(self) -> bool:
        return True

    def _is_in_bad_fork(self) -> bool:
        return False

    def _lazy_init(self) -> None:
        """There is nothing to start."""

    def device_count(self) -> int:
        return CONDITION.count

    def current_device(self) -> int:
        return 0

    def set_device(self, index: int) -> None:
        if int(index) >= CONDITION.count:
            raise RuntimeError(NO_SUCH_DEVICE)

    def set_compile_mode(self, jit_compile: bool = True) -> None:
        self.jit_compile = jit_compile

    def synchronize(self, device: Any = None) -> None:
        CONDITION.launch("synchronize.default")

    def empty_cache(self) -> None:
        """Nothing is cached."""


def install(kind: str = "npu") -> Condition:
    """Makes `kind:0` a device of this process's torch, once; returns its condition."""
    if not _kept:
        DeviceTensor.kind = kind
        _setup_privateuseone_for_python_backend(kind, backend_module=DeviceModule(f"torch.{kind}"))
        library = torch.library.Library("aten", "IMPL")
        for full in FACTORIES:
            name, _, overload = full.partition(".")
            operator = getattr(getattr(aten, name), overload or "default")
            library.impl(full, _factory(operator), "PrivateUse1")
        library.impl("_copy_from", _copy_from, "PrivateUse1")
        _kept.append(library)
        torch.__future__.set_overwrite_module_params_on_conversion(True)
    CONDITION.reset()
    return CONDITION
