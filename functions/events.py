"""What the chain is told: an object was created. Every dialect is translated here, once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from functions.layout import is_unfinished


@dataclass(frozen=True)
class ObjectCreated:
    """An object was created, or is due to be looked at again.

    Args:
        bucket: the bucket's real name.
        key: the key, decoded.
        size: bytes, where the sender says so.
        etag: the store's own tag of this content, where the sender says so.
        sequencer: grows with each change of one key, where the sender says so.
    """

    bucket: str
    key: str
    size: int | None = None
    etag: str | None = None
    sequencer: str | None = None


class NotAnEventError(ValueError):
    """The body is no dialect that Koubo knows."""


def from_minio(body: Mapping[str, Any]) -> list[ObjectCreated]:
    """Reads a MinIO webhook body; every record counts, deletions and other news are left out.

    The key inside a record is query-escaped (a slash too), unlike the one at the top.

    Raises:
        NotAnEventError: this is no such body.
    """
    records = body.get("Records")
    if not isinstance(records, list):
        raise NotAnEventError("a MinIO event has a list of Records")
    events = []
    for record in records:
        try:
            name = str(record["eventName"])
            bucket = str(record["s3"]["bucket"]["name"])
            item = record["s3"]["object"]
            key = unquote_plus(str(item["key"]))
        except (KeyError, TypeError) as error:
            raise NotAnEventError(f"a record lacks {error}") from error
        if "ObjectCreated:" in name:
            events.append(
                ObjectCreated(
                    bucket, key, item.get("size"), item.get("eTag"), item.get("sequencer")
                )
            )
    return events


def from_folder(root: Path, changed: Path) -> ObjectCreated | None:
    """Reads a change below a folder store: `<root>/<bucket>/<key>`.

    Returns:
        The event, or None for what is no object: folders, and files still being written.
    """
    parts = changed.relative_to(root).parts
    key = "/".join(parts[1:])
    if not key or is_unfinished(key) or not changed.is_file():
        return None
    return ObjectCreated(parts[0], key)
