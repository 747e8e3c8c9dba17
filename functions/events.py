"""What the chain is told: an object was created. Every dialect is translated here, once.

MinIO, RustFS and AWS S3 send lists of records in which the key is query-escaped; MinIO's listen API
sends the same records with the key as it is. SQS wraps such a list in a string, EventBridge and the
two CloudEvents forms have shapes of their own.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_plus

from functions.input_keys import is_unfinished

CREATED = ("Put", "Post", "Copy", "CompleteMultipartUpload")
"""How an object comes to be. MinIO files changed tags and locks under `ObjectCreated:` as well."""

_CLOUD_S3 = "com.amazonaws.s3."
_CONNECTOR_TYPES = ("dev.knative.connector.event.aws-s3", "org.apache.camel.event.aws.s3.getObject")
_CONNECTOR_BUCKET = "aws.s3.bucket."


@dataclass(frozen=True)
class ObjectCreated:
    """An object was created, or is due to be looked at again.

    Args:
        bucket: the bucket's real name.
        key: the key, decoded.
        size: bytes, where the sender says so.
        etag: the store's own tag of this content, where the sender says so.
        sequencer: grows with each change of one key, where the sender says so.
        version: of the object, in a bucket that keeps versions.
    """

    bucket: str
    key: str
    size: int | None = None
    etag: str | None = None
    sequencer: str | None = None
    version: str | None = None


class NotAnEventError(ValueError):
    """The body is no dialect that Koubo knows."""


def parse(
    body: bytes, headers: Mapping[str, str], unnamed: str | None = None
) -> list[ObjectCreated]:
    """Reads what was posted, in whatever dialect; deletions and other news are left out.

    Args:
        body: JSON, or an object's content where `carries_content` says so.
        headers: of the request; names in lower case.
        unnamed: the bucket that is meant by senders that name none.

    Raises:
        NotAnEventError: this is no event.
    """
    if "ce-type" in headers:
        attributes = {
            name.removeprefix("ce-"): unquote(value)
            for name, value in headers.items()
            if name.startswith("ce-")
        }
        data = None if carries_content(headers) or not body else _json(body)
        return _cloud_event(attributes, data, unnamed)
    return from_json(_json(body), unnamed)


def carries_content(headers: Mapping[str, str]) -> bool:
    """Whether the body is the object itself, of any size, while the headers say which it is."""
    return headers.get("ce-type") in _CONNECTOR_TYPES


def from_json(body: object, unnamed: str | None = None) -> list[ObjectCreated]:
    """Reads a decoded body; see `parse`."""
    if isinstance(body, list) and body and all(isinstance(one, Mapping) for one in body):
        return [event for one in body for event in from_json(one, unnamed)]
    if not isinstance(body, Mapping):
        raise NotAnEventError("an event is a JSON object, or a list of CloudEvents")
    if "specversion" in body:
        return _cloud_event(body, body.get("data"), unnamed)
    if "detail-type" in body:
        return _event_bridge(body)
    if body.get("Event") == "s3:TestEvent":
        return []
    records = body.get("Records")
    if not isinstance(records, list):
        raise NotAnEventError("an event has a list of Records")
    return [event for record in records for event in _from_record(record, unnamed)]


def from_listen(records: Iterable[Any]) -> list[ObjectCreated]:
    """Reads records of MinIO's listen API, whose keys are not escaped."""
    return [event for record in records for event in _s3_record(record, escaped=False)]


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


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotAnEventError(f"the body is no JSON: {error}") from error


def _from_record(record: object, unnamed: str | None) -> list[ObjectCreated]:
    if isinstance(record, Mapping) and isinstance(record.get("body"), str):  # an SQS message
        return from_json(_json(record["body"].encode()), unnamed)
    return _s3_record(record, escaped=True)


def _s3_record(record: Any, *, escaped: bool) -> list[ObjectCreated]:  # noqa: ANN401 -- foreign JSON
    try:
        name = str(record["eventName"])
        bucket = str(record["s3"]["bucket"]["name"])
        item = record["s3"]["object"]
        key = str(item["key"])
    except (KeyError, TypeError) as error:
        raise NotAnEventError(f"a record lacks {error}") from error
    if not _is_creation(name):
        return []
    details = (item.get(part) for part in ("size", "eTag", "sequencer", "versionId"))
    return [_created(bucket, unquote_plus(key) if escaped else key, *details)]


def _is_creation(name: str) -> bool:
    what, _, how = name.removeprefix("s3:").partition(":")
    return what == "ObjectCreated" and how in CREATED


def _event_bridge(body: Mapping[str, Any]) -> list[ObjectCreated]:
    if body["detail-type"] != "Object Created":
        return []
    try:
        detail = body["detail"]
        bucket, item = str(detail["bucket"]["name"]), detail["object"]
        key = str(item["key"])
    except (KeyError, TypeError) as error:
        raise NotAnEventError(f"the event's detail lacks {error}") from error
    details = (item.get(part) for part in ("size", "etag", "sequencer", "version-id"))
    return [_created(bucket, key, *details)]


def _cloud_event(
    attributes: Mapping[str, Any], data: object, unnamed: str | None
) -> list[ObjectCreated]:
    kind, source = str(attributes.get("type", "")), str(attributes.get("source", ""))
    if kind.startswith(_CLOUD_S3):
        if not _is_creation(kind.removeprefix(_CLOUD_S3)):
            return []
        if isinstance(data, Mapping) and "Records" in data:
            return from_json(data)
        if isinstance(data, Mapping) and "s3" in data:
            return _s3_record(data, escaped=True)
        # <source>.<region>.<bucket>, and a bucket's name may have dots.
        bucket = (source.split(".", 2) + [""] * 2)[2]
    elif kind in _CONNECTOR_TYPES:
        named = source.startswith(_CONNECTOR_BUCKET)
        bucket = source.removeprefix(_CONNECTOR_BUCKET) if named else unnamed or ""
    else:
        raise NotAnEventError(f"CloudEvents of type {kind!r} are not known here")
    key = attributes.get("subject")
    if not key or not bucket:
        raise NotAnEventError("the CloudEvent names no bucket and subject")
    return [ObjectCreated(bucket, str(key))]


def _created(
    bucket: str, key: str, size: object, etag: object, sequencer: object, version: object
) -> ObjectCreated:
    return ObjectCreated(
        bucket,
        key,
        size if isinstance(size, int) else None,
        str(etag) if etag else None,
        str(sequencer) if sequencer else None,
        str(version) if version else None,
    )
