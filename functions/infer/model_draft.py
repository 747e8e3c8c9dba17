"""A model in the making: what a family says of bare graphs, and the `model.toml` of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from functions.infer.backends.graph import TensorSpec
from functions.patches import Mask


@dataclass(frozen=True)
class OnnxFile:
    """What a graph takes and gives.

    Args:
        path: the file.
        inputs: in its own order.
        outputs: in its own order.
        weights: names of files beside it that hold its weights.
    """

    path: Path
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    weights: tuple[str, ...]


@dataclass(frozen=True)
class Draft:
    """What a family makes of graphs that somebody brings.

    Args:
        size: pixels of the square that the model sees of a face.
        mask: where its patches replace the frame.
        files: where each file of the model comes from, by the name that it shall have.
        table: the family's own table; what is left out keeps its default.
    """

    size: int
    mask: Mask
    files: dict[str, Path]
    table: Mapping[str, Any]


@dataclass(frozen=True)
class Naming:
    """What the one who adds a model says of it: see `functions.infer.manifest.Manifest`."""

    family: str
    name: str
    version: str
    licence: str


def write_manifest(naming: Naming, draft: Draft, digests: Mapping[str, str]) -> bytes:
    """The `model.toml` of a draft.

    Args:
        naming: of the model.
        draft: what its family says.
        digests: the SHA-256 of each of its files, by name.
    """
    lines = [*_lines(asdict(naming)), "sample_rate = 16000", ""]
    tables: dict[str, Mapping[str, Any]] = {
        "crop": {"size": draft.size},
        "mask": asdict(draft.mask),
        naming.family: draft.table,
        "files": digests,
    }
    for title, values in tables.items():
        lines += [f"[{title}]", *_lines(values), ""]
    return "\n".join(lines).encode()


def _lines(values: Mapping[str, Any]) -> list[str]:
    return [f"{json.dumps(key)} = {toml_value(value)}" for key, value in values.items()]


def toml_value(value: object) -> str:
    """A value as TOML writes it; strings, numbers, truth values and lists of them.

    Raises:
        TypeError: it is something else.
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(toml_value, value))}]"
    if not isinstance(value, str | int | float):
        raise TypeError(f"{type(value).__name__} is no value of a model.toml")
    # JSON's strings, numbers and truth values are TOML's too, but for DEL.
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("\x7f", "\\u007f")
