"""Requests: who asked for what, kept in the bucket, and their files put where the chain looks.

A request is a document, written once, and a job folder of the same name. What comes after is the
ordinary chain: ingest pairs the folder's files. Everything here may be done again.
"""

import hashlib
import json
import re
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from functions import documents
from functions.errors import RejectedInput
from functions.gateway.names import free_names
from functions.gateway.problems import ProblemError, Refusal
from functions.gateway.views import Input
from functions.input_keys import OPTIONS_FILE, is_unfinished, parse_input
from functions.layout import run_of_recent
from functions.logs import logger
from functions.options import Options, write_options
from functions.request_keys import (
    RequestKeys,
    requested_prefix,
    upload_prefix,
    uploaded_name,
)
from functions.settings import BucketSettings
from functions.storage import Store

log = logger()

_UPLOAD = re.compile(r"u[0-9a-f]{20}")
# By then whoever claimed a request has placed its files, or never will.
_PLACING_SECONDS = 30
_HEALED = 200


@dataclass(frozen=True)
class Given:
    """A file that was handed in.

    Args:
        name: what its sender called it.
        identity: tells it from others in two requests that may be the same one.
        source: its key in the input bucket; empty while that isn't looked up.
        upload: it was uploaded for this request, and goes into it.
    """

    name: str
    identity: str
    source: str = ""
    upload: bool = False


@dataclass(frozen=True)
class RequestFile:
    """A file of a request: its name in the job folder, and where it came from."""

    file: str
    source: str
    upload: bool


@dataclass(frozen=True)
class RequestDocument:
    """The content of `requests/<request>.json`."""

    request: str
    made_at: float
    fingerprint: str
    voice: RequestFile
    faces: tuple[RequestFile, ...]
    options: Options

    @property
    def files(self) -> tuple[RequestFile, ...]:
        """The voice, then the faces."""
        return (self.voice, *self.faces)


