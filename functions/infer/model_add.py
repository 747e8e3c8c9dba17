"""Taking models in: nothing is kept that has not been read, hashed and tried."""

import math
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from functions.errors import BadModelError
from functions.infer.families import musetalk_graphs, ultralight, wav2lip
from functions.infer.manifest import ARTEFACTS, MANIFEST, SHIPPED, Manifest, read_manifest, sha256
from functions.infer.model_draft import Draft, Naming, OnnxFile, write_manifest
from functions.infer.model_trial import EXIT_REFUSED
from functions.infer.onnx_file import check_file, read_onnx
from functions.layout import ModelKeys, is_model_name
from functions.process import Limits, ProgramFailedError, run_supervised
from functions.settings import ModelSettings
from functions.storage import Store

DRAFTS: dict[str, Callable[[str, Sequence[OnnxFile], int | None], Draft]] = {
    "wav2lip": wav2lip.draft,
    "ultralight": ultralight.draft,
    "musetalk": musetalk_graphs.draft,
}
"""Families that take bare graphs; others come as a folder with a `model.toml`."""

_MEMORY_BYTES = 24 << 30


def make_model(
    paths: Sequence[Path],
    naming: Naming,
    into: Path,
    settings: ModelSettings,
    *,
    size: int | None = None,
    table: Mapping[str, Any] | None = None,
) -> Manifest:
    """Makes a model of bare graphs.

    Args:
        paths: ONNX files, what they keep their weights in beside them; and what was made of them
            for other backends, under the same names.
        naming: what it shall be called, and its licence.
        into: an empty folder, which becomes the model's.
        settings: limits.
        size: pixels of a face, where a graph takes any.
        table: values for the family's own table.

    Raises:
        BadModelError: a graph isn't what its family takes.
        NotSetUpError: the package that reads ONNX files isn't installed.
    """
    for name in (naming.name, naming.version):
        if not is_model_name(name):
            what = f"{name!r} is no name for a model: use small letters, digits, dots and dashes"
            raise BadModelError(what)
    if naming.family not in DRAFTS:
        what = f"bare graphs can be of the families {', '.join(DRAFTS)}, not {naming.family!r}"
        raise BadModelError(f"{what}; bring a folder with a {MANIFEST}")
    label = f"{naming.name} {naming.version}"
    graphs = [path for path in paths if path.suffix not in ARTEFACTS[1:]]
    if not graphs:
        raise BadModelError(f"model {label} lacks its ONNX graph, which shapes are read from")
    read = [read_onnx(path, settings.max_file_bytes) for path in graphs]
    draft = DRAFTS[naming.family](label, read, size)
    files = draft.files | _artefacts(draft, [path for path in paths if path not in graphs])
    draft = replace(draft, files=files, table={**draft.table, **(table or {})})
    digests = {name: _copy(path, into / name, settings) for name, path in draft.files.items()}
    (into / MANIFEST).write_bytes(write_manifest(naming, draft, digests))
    return read_manifest(into)


def copy_model(folder: Path, into: Path, settings: ModelSettings) -> Manifest:
    """Copies a model's folder, and checks it on the way.

    Args:
        folder: with a `model.toml`.
        into: an empty folder, which becomes the model's.
        settings: limits.

    Raises:
        BadModelError: the folder isn't what its manifest says.
    """
    manifest = read_manifest(folder)
    for name, digest in manifest.files.items():
        path = folder / name
        if path.resolve().parent != folder.resolve():
            raise BadModelError(f"{name} of model {manifest.label} lies elsewhere than beside it")
        if _copy(path, into / name, settings) != digest:
            raise BadModelError(f"{name} of model {manifest.label} has another SHA-256 than listed")
        if name.endswith(".onnx"):
            check_listed(read_onnx(path, settings.max_file_bytes), manifest)
    shutil.copyfile(folder / MANIFEST, into / MANIFEST)
    return read_manifest(into)


