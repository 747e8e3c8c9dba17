"""Settings that the functions share, from the environment; each concern has its prefix.

A function's own settings stand in its folder (`functions/encode/settings.py`).
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from functions.storage import Store

FACE_MESH_FILE = "face_mesh.onnx"
"""The face mesh, in `CacheSettings.models`: ingest's, and infer's for the lip-sync check."""


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
    access_key_file: Path | None = None
    secret_key: SecretStr | None = None
    secret_key_file: Path | None = None

    @property
    def keys(self) -> tuple[str, str] | None:
        """The access key and the secret one, where both are given, in the settings or in files."""
        access = _secret(self.access_key, self.access_key_file)
        secret = _secret(self.secret_key, self.secret_key_file)
        return (access, secret) if access and secret else None

    def open(self) -> Store:
        """The store that these settings describe; nothing is contacted yet."""
        if self.kind == "folder":
            return Store.folder(self.root.absolute())
        config: dict[str, object] = {"region": self.region}
        if self.endpoint:
            config |= {"endpoint": self.endpoint, "virtual_hosted_style_request": False}
        if self.keys is not None:
            config["access_key_id"], config["secret_access_key"] = self.keys
        plain = (self.endpoint or "").startswith("http://")
        return Store.s3(config, {"allow_http": plain, "timeout": "60s"})


class CacheSettings(BaseSettings):
    """KOUBO_CACHE_*: what a machine keeps for itself and may lose at any time."""

    model_config = SettingsConfigDict(env_prefix="KOUBO_CACHE_", env_ignore_empty=True, frozen=True)

    root: Path = Path.home() / ".cache" / "koubo"
    inputs: Path | None = None
    inputs_limit: int = 20 << 30
    weights: Path | None = None
    weights_limit: int = 20 << 30

    @property
    def models(self) -> Path:
        """Where set-up puts the face models."""
        return self.root / "models"

    @property
    def input_files(self) -> Path:
        """Where big inputs are kept by digest."""
        return self.inputs or self.root / "inputs"

    @property
    def weight_files(self) -> Path:
        """Where models that came out of the models bucket are kept by digest."""
        return self.weights or self.root / "weights"


class ModelSettings(BaseSettings):
    """KOUBO_MODELS_*: models beside those that ship with the package and those in the bucket.

    Args:
        folder: more models of this machine, as `<name>/<version>/model.toml`.
        max_file_bytes: the largest file that a model may consist of.
        trial_seconds: for which a new model may take its first synthetic batch.
    """

    model_config = SettingsConfigDict(
        env_prefix="KOUBO_MODELS_", env_ignore_empty=True, frozen=True
    )

    folder: Path | None = None
    max_file_bytes: int = 4 << 30
    trial_seconds: float = 300


class LogSettings(BaseSettings):
    """KOUBO_LOG_*: where the log goes and how it looks."""

    model_config = SettingsConfigDict(env_prefix="KOUBO_LOG_", env_ignore_empty=True, frozen=True)

    format: Literal["json", "console"] = "json"
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    file: Path | None = None


class CheckSettings(BaseSettings):
    """KOUBO_CHECK_*: what a video has to be like to pass the lip-sync check.

    Args:
        gate: a video that doesn't pass makes its run fail and is not put out.
        min_r: correlation of the lips' aperture with what the voice says.
        min_confidence: with more, mouth and voice belong together; see `functions.check_evidence`.
        chance_confidence: with less, they go together as by chance; between both nothing is said.
        max_lag: frames by which the mouth may be late or early.
        min_closures: share of the closures that the voice asks for and the lips make.
        max_flicker: of the mouth, as a multiple of the source's own.
        min_sharpness: of the mouth, as a multiple of the source's.
    """

    model_config = SettingsConfigDict(env_prefix="KOUBO_CHECK_", env_ignore_empty=True, frozen=True)

    gate: bool = False
    min_r: float = Field(default=0.5, ge=-1, le=1)
    min_confidence: float = Field(default=3.8, ge=0)
    chance_confidence: float = Field(default=3.0, ge=0)
    max_lag: float = Field(default=2.5, ge=0)
    min_closures: float = Field(default=0.6, ge=0, le=1)
    max_flicker: float = Field(default=1.5, ge=0)
    min_sharpness: float = Field(default=0.6, ge=0)


class FfmpegSettings(BaseSettings):
    """KOUBO_FFMPEG_*: which ffmpeg program runs; without a path, see `ffmpeg_program.py`."""

    model_config = SettingsConfigDict(
        env_prefix="KOUBO_FFMPEG_", env_ignore_empty=True, frozen=True
    )

    path: Path | None = None


class EventSettings(BaseSettings):
    """KOUBO_EVENTS_*: the HTTP door.

    Args:
        token: that senders must know; None lets everybody in.
        token_file: the same, from a file.
        queue: events that wait in memory.
        workers: threads that handle events.
        retry_seconds: before the second attempt at an event; doubles with each.
        reconcile_seconds: between looks for events that were lost.
        reconcile_requests: to the store, about, in one such look; the next one goes on from there.
        deaths: of processes while they handled an event, after which it is given up. More than the
            attempts at what merely fails, since machines die of other things, too.
        stale_seconds: for which an object must have lain before its event counts as lost. Longer
            than handling takes where several processes serve a function; 0 where one does.
    """

    model_config = SettingsConfigDict(
        env_prefix="KOUBO_EVENTS_", env_ignore_empty=True, frozen=True
    )

    token: SecretStr | None = None
    token_file: Path | None = None
    queue: int = Field(default=100, ge=1)
    workers: int = Field(default=1, ge=1)
    retry_seconds: float = Field(default=1.0, ge=0)
    deaths: int = Field(default=8, ge=1)
    reconcile_seconds: float = Field(default=60, gt=0)
    reconcile_requests: int = Field(default=500, ge=1)
    stale_seconds: float = Field(default=600, ge=0)

    @property
    def secret(self) -> str | None:
        """The token, if there is one."""
        return _secret(self.token, self.token_file)


def wrong_setting(error: ValidationError) -> str | None:
    """Which environment variable is wrong, and why; None where the error isn't about settings."""
    for kind in BaseSettings.__subclasses__():
        if kind.__name__ == error.title:
            first = error.errors()[0]
            name = str(first["loc"][0])
            # An alias is a variable's whole name already.
            prefix = "" if name.isupper() else kind.model_config["env_prefix"]
            return f"{prefix}{name.upper()}: {first['msg']}"
    return None


def _secret(value: SecretStr | None, file: Path | None) -> str | None:
    if file is not None:
        return file.read_text().strip()
    return None if value is None else value.get_secret_value()
