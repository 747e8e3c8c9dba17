"""Settings of infer, from the environment."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from functions.settings import CacheSettings

Policy = Literal["same-model-on-cpu", "default-model", "fail"]


class CannSettings(BaseSettings):
    """KOUBO_INFER_CANN_*: onnxruntime's provider for Ascend NPUs, by its own option names.

    Args:
        npu_mem_limit: bytes of the device's memory that its arena may take; all without it.
        arena_extend_strategy: how the arena grows.
        precision_mode: what it computes in.
        op_select_impl_mode: high_performance or high_precision operators.
        enable_cann_graph: compile whole graphs; single operators without it.
        enable_cann_subgraph: leave what CANN doesn't know to the CPU.
        dump_om_model: keep what was compiled, in the compile cache.
    """

    model_config = SettingsConfigDict(
        env_prefix="KOUBO_INFER_CANN_", env_ignore_empty=True, frozen=True
    )

    npu_mem_limit: int | None = Field(default=None, ge=1)
    arena_extend_strategy: Literal["kNextPowerOfTwo", "kSameAsRequested"] = "kNextPowerOfTwo"
    precision_mode: Literal[
        "force_fp16",
        "force_fp32",
        "allow_fp32_to_fp16",
        "must_keep_origin_dtype",
        "allow_mix_precision",
    ] = "force_fp16"
    op_select_impl_mode: Literal["high_performance", "high_precision"] = "high_performance"
    enable_cann_graph: bool = True
    enable_cann_subgraph: bool = False
    dump_om_model: bool = True

    @property
    def options(self) -> dict[str, str]:
        """As onnxruntime takes them."""
        values = self.model_dump(exclude_none=True)
        return {
            name: str(int(value) if isinstance(value, bool) else value)
            for name, value in values.items()
        }


class InferSettings(BaseSettings):
    """KOUBO_INFER_*: how models run here; docs/backends.md explains.

    Args:
        backends: library/device, separated by commas, in the order in which they are tried.
        policy: what happens when none of them can run a model: the same model on the CPU, the
            default model there, or nothing: the segment fails and comes again.
        threads: for one operator on the CPU; segments run beside each other anyway.
        batch: frames that are rendered at once.
        batches: batch sizes that a device which compiles graphs compiles them for.
        precision: of torch's devices; auto is fp16 on accelerators and fp32 on the CPU.
        compiled: where compiled graphs are kept; by default in the cache.
        retry_seconds: after which a lost device is asked again; doubles each time.
        retry_most_seconds: between two such questions.
        tvm_target: what TVM compiles for.
    """

    model_config = SettingsConfigDict(env_prefix="KOUBO_INFER_", env_ignore_empty=True, frozen=True)

    backends: Annotated[tuple[str, ...], NoDecode] = ("onnxruntime/cpu",)
    policy: Policy = "same-model-on-cpu"
    threads: int = Field(default=1, ge=1)
    batch: int = Field(default=4, ge=1, le=64)
    batches: Annotated[tuple[int, ...], NoDecode] = (1, 4)
    precision: Literal["auto", "fp16", "fp32"] = "auto"
    compiled: Path | None = None
    retry_seconds: float = Field(default=5.0, gt=0)
    retry_most_seconds: float = Field(default=300.0, gt=0)
    tvm_target: str = "llvm"
    default_model: str = "viseme"
    default_version: str = "1"

    @field_validator("backends", "batches", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("batches")
    @classmethod
    def _ascending(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or min(value) < 1:
            raise ValueError("batch sizes are positive numbers")
        return tuple(sorted(set(value)))

    @field_validator("backends")
    @classmethod
    def _named(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not all(name.count("/") == 1 for name in value):
            raise ValueError("backends are library/device, such as onnxruntime/cpu")
        return value

    @property
    def compiled_root(self) -> Path:
        """Where compiled graphs are kept."""
        return (self.compiled or CacheSettings().root / "compiled").absolute()