@dataclass(frozen=True)
class Order:
    """What is asked for, before it is a request."""

    voice: Given
    faces: tuple[Given, ...]
    options: Options

    @property
    def fingerprint(self) -> str:
        """Equal for the same request sent again."""
        files = [item.identity for item in (self.voice, *self.faces)]
        text = json.dumps([files, asdict(self.options)], sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def request_id(tenant: str, idempotency_key: str | None) -> str:
    """A request's id: the same for the same key, so that the bucket tells one from two."""
    if idempotency_key is None:
        return f"r{secrets.token_hex(10)}"
    identity = f"{tenant}\n{idempotency_key}".encode("utf-8", "surrogateescape")
    return f"r{hashlib.sha256(identity).hexdigest()[:20]}"


def upload_id() -> str:
    """A new upload's id."""
    return f"u{secrets.token_hex(10)}"


def named(item: Input) -> Given:
    """An input as it was named; not looked up yet."""
    if item.upload is not None:
        return Given("", f"upload:{item.upload}", upload=True)
    return Given("", f"key:{item.key}")


@dataclass(frozen=True)
class Requests:
    """The requests in a store."""

    store: Store
    buckets: BucketSettings

    def make(self, tenant: str, order: Order, idempotency_key: str | None) -> RequestDocument:
        """Makes a request, or finds the one that this is a repetition of.

        Raises:
            ProblemError: `unknown_input`, or `key_reused`.
        """
        keys = RequestKeys(tenant, request_id(tenant, idempotency_key))
        found = self._repeated(keys, order) if idempotency_key else None
        if found is not None:
            return found
        try:
            voice, *faces = [self._looked_up(tenant, i) for i in (order.voice, *order.faces)]
        except ProblemError:
            # Another one of the same may have taken the uploads meanwhile.
            found = self._repeated(keys, order)
            if found is None:
                raise
            return found
        document = _document(keys.request, replace(order, voice=voice, faces=tuple(faces)))
        if not self.store.put_new(self.buckets.work, keys.document, documents.dump(document)):
            return self._repeated(keys, order) or document
        self.place(tenant, document)
        return document

    def find(self, tenant: str, request: str) -> RequestDocument | None:
        """A request's document, if there is one."""
        try:
            data = self.store.get(self.buckets.work, RequestKeys(tenant, request).document)
        except FileNotFoundError:
            return None
        return documents.load(RequestDocument, data)

    def place(self, tenant: str, document: RequestDocument) -> None:
        """Puts a request's files into its job folder, those that aren't there.

        Raises:
            ProblemError: `unknown_input`: one was taken away before it could be placed.
        """
        keys, work, bucket = (
            RequestKeys(tenant, document.request),
            self.buckets.work,
            self.buckets.input,
        )
        self.store.put_new(work, keys.recent(document.made_at), b"")
        options = keys.input(OPTIONS_FILE).key
        self.store.put_new(bucket, options, write_options(document.options))
        uses = Counter(item.source for item in document.files)
        for item in self._missing(keys, document):
            target = keys.input(item.file).key
            carry = self.store.move if item.upload and uses[item.source] == 1 else self.store.copy
            try:
                carry(bucket, item.source, target)
            except FileNotFoundError as error:
                if not self.store.exists(bucket, target):
                    raise ProblemError(
                        Refusal.UNKNOWN_INPUT, f"{item.source!r} was taken away."
                    ) from error
        for item in document.files:
            if item.upload:
                self.store.delete(bucket, item.source)

    def heal(self, tenant: str) -> None:
        """Places the files of late requests whose maker was killed before it had done that."""
        entries = self.store.entries(self.buckets.work, requested_prefix(tenant))
        for entry in islice(entries, _HEALED):
            document = self.find(tenant, run_of_recent(entry.key))
            if document is not None:
                self._heal(tenant, document)

    def sweep(self, tenant: str, hours: float) -> None:
        """Removes uploads that nobody used."""
        until = datetime.now(UTC) - timedelta(hours=hours)
        for folder in self.store.folders(self.buckets.input, tenant):
            if _UPLOAD.fullmatch(folder):
                prefix = upload_prefix(tenant, folder)
                for entry in list(self.store.entries(self.buckets.input, prefix)):
                    if entry.modified < until:
                        self.store.delete(self.buckets.input, entry.key)

    def _repeated(self, keys: RequestKeys, order: Order) -> RequestDocument | None:
        document = self.find(keys.tenant, keys.request)
        if document is None:
            return None
        if document.fingerprint != order.fingerprint:
            raise ProblemError(
                Refusal.KEY_REUSED, "This Idempotency-Key was used for a different request."
            )
        self._heal(keys.tenant, document)
        return document

    def _heal(self, tenant: str, document: RequestDocument) -> None:
        if time.time() - document.made_at < _PLACING_SECONDS:
            return
        keys = RequestKeys(tenant, document.request)
        if any(self._missing(keys, document)):
            try:
                self.place(tenant, document)
            except ProblemError as problem:
                log.warning("gateway.not_placed", request=document.request, why=problem.detail)

    def _missing(self, keys: RequestKeys, document: RequestDocument) -> Iterator[RequestFile]:
        for item in document.files:
            if self.store.exists(self.buckets.input, keys.input(item.file).key):
                continue
            # What was cancelled or removed is not brought back.
            if not self.store.exists(self.buckets.work, keys.cancelled(item.file)):
                yield item

    def _looked_up(self, tenant: str, item: Given) -> Given:
        if item.source:
            return item
        kind, _, name = item.identity.partition(":")
        found = self._uploaded(tenant, name) if kind == "upload" else self._kept(tenant, name)
        if found is None:
            raise ProblemError(Refusal.UNKNOWN_INPUT, f"There is no {kind} {name!r}.")
        return replace(item, source=found, name=uploaded_name(found))

    def _uploaded(self, tenant: str, upload: str) -> str | None:
        entries = list(self.store.entries(self.buckets.input, upload_prefix(tenant, upload)))
        return max(entries, key=lambda entry: entry.modified).key if entries else None

    def _kept(self, tenant: str, key: str) -> str | None:
        try:
            file = parse_input(key)
        except RejectedInput:
            return None
        if file.tenant != tenant or file.is_options or is_unfinished(key):
            return None
        # No store has these, and disks say so by failing.
        if not key.isprintable() or any(len(part.encode()) > 255 for part in key.split("/")):
            return None
        return key if self.store.exists(self.buckets.input, key) else None


def _document(request: str, order: Order) -> RequestDocument:
    given: Sequence[Given] = (order.voice, *order.faces)
    names = free_names(item.name for item in given)
    files = [
        RequestFile(name, item.source, item.upload) for name, item in zip(names, given, strict=True)
    ]
    return RequestDocument(
        request, time.time(), order.fingerprint, files[0], tuple(files[1:]), order.options
    )
