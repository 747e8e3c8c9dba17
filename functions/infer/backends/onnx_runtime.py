"""Runs ONNX files with onnxruntime: on the CPU, an Ascend NPU, a GPU or through OpenVINO."""

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from functions.infer.backends import ascend, npu_smi
from functions.infer.backends.compiled import compiled_folder, working_in
from functions.infer.backends.faults import (
    BackendAbsent,
    BackendFault,
    DeviceLost,
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

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cann": "CANNExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
_WHEELS = {
    "cpu": "Install koubo[infer].",
    "cann": "Install koubo[ascend], which has onnxruntime-cann in place of onnxruntime.",
    "cuda": "Install onnxruntime-gpu in place of onnxruntime.",
    "openvino": "Install onnxruntime-openvino in place of onnxruntime.",
}
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(bool)": "bool",
}
_CANN_PRECISIONS = {"force_fp16": "fp16", "force_fp32": "fp32", "allow_mix_precision": "mixed"}
# CUDA's own numbers: 2 out of memory; 46, 100 and 101 no such device now; 214 ECC; 700, 702, 709,
# 714 to 719 and 999 leave the context unusable. cudaError_t, CUDA runtime API.
_CUDA_CODE = re.compile(r"(?:CUDA|CUDNN|CUBLAS) (?:failure|error) (\d+)")
_CUDA_LOST = frozenset({46, 100, 101, 214, 700, 702, 709, *range(714, 720), 999})
PRECISION_KEY = "koubo.precision"
"""The metadata entry of an ONNX file that isn't fp32, such as `int8`."""


@dataclass(frozen=True)
class OnnxRuntime:
    """Runs ONNX files with onnxruntime.

    Args:
        device: `cpu`, `cann:0`, `cuda:0` or `openvino`.
        threads: for one operator; whole segments run beside each other, which wastes less.
        options: the provider's own, by their names.
        batches: sizes to run graphs with; a provider that compiles does so for each of them.
        compiled: where providers that compile keep their results; nowhere without it.
    """

    device: str = "cpu"
    threads: int = 1
    options: Mapping[str, str] = field(default_factory=dict)
    batches: tuple[int, ...] = ()
    compiled: Path | None = None
    suffixes = (".onnx",)

    @property
    def name(self) -> str:
        """See `DeviceBackend`."""
        return f"onnxruntime/{self.device}"

    @property
    def kind(self) -> str:
        """The device without its number."""
        return self.device.partition(":")[0]

    @property
    def index(self) -> int:
        """The device's number."""
        return int(self.device.partition(":")[2] or 0)

    def probe(self) -> Probe:
        """See `DeviceBackend`."""
        try:
            import onnxruntime  # noqa: PLC0415 -- importing Koubo needs no backend
        except Exception as error:  # noqa: BLE001 -- a broken one raises whatever its loader meets
            return Probe(works=False, says=f"no onnxruntime: {error}", fix=_WHEELS[self.kind])
        provider, known = _PROVIDERS[self.kind], onnxruntime.get_available_providers()
        said = f"onnxruntime {onnxruntime.__version__}"
        if provider not in known:
            says = f"{said} has no {provider}, only {', '.join(known)}"
            return Probe(works=False, says=says, fix=_WHEELS[self.kind])
        if self.kind == "cann":
            # It is listed even where there is no driver.
            found = ascend.probe_device(self.index, ascend.device_count())
            if found.works and ascend.toolkit() is None:
                found = Probe(works=False, says="there is no CANN toolkit", fix=ascend.CANN_FIX)
            return Probe(found.works, f"{said}, {provider}: {found.says}", found.fix)
        return Probe(works=True, says=f"{said}, {provider}")

    def load(self, path: Path) -> DeviceGraph:
        """See `DeviceBackend`."""
        found = self.probe()
        if not found.works:
            raise BackendAbsent(found.says)
        provider = _PROVIDERS[self.kind]
        place: AbstractContextManager[None] = nullcontext()
        if self.kind == "cann" and self.compiled is not None:
            # It compiles at the first run for each shape, into the working directory.
            place = working_in(compiled_folder(self.compiled, path.absolute(), "cann"))
        path = path.absolute()
        with place:
            graph = _OnnxGraph(self._session(path, provider), self)
            graph.require(provider)
            warm_up(graph)
        return graph

    def readings(self) -> tuple[Reading, ...]:
        """See `DeviceBackend`."""
        return npu_smi.readings(self.index) if self.kind == "cann" else ()

    def fault(self, error: Exception) -> BackendFault:
        """What an error of onnxruntime's means on this device."""
        said = " ".join(str(error).split())
        if isinstance(error, MemoryError) or "Failed to allocate memory" in said:
            return DeviceOutOfMemory(said)  # onnxruntime's arena has no code for it
        if self.kind == "cann" and (code := ascend.code_of(said)):
            return ascend.fault_of(code, said)
        if self.kind == "cuda" and (match := _CUDA_CODE.search(said)):
            number = int(match[1])
            if number == 2:
                return DeviceOutOfMemory(said)
            return DeviceLost(said) if number in _CUDA_LOST else BackendFault(said)
        # On the CPU the same question has the same answer for ever.
        return UnsupportedGraph(said) if self.kind == "cpu" else BackendFault(said)

    def _session(self, path: Path, provider: str) -> Any:  # noqa: ANN401 -- it ships no types
        import onnxruntime  # noqa: PLC0415 -- importing Koubo needs no backend

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # what it warns of is for those who make models
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # Threads that spin while they wait would be charged to the other workers of this machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if self.kind != "cpu":
            options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        chosen = {"device_id": str(self.index)} if self.kind in ("cann", "cuda") else {}
        try:
            return onnxruntime.InferenceSession(
                str(path),
                options,
                providers=[(provider, {**chosen, **self.options})],
                enable_fallback=0,
            )
        except Exception as error:
            # Its errors share no class but Exception.
            if self.kind != "cpu":
                raise self.fault(error) from error
            raise UnsupportedGraph(f"onnxruntime can't run {path.name}: {error}") from error


