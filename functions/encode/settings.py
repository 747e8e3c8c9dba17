"""Settings of encode, from the environment."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from functions.process import Limits


class EncodeSettings(BaseSettings):
    """KOUBO_ENCODE_*: what one run of ffmpeg may use.

    Args:
        seconds: of wall time for one segment, or for joining a video.
        memory_bytes: of address space.
        file_bytes: of the largest file, the finished video among them.
        scratch_bytes: of decoded frames kept on disk to play footage backwards.
    """

    model_config = SettingsConfigDict(
        env_prefix="KOUBO_ENCODE_", env_ignore_empty=True, frozen=True
    )

    seconds: float = Field(default=1800, gt=0)
    memory_bytes: int = Field(default=4 << 30, gt=0)
    file_bytes: int = Field(default=32 << 30, gt=0)
    scratch_bytes: int = Field(default=1 << 30, gt=0)

    @property
    def limits(self) -> Limits:
        """For the process that runs ffmpeg."""
        return Limits(
            seconds=self.seconds,
            cpu_seconds=int(self.seconds) * 2,
            memory_bytes=self.memory_bytes,
            file_bytes=self.file_bytes,
        )


class LabelSettings(BaseSettings):
    """KOUBO_LABEL_*: the operator's side of the AI label; a job chooses only its language.

    Args:
        explicit: show the label that people see.
        tenants: the same for single tenants, such as `{"studio": false}`.
        seconds: how long it stays from the start; the rules ask for 2 at least.
        corner: of the picture.
        producer: the `ContentProducer` of the label that machines read.
    """

    model_config = SettingsConfigDict(env_prefix="KOUBO_LABEL_", env_ignore_empty=True, frozen=True)

    explicit: bool = True
    tenants: dict[str, bool] = Field(default_factory=dict)
    seconds: float = Field(default=3.0, ge=2.0)
    corner: Literal["top-left", "top-right"] = "top-right"
    producer: str = "Koubo"

    def shown_to(self, tenant: str) -> bool:
        """Whether a tenant's videos carry the explicit label."""
        return self.tenants.get(tenant, self.explicit)
