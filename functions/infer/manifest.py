"""`model.toml`: what a model is, and which files it consists of."""

import hashlib
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from functions.errors import NotSetUpError
from functions.patches import Mask

MANIFEST = "model.toml"
SHIPPED = Path(__file__).parent / "models"
"""Models that come with the package, as `<name>/<version>/model.toml`."""


@dataclass(frozen=True)
class Crop:
    """The square that a model sees of a face.

    Args:
        size: its side, pixels.
        scale: its side in distances between the outer eye corners.
        drop: how far its centre lies below the eyes, in the same distances.
    """

    size: int
    scale: float
    drop: float


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Manifest:
    """A model.

    Args:
        family: which code drives it.
        name: of the model.
        version: of the model.
        licence: SPDX where there is one.
        sample_rate: of the voice that it hears.
        crop: what it sees.
        mask: where a patch replaces the frame.
        files: the SHA-256 of each file beside `model.toml`, by name.
        folder: where those files lie.
    """

    family: str
    name: str
    version: str
    licence: str
    sample_rate: int
    crop: Crop
    files: dict[str, str]
    folder: Path
    mask: Mask = field(default_factory=Mask)

    @property
    def label(self) -> str:
        """Name and version, for reports."""
        return f"{self.name} {self.version}"

    def file(self, name: str) -> Path:
        """One of the model's files, its content checked.

        Raises:
            NotSetUpError: the file isn't the manifest's, or is missing or another one.
        """
        path = self.folder / name
        if name not in self.files or not path.is_file():
            raise NotSetUpError(f"model {self.label} lacks its file {name}")
        if sha256(path) != self.files[name]:
            raise NotSetUpError(f"{name} of model {self.label} is damaged; install it again")
        return path


def read_manifest(folder: Path) -> Manifest:
    """Reads the `model.toml` in a model's folder.

    Raises:
        NotSetUpError: there is none, or it isn't what a manifest should be.
    """
    try:
        values = tomllib.loads((folder / MANIFEST).read_text("utf-8"))
        manifest: Manifest = TypeAdapter(Manifest).validate_python(values | {"folder": folder})
    except FileNotFoundError as error:
        raise NotSetUpError(f"no model at {folder}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise NotSetUpError(f"{folder / MANIFEST} can't be read: {error}") from error
    return manifest


def find_model(name: str, version: str, *, shipped: Path = SHIPPED) -> Manifest:
    """The manifest of a shipped model.

    Raises:
        NotSetUpError: this machine has no such model.
    """
    folder = shipped / name / version
    if folder.parent.parent != shipped or ".." in (name, version):
        raise NotSetUpError(f"{name!r} {version!r} is no model's name")
    return read_manifest(folder)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
