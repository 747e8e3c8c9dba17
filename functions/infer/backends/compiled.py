"""Where backends keep what they compiled of a model's graphs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from functions.infer.manifest import MANIFEST, read_manifest, sha256

_DIRECTORY = Lock()


def compiled_folder(root: Path, graph: Path, by: str) -> Path:
    """The folder for what is compiled of one version of a graph; made where it is missing.

    Args:
        root: of all of them.
        graph: its file.
        by: what compiles, with its version and target; others' results don't suit.
    """
    model = "graphs"
    if (graph.parent / MANIFEST).is_file():
        manifest = read_manifest(graph.parent)
        model = f"{manifest.name}-{manifest.version}"
    folder = root / model / f"{graph.stem}-{sha256(graph)[:16]}" / by
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Makes a folder this process's working directory for a moment; one at a time.

    For libraries that write where the process happens to stand. Koubo's own paths are absolute.
    """
    with _DIRECTORY:
        before = Path.cwd()
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)
