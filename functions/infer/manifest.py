"""`model.toml`: what a model is, and which files it consists of."""

import hashlib
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from functions.errors import BadModelError
from functions.layout import MODEL_FILE, is_model_name
from functions.patches import Mask

MANIFEST = MODEL_FILE
SHIPPED = Path(__file__).parent / "models"
"""Models that come with the package, as `<name>/<version>/model.toml`."""

_MAX_MANIFEST_BYTES = 1 << 16
_MAX_FILES = 64
_OURS = ("folder", "own", "digest")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PICKLES = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".tar", ".npy", ".npz")
ARTEFACTS = (".onnx", ".pt2", ".om", ".mindir")
"""Files that some backend runs as they are; those of one stem are one graph."""

Table = TypeVar("Table")
Licence = Annotated[str, Field(pattern=r"^[^\r\n]{1,500}$")]


DEFAULT_MODEL = ("viseme", "1")
"""Its ear also hears for the lip-sync check, whatever model a run uses."""


@dataclass(frozen=True)
class Crop:
    """The square that a model sees of a face.

    Scale and drop tie an upright square to the eyes; families that frame a face in another way, by
    a table of their own, leave them alone.

    Args:
        size: its side, pixels.
        scale: its side in distances between the outer eye corners.
        drop: how far its centre lies below the eyes, in the same distances.
    """

    size: int
    scale: float = 1.85
    drop: float = 0.78


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Manifest:
    """A model.

    Args:
        family: which code drives it.
        name: of the model.
        version: of the model.
        licence: SPDX where there is one, or a line that says what may be done with the model.
        sample_rate: of the voice that it hears.
        crop: what it sees.
        mask: where a patch replaces the frame.
        files: the SHA-256 of each file beside `model.toml`, by name.
        folder: where those files lie.
        own: the family's own table, see `table`.
        digest: the SHA-256 of `model.toml`, and through it of the whole model.
    """

    family: str
    name: str
    version: str
    licence: Licence
    sample_rate: int
    crop: Crop
    files: dict[str, str]
    folder: Path
    mask: Mask = field(default_factory=Mask)
    own: dict[str, Any] = field(default_factory=dict)
    digest: str = ""

    @property
    def label(self) -> str:
        """Name and version, for reports."""
        return f"{self.name} {self.version}"

    def file(self, name: str) -> Path:
        """One of the model's files, its content checked.

        Raises:
            BadModelError: the file isn't the manifest's, or is missing or another one.
        """
        path = self.folder / name
        if name not in self.files or not path.is_file():
            raise BadModelError(f"model {self.label} lacks its file {name}")
        if sha256(path) != self.files[name]:
            raise BadModelError(f"{name} of model {self.label} is damaged; install it again")
        return path

    def graph(self, stem: str) -> Path:
        """A graph's file: the ONNX one, or the first that is there; a backend may take another.

        All of the graph's artefacts, and what they may read beside themselves, are checked.

        Raises:
            BadModelError: the manifest has no such graph, or a file is missing or another one.
        """
        found = self.artefacts(stem)
        if not found:
            raise BadModelError(f"model {self.label} lacks its graph {stem}")
        for name in self.files:
            if name in found or not name.endswith(ARTEFACTS):
                self.file(name)
        return self.folder / found[0]

    def artefacts(self, stem: str) -> list[str]:
        """The names of a graph's files, in the order of `ARTEFACTS`."""
        return [name for suffix in ARTEFACTS if (name := f"{stem}{suffix}") in self.files]

    def check_size(self, size: int | None) -> None:
        """Sees that a graph is for faces as large as the crop: `size` pixels, or any (None).

        Raises:
            BadModelError: it isn't.
        """
        if size not in (None, self.crop.size):
            what = f"frames faces at {self.crop.size} pixels and has a graph for {size}"
            raise BadModelError(f"model {self.label} {what}")

    def table(self, kind: type[Table]) -> Table:
        """The family's own table of `model.toml`.

        Args:
            kind: a pydantic dataclass of the family's.

        Raises:
            BadModelError: the table isn't what the family takes.
        """
        try:
            table: Table = TypeAdapter(kind).validate_python(self.own)
        except ValidationError as error:
            said = f"[{self.family}] in the {MANIFEST} of model {self.label}"
            raise BadModelError(f"{said} is wrong: {error}") from error
        return table


def parse_manifest(data: bytes, folder: Path) -> Manifest:
    """Reads the content of a `model.toml`.

    Args:
        data: its content.
        folder: where the model's files lie, or will.

    Raises:
        BadModelError: it isn't what a manifest should be.
    """
    where = folder / MANIFEST
    if len(data) > _MAX_MANIFEST_BYTES:
        raise BadModelError(f"{where} can't be read: it has {len(data)} bytes")
    try:
        values = tomllib.loads(data.decode("utf-8"))
        own = values.pop(str(values.get("family")), {})
        if not values.keys().isdisjoint(_OURS):
            raise ValueError(f"{', '.join(_OURS)} are no keys of it")
        digest = hashlib.sha256(data).hexdigest()
        ours = dict(zip(_OURS, (folder, own, digest), strict=True))
        manifest: Manifest = TypeAdapter(Manifest).validate_python(values | ours)
    except (ValueError, RecursionError) as error:
        # Those of TOML, UTF-8 and pydantic are ValueErrors, too.
        raise BadModelError(f"{where} can't be read: {error}") from error
    _check_names(manifest, str(where))
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Reads the `model.toml` in a model's folder.

    Raises:
        BadModelError: there is none, or it isn't what a manifest should be.
    """
    try:
        with (folder / MANIFEST).open("rb") as file:
            data = file.read(_MAX_MANIFEST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadModelError(f"no model at {folder}") from error
    return parse_manifest(data, folder)


def find_model(name: str, version: str, *, shipped: Path = SHIPPED) -> Manifest:
    """The manifest of a model in a folder of models, by default of a shipped one.

    Raises:
        BadModelError: there is no such model.
    """
    if not (is_model_name(name) and is_model_name(version)):
        raise BadModelError(f"{name!r} {version!r} is no model's name")
    manifest = read_manifest(shipped / name / version)
    if (manifest.name, manifest.version) != (name, version):
        raise BadModelError(f"{manifest.folder} holds model {manifest.label}")
    return manifest


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_names(manifest: Manifest, where: str) -> None:
    """Refuses names that lead out of the model's folder, and files that are no model's."""
    for name in (manifest.name, manifest.version, manifest.family):
        if not is_model_name(name):
            raise BadModelError(f"{where} can't be read: {name!r} is no name")
    if not 0 < len(manifest.files) <= _MAX_FILES:
        raise BadModelError(f"{where} lists {len(manifest.files)} files; 1 to {_MAX_FILES} can be")
    for name, digest in manifest.files.items():
        # Windows ends a name's meaning at a dot or a colon; neither gets through.
        if not _FILE_NAME.fullmatch(name) or name.endswith(".") or name == MANIFEST:
            raise BadModelError(f"{where} lists {name!r}, which is no file beside it")
        if name.lower().endswith(_PICKLES):
            raise BadModelError(
                f"{where} lists {name!r}: pickles run code when they are read; "
                "`koubo models convert` makes ONNX of known checkpoints"
            )
        if not _SHA256.fullmatch(digest):
            raise BadModelError(f"{where}: {digest!r} is no SHA-256 of {name}")
