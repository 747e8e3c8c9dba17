"""Writes the digests of a model's files into its `model.toml`, after they were made anew."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from functions.infer.manifest import MANIFEST, sha256

MODEL = Path(__file__).parents[1] / "functions/infer/models/viseme/1"
_FILE = re.compile(r'^"(?P<name>[^"]+)" = "[0-9a-f]*"$', re.MULTILINE)


def seal(folder: Path) -> None:
    """Brings each `"file" = "digest"` line of the folder's manifest up to date."""
    manifest = folder / MANIFEST
    text = manifest.read_text("utf-8")
    fresh = _FILE.sub(lambda m: f'"{m["name"]}" = "{sha256(folder / m["name"])}"', text)
    manifest.write_text(fresh, "utf-8")


if __name__ == "__main__":
    seal(Path(sys.argv[1]) if len(sys.argv) > 1 else MODEL)
