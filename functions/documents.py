"""JSON documents made of frozen dataclasses: how every record in the store is written and read."""

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from functions.errors import RetryableError

T = TypeVar("T")

_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    # Building one costs milliseconds, and handlers read the same few kinds all day.
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def dump(document: Any) -> bytes:  # noqa: ANN401 -- any dataclass
    """The document as indented JSON; the same document always gives the same bytes."""
    return _adapter(type(document)).dump_json(document, indent=1) + b"\n"


def load(kind: type[T], data: bytes) -> T:
    """Reads a document that `dump` wrote.

    Raises:
        RetryableError: the bytes are no such document (another version may be writing them).
    """
    try:
        document: T = _adapter(kind).validate_json(data)
    except ValidationError as error:
        raise RetryableError(f"not a {kind.__name__} document: {error}") from error
    return document
