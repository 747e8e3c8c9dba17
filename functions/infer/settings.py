"""Settings of infer, from the environment."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class InferSettings(BaseSettings):
    """KOUBO_INFER_*: how models run here.

    Args:
        provider: onnxruntime's name of what computes.
        threads: for one operator; segments run beside each other anyway.
        batch: frames that are rendered at once.
    """

    model_config = SettingsConfigDict(env_prefix="KOUBO_INFER_", frozen=True)

    provider: str = "CPUExecutionProvider"
    threads: int = Field(default=1, ge=1)
    batch: int = Field(default=4, ge=1, le=64)