@dataclass
class _OnnxGraph:
    session: Any  # onnxruntime ships no types
    owner: OnnxRuntime

    @cached_property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return tuple(map(_spec, self.session.get_inputs()))

    @cached_property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return tuple(map(_spec, self.session.get_outputs()))

    @cached_property
    def backend(self) -> str:
        # onnxruntime falls back on its own; the first provider is the one that it settled on.
        name = f"onnxruntime/{self.session.get_providers()[0]}"
        nodes = self._nodes()
        wanted = nodes.pop(self.session.get_providers()[0], 0)
        if not nodes:
            return name
        others = ", ".join(f"{count} on {provider}" for provider, count in sorted(nodes.items()))
        return f"{name} ({others} of {wanted + sum(nodes.values())} nodes)"

    @cached_property
    def batches(self) -> tuple[int, ...]:
        return self.owner.batches if takes_any_batch(self.inputs) else ()

    @cached_property
    def precision(self) -> str:
        own = str(self.session.get_modelmeta().custom_metadata_map.get(PRECISION_KEY, "fp32"))
        if self.owner.kind != "cann":
            return own
        return _CANN_PRECISIONS.get(self.owner.options.get("precision_mode", "force_fp16"), own)

    def require(self, provider: str) -> None:
        """Refuses a session that runs elsewhere than it was told to."""
        found = self.session.get_providers()[0]
        if found != provider:
            raise BackendAbsent(f"onnxruntime was told to use {provider} and uses {found}")
        nodes = self._nodes()
        if nodes and not nodes.get(provider):
            raise UnsupportedGraph(f"{provider} takes none of the graph's operators")

    def run(self, inputs: Arrays) -> Outputs:
        try:
            outputs: Outputs = self.session.run(None, dict(inputs))
        except Exception as error:
            # Its errors share no class but Exception.
            raise self.owner.fault(error) from error
        return outputs

    def close(self) -> None:
        """A session ends with its last reference."""

    def _nodes(self) -> dict[str, int]:
        """How many operators each provider took; empty where onnxruntime doesn't say."""
        ask = getattr(self.session, "get_provider_graph_assignment_info", None)
        if self.owner.kind == "cpu" or ask is None:
            return {}
        nodes: dict[str, int] = {}
        for part in ask():
            nodes[part.ep_name] = nodes.get(part.ep_name, 0) + len(part.get_nodes())
        return nodes


def _spec(argument: Any) -> TensorSpec:  # noqa: ANN401 -- onnxruntime ships no types
    shape = tuple(size if isinstance(size, int) else None for size in argument.shape)
    return TensorSpec(argument.name, shape, _DTYPES.get(argument.type, argument.type))
