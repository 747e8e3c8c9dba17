"""The backends by name, and how each is made of infer's settings. One more is one line more."""

from collections.abc import Callable, Mapping

from functions.errors import WrongSettingError
from functions.infer.backends.accelerator import ACCELERATORS
from functions.infer.backends.graph import DeviceBackend
from functions.infer.backends.mindspore_graph import MindSpore
from functions.infer.backends.om import Om
from functions.infer.backends.onnx_runtime import OnnxRuntime
from functions.infer.backends.torch_device import TorchDevice
from functions.infer.backends.tvm_compiled import Tvm
from functions.infer.settings import CannSettings, InferSettings

Open = Callable[[str, InferSettings], DeviceBackend]


def _onnx_runtime(device: str, settings: InferSettings) -> DeviceBackend:
    if device.partition(":")[0] != "cann":
        return OnnxRuntime(device, settings.threads)
    return OnnxRuntime(
        device,
        settings.threads,
        CannSettings().options,
        settings.batches,
        settings.compiled_root,
    )


def _torch(device: str, settings: InferSettings) -> DeviceBackend:
    kind = device.partition(":")[0]
    batches = () if kind == "cpu" else settings.batches
    return TorchDevice(ACCELERATORS[kind], device, settings.precision, settings.threads, batches)


def _om(device: str, settings: InferSettings) -> DeviceBackend:
    return Om(int(device.partition(":")[2] or 0), settings.batches)


def _mindspore(device: str, settings: InferSettings) -> DeviceBackend:
    return MindSpore(device, () if device == "cpu" else settings.batches)


def _tvm(_: str, settings: InferSettings) -> DeviceBackend:
    return Tvm(settings.tvm_target, settings.batches, settings.compiled_root, settings.threads)


BACKENDS: Mapping[str, Open] = {
    "onnxruntime": _onnx_runtime,
    "torch": _torch,
    "om": _om,
    "mindspore": _mindspore,
    "tvm": _tvm,
}
DEVICES = {
    "onnxruntime": ("cpu", "cann", "cuda", "openvino"),
    "torch": ("cpu", "npu", "cuda"),
    "om": ("npu",),
    "mindspore": ("cpu", "ascend"),
    "tvm": ("cpu",),
}
"""What may stand after the slash, without the device's number."""


def open_backend(
    name: str,
    settings: InferSettings,
    backends: Mapping[str, Open] = BACKENDS,
) -> DeviceBackend:
    """A backend by its name in KOUBO_INFER_BACKENDS; nothing of its library is imported yet.

    Raises:
        WrongSettingError: there is no such backend or device.
    """
    library, _, device = name.partition("/")
    kind, _, index = device.partition(":")
    if library not in backends:
        raise WrongSettingError(f"{name!r} is no backend; known are {', '.join(backends)}")
    if kind not in DEVICES.get(library, (kind,)) or not (index or "0").isdecimal():
        known = ", ".join(DEVICES[library])
        raise WrongSettingError(f"{name!r} is no device of {library}: {known}")
    return backends[library](device, settings)


def order(
    settings: InferSettings, backends: Mapping[str, Open] = BACKENDS
) -> tuple[DeviceBackend, ...]:
    """The backends in the order in which they are tried, the policy's CPU at the end."""
    names = list(settings.backends)
    if settings.policy == "same-model-on-cpu":
        # Whatever files the model has: one of these runs them.
        libraries = [name.partition("/")[0] for name in names]
        names += [
            "onnxruntime/cpu",
            *(f"{each}/cpu" for each in ("torch", "mindspore") if each in libraries),
        ]
    return tuple(open_backend(name, settings, backends) for name in dict.fromkeys(names))
