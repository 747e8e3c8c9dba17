"""KOUBO_INGEST_*: limits on what comes in, and how runs are planned."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class IngestSettings(BaseSettings):
    """Ingest's settings.

    Args:
        max_seconds: longest voice or footage.
        max_bytes: largest file.
        max_rate: frames a second; faster footage is halved until it fits.
        min_face_share: footage with a face in a smaller part of its frames is refused.
        segment_seconds: of the output's timeline, the unit of work.
        chunk_seconds: of footage, in one object of face windows.
        portrait_rate: frames a second of a video made from a portrait.
        threads: for decoding.
        model: what a job gets that names no model, `name` or `name/version`.
        models: versions of models that need not be in the models bucket, by name.
    """

    model_config = SettingsConfigDict(
        env_prefix="KOUBO_INGEST_", env_ignore_empty=True, frozen=True
    )

    max_seconds: float = Field(default=2 * 3600, gt=0)
    max_bytes: int = Field(default=16 << 30, gt=0)
    max_rate: int = Field(default=60, ge=1)
    min_face_share: float = Field(default=0.5, ge=0, le=1)
    segment_seconds: float = Field(default=8.0, ge=1)
    chunk_seconds: float = Field(default=8.0, ge=1, le=60)
    portrait_rate: int = Field(default=25, ge=1, le=60)
    threads: int = Field(default=1, ge=1)
    model: str = "viseme"
    models: dict[str, str] = {"viseme": "1"}
