"""What an ONNX file says of itself, read without running anything, and what is wrong with it.

The file may come from anywhere: its size is looked at before its content, nothing of it is
unpickled, and what it reads beside itself has to lie beside it.
"""

import pickletools
import stat
import zipfile
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from functions.errors import BadModelError, NotSetUpError
from functions.infer.backends.graph import TensorSpec
from functions.infer.model_draft import OnnxFile

_HEAD = 4096  # bytes that tell what a file is
_OPCODES = 8  # of a pickle, which hardly anything else begins with
_MOST_BYTES = 2 << 30
"""A protobuf message can't have more; bigger weights lie in files beside the graph."""

_MAGIC = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file",
    b"gjdigits": "an encrypted model",
    b"GGUF": "a GGUF file",
    b"\x1f\x8b": "a gzip archive",
    b"version https://git-lfs": "a pointer to a file in Git LFS, not the file",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
}


def check_file(path: Path, max_bytes: int) -> None:
    """Refuses what can't be a file of a model, by its kind, its size and its first bytes.

    Raises:
        BadModelError: it is missing, no plain file, too large, or a pickle.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise BadModelError(f"{path} can't be read: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise BadModelError(f"{path} is no plain file")
    if found.st_size > max_bytes:
        what = f"{path.name} has {found.st_size / 1e9:.1f} GB; the limit is {max_bytes / 1e9:.1f}"
        raise BadModelError(f"{what} GB, see KOUBO_MODELS_MAX_FILE_BYTES")
    if found.st_size == 0:
        raise BadModelError(f"{path.name} is empty")
    if is_pickle(path):
        raise BadModelError(
            f"{path.name} is a pickle, as checkpoints of torch are: reading one runs the code in "
            "it; export the model to ONNX, or try `koubo models convert`"
        )


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle, or an archive with one in it, as torch writes checkpoints."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith(b"PK"):
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
            return any(name.endswith((".pkl", ".pickle")) for name in archive.namelist())
    if not head.startswith(b"\x80"):
        return False
    with suppress(ValueError, IndexError, KeyError):
        return len(list(islice(pickletools.genops(head), _OPCODES))) == _OPCODES or b"." in head
    return False


def read_onnx(path: Path, max_bytes: int) -> OnnxFile:
    """Reads what a graph takes and gives.

    Raises:
        BadModelError: it is no ONNX file, or what it needs isn't beside it.
        NotSetUpError: the package that reads it isn't installed.
    """
    check_file(path, max_bytes)
    with path.open("rb") as file:
        head = file.read(_HEAD)
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise BadModelError(f"{path.name} is {what}, not an ONNX file")
    if path.stat().st_size > _MOST_BYTES:
        raise BadModelError(f"{path.name} is too large for an ONNX file without external data")
    model = _parse(path)
    weights = _external(model, path)
    _check(path)
    known = {initializer.name for initializer in model.graph.initializer}
    inputs = tuple(_spec(value) for value in model.graph.input if value.name not in known)
    outputs = tuple(map(_spec, model.graph.output))
    return OnnxFile(path, inputs, outputs, weights)


def _parse(path: Path) -> Any:  # noqa: ANN401 -- protobuf's classes have no types of their own
    onnx = _onnx()
    from google.protobuf.message import (  # type: ignore[import-untyped]  # noqa: PLC0415 -- comes with onnx
        DecodeError,
    )

    try:
        model = onnx.load(path, format="protobuf", load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise BadModelError(f"{path.name} is not an ONNX file") from error
    # Many a file parses as an empty message.
    if not model.graph.node or not model.graph.input or not model.graph.output:
        raise BadModelError(f"{path.name} is not an ONNX file: there is no graph in it")
    return model


def _check(path: Path) -> None:
    onnx = _onnx()
    try:
        onnx.checker.check_model(str(path))
    except (onnx.checker.ValidationError, ValueError) as error:
        first = str(error).strip().splitlines()[0][:300]
        raise BadModelError(f"{path.name} is a broken ONNX file: {first}") from error


def _external(model: Any, path: Path) -> tuple[str, ...]:  # noqa: ANN401 -- see `_parse`
    """The names of the files that hold weights; all of them are plain files beside the graph."""
    names = set()
    for tensor in _tensors(model.graph):
        for entry in tensor.external_data:
            if entry.key == "location":
                names.add(entry.value)
    for name in sorted(names):
        beside = path.parent / name
        if Path(name).name != name or beside.resolve().parent != path.parent.resolve():
            raise BadModelError(f"{path.name} keeps weights at {name!r}, which is not beside it")
        if not beside.is_file():
            raise BadModelError(f"{path.name} keeps weights in {name!r}, which is missing")
    return tuple(sorted(names))


def _tensors(graph: Any) -> Any:  # noqa: ANN401 -- see `_parse`
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for inner in (attribute.g, *attribute.graphs):
                # Every attribute has a graph, most of them an empty one.
                if inner.node or inner.initializer:
                    yield from _tensors(inner)


def _spec(value: Any) -> TensorSpec:  # noqa: ANN401 -- see `_parse`
    tensor = value.type.tensor_type
    sizes = tuple(
        int(dim.dim_value) if dim.WhichOneof("value") == "dim_value" and dim.dim_value > 0 else None
        for dim in tensor.shape.dim
    )
    dtype = _onnx().helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    return TensorSpec(value.name, sizes, str(dtype))


def _onnx() -> Any:  # noqa: ANN401 -- it ships no types
    try:
        import onnx  # noqa: PLC0415 -- only those who add models need it
        import onnx.checker  # noqa: PLC0415
    except ImportError as error:
        what = "reading ONNX files takes the package onnx: install koubo[ingest]"
        raise NotSetUpError(what) from error
    return onnx
