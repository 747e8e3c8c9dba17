"""Settings that the functions share, from the environment; each concern has its prefix.

A function's own settings stand in its folder (`functions/encode/settings.py`).
"""

from pathlib import Path
from typing import Literal

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from functions.storage import Store


class BucketSettings(BaseSettings):
    """KOUBO_BUCKET_*: the real names of the four buckets."""

    model_config = SettingsConfigDict(
        env_prefix="KOUBO_BUCKET_", env_ignore_empty=True, frozen=True
    )

    input: str = "koubo-input"
    work: str = "koubo-work"
    output: str = "koubo-output"
    models: str = "koubo-models"


class StoreSettings(BaseSettings):
    """KOUBO_STORE_*: where objects are kept."""

    model_config = SettingsConfigDict(env_prefix="KOUBO_STORE_", env_ignore_empty=True, frozen=True)

    kind: Literal["folder", "s3"] = "folder"
    root: Path = Path("koubo-data")
    endpoint: str | None = None
    region: str = "us-east-1"
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None

    def open(self) -> Store:
        """The store that these settings describe; nothing is contacted yet."""
        if self.kind == "folder":
            return Store.folder(self.root.absolute())
        config: dict[str, object] = {"region": self.region}
        if self.endpoint:
            config |= {"endpoint": self.endpoint, "virtual_hosted_style_request": False}
        if self.access_key and self.secret_key:
            config["access_key_id"] = self.access_key.get_secret_value()
            config["secret_access_key"] = self.secret_key.get_secret_value()
        plain = (self.endpoint or "").startswith("http://")
        return Store.s3(config, {"allow_http": plain, "timeout": "60s"})


class CacheSettings(BaseSettings):
    """KOUBO_CACHE_*: what a machine keeps for itself and may lose at any time."""

    model_config = SettingsConfigDict(env_prefix="KOUBO_CACHE_", env_ignore_empty=True, frozen=True)

    root: Path = Path.home() / ".cache" / "koubo"
    inputs: Path | None = None
    inputs_limit: int = 20 << 30

    @property
    def models(self) -> Path:
        """Where set-up puts the face models."""
        return self.root / "models"

    @property
    def input_files(self) -> Path:
        """Where big inputs are kept by digest."""
        return self.inputs or self.root / "inputs"


class LogSettings(BaseSettings):
    """KOUBO_LOG_*: where the log goes and how it looks."""

    model_config = SettingsConfigDict(env_prefix="KOUBO_LOG_", env_ignore_empty=True, frozen=True)

    format: Literal["json", "console"] = "json"
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    file: Path | None = None


class FfmpegSettings(BaseSettings):
    """KOUBO_FFMPEG_*: which ffmpeg program runs; without a path, see `process.ffmpeg_path`."""

    model_config = SettingsConfigDict(
        env_prefix="KOUBO_FFMPEG_", env_ignore_empty=True, frozen=True
    )

    path: Path | None = None


class EventSettings(BaseSettings):
    """KOUBO_EVENTS_*: the HTTP door.

    Args:
        token: that a sender must know; None lets everybody in.
        queue: events that wait in memory.
        workers: threads that handle them.
        retry_seconds: before the second attempt at an event; doubles with each.
    """

    model_config = SettingsConfigDict(
        env_prefix="KOUBO_EVENTS_", env_ignore_empty=True, frozen=True
    )

    token: SecretStr | None = None
    queue: int = 100
    workers: int = 1
    retry_seconds: float = 1.0