def check_listed(graph: OnnxFile, manifest: Manifest) -> None:
    """Refuses a graph with weights in files that the manifest doesn't list.

    Raises:
        BadModelError: there are such.
    """
    for name in graph.weights:
        if name not in manifest.files:
            what = f"{graph.path.name} of model {manifest.label} keeps weights in {name!r}"
            raise BadModelError(f"{what}, which its {MANIFEST} doesn't list")


def try_model(manifest: Manifest, settings: ModelSettings) -> None:
    """Runs one synthetic batch in a process of its own.

    Raises:
        BadModelError: the model fails, takes too long, or what it makes is no picture.
    """
    command = [sys.executable, "-m", "functions.infer.model_trial", str(manifest.folder)]
    limits = Limits(
        settings.trial_seconds,
        # Whole seconds; none at all would end it before its time is up.
        cpu_seconds=max(1, math.ceil(settings.trial_seconds * (os.cpu_count() or 1))),
        memory_bytes=_MEMORY_BYTES,
        file_bytes=1 << 30,
        open_files=1024,
    )
    try:
        run_supervised(command, limits=limits)
    except ProgramFailedError as error:
        if error.timed_out:
            said = f"took more than {settings.trial_seconds:g} s for its first frames"
            raise BadModelError(f"model {manifest.label} {said}") from error
        last = error.said[-1] if error.said else ""
        if f"status {EXIT_REFUSED}" in str(error) and last:
            raise BadModelError(last) from error
        raise BadModelError(f"model {manifest.label} can't be run: {error}") from error


def check_is_new(store: Store, bucket: str, manifest: Manifest) -> None:
    """Refuses a version that is there already.

    Raises:
        BadModelError: the bucket, or the package, has it.
    """
    _check_not_shipped(manifest)
    if store.exists(bucket, ModelKeys(manifest.name, manifest.version).manifest):
        raise _taken(manifest)


def put_model(store: Store, bucket: str, manifest: Manifest) -> None:
    """Puts a model into the models bucket; its manifest last.

    Raises:
        BadModelError: the bucket, or the package, has this version already.
    """
    check_is_new(store, bucket, manifest)
    keys = ModelKeys(manifest.name, manifest.version)
    for name in manifest.files:
        store.put(bucket, keys.file(name), manifest.folder / name)
    if not store.put_new(bucket, keys.manifest, manifest.folder / MANIFEST):
        raise _taken(manifest)


def put_in_folder(manifest: Manifest, root: Path) -> Path:
    """Moves a model's folder to where `KOUBO_MODELS_FOLDER` may point; returns the new place.

    Raises:
        BadModelError: there is this version already, or in the package.
    """
    _check_not_shipped(manifest)
    to = root / manifest.name / manifest.version
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        manifest.folder.rename(to)
    except OSError as error:
        raise BadModelError(f"{to} can't be made: {error.strerror}") from error
    return to


def _artefacts(draft: Draft, paths: Sequence[Path]) -> dict[str, Path]:
    """What was made of a draft's graphs, by the name that it has in the model."""
    stems = {path.stem: name.removesuffix(ARTEFACTS[0]) for name, path in draft.files.items()}
    found = {}
    for path in paths:
        if path.stem not in stems:
            what = f"{path.name} belongs to none of these graphs"
            raise BadModelError(f"{what}; it has to be called like the one that it was made of")
        found[f"{stems[path.stem]}{path.suffix}"] = path
    return found


def _taken(manifest: Manifest) -> BadModelError:
    return BadModelError(
        f"there is a model {manifest.label} already: give this one another --version, "
        f"or `koubo models remove {manifest.name} {manifest.version}` first"
    )


def _check_not_shipped(manifest: Manifest) -> None:
    """The package's models are found first, so another one of that name would never be used."""
    if (SHIPPED / manifest.name / manifest.version / MANIFEST).is_file():
        what = f"a model {manifest.label} comes with the package"
        raise BadModelError(f"{what}; give this one another --name or --version")


def _copy(path: Path, to: Path, settings: ModelSettings) -> str:
    """Copies a file that can be a model's; returns the SHA-256 of the copy."""
    check_file(path, settings.max_file_bytes)
    shutil.copyfile(path, to)
    return sha256(to)
