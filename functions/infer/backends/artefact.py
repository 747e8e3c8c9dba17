"""Which of a graph's files a backend runs."""

from pathlib import Path

from functions.errors import BadModelError
from functions.infer.backends.faults import NoArtefact
from functions.infer.manifest import MANIFEST, read_manifest


def artefact_for(path: Path, suffixes: tuple[str, ...]) -> Path:
    """The file of a graph that a backend runs.

    Args:
        path: any of the graph's files; those of one stem are the same graph.
        suffixes: the kinds that the backend runs, the best one first.

    Raises:
        BadModelError: the file is none of the model's, or isn't what `model.toml` says.
        NoArtefact: the model has no such file.
    """
    listed = (path.parent / MANIFEST).is_file()
    manifest = read_manifest(path.parent) if listed else None
    for suffix in suffixes:
        found = path.with_suffix(suffix)
        if manifest is not None and found.name in manifest.files:
            # The caller has checked the file that it named.
            return found if found == path else manifest.file(found.name)
        if manifest is None and found.is_file():
            return found
    if manifest is None and not path.is_file():
        raise BadModelError(f"the model file {path.name} is missing from {path.parent}")
    raise NoArtefact(f"the model has no {' or '.join(suffixes)} of its graph {path.stem}")
