"""The object store: obstore, with what it lacks.

obstore gives one API over a folder, memory and S3, with atomic put-if-absent on all three. Added
here: buckets by name, errors of our own table, hashing while a file streams in, and a local cache
of big inputs by digest with a bound on its size.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store

from functions.errors import RetryableError

_STREAM_CHUNK = 4 << 20
_SEND_CHUNK = 1 << 20
# S3 takes 10,000 parts: these make objects of up to 156 GiB, and two are in memory at a time.
_PART_BYTES = 16 << 20
_PARTS_AT_ONCE = 2
# The largest object that S3 copies in one request.
_COPIED_WHOLE = 5 << 30


@dataclass(frozen=True)
class Entry:
    """What the store knows of an object without reading it."""

    key: str
    size: int
    etag: str | None
    modified: datetime

    @property
    def identity(self) -> str:
        """Tells this very upload from others of its key, those with the same content too.

        A LIST and a HEAD give the same one: some stores know the time in whole seconds only.
        """
        return f"{self.etag}|{self.size}|{int(self.modified.timestamp())}"


@dataclass(frozen=True)
class Store:
    """Objects in named buckets.

    Every method raises `RetryableError` when the store itself fails, and those that read raise
    `FileNotFoundError` when the object is not there.
    """

    _open: Callable[[str], ObjectStore]
    root: Path | None = None
    _buckets: dict[str, ObjectStore] = field(default_factory=dict)

    @staticmethod
    def folder(root: Path) -> "Store":
        """A folder as the store, `<root>/<bucket>/<key>`."""
        return Store(lambda bucket: LocalStore(root / bucket, mkdir=True), root)

    @staticmethod
    def memory() -> "Store":
        """A store that ends with the process."""
        return Store(lambda _bucket: MemoryStore())

    @staticmethod
    def s3(config: dict[str, Any], client: dict[str, Any]) -> "Store":
        """S3, MinIO or RustFS; both arguments are obstore's own for `S3Store`."""
        return Store(lambda b: S3Store(b, config=config, client_options=client))  # type: ignore[arg-type]  # obstore types these as TypedDicts, we pass what the settings hold

    def _bucket(self, name: str) -> ObjectStore:
        if name not in self._buckets:
            self._buckets[name] = self._open(name)
        return self._buckets[name]

    def put(self, bucket: str, key: str, data: bytes | Path) -> None:
        """Writes an object whole, replacing what is there; big files go up in parts."""
        with _store_errors(key):
            obstore.put(self._bucket(bucket), key, data)

    def put_new(self, bucket: str, key: str, data: bytes | Path) -> bool:
        """Writes an object only where none is; of many writers exactly one gets True."""
        body = data.read_bytes() if isinstance(data, Path) else data
        with _store_errors(key):
            try:
                # Put-if-absent is single-part in every store, so the body goes whole.
                obstore.put(self._bucket(bucket), key, body, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
        return True

    def get(self, bucket: str, key: str) -> bytes:
        """The object's content."""
        with _store_errors(key):
            return obstore.get(self._bucket(bucket), key).bytes().to_bytes()

    def get_range(self, bucket: str, key: str, start: int, length: int) -> bytes:
        """At most `length` bytes of the object from `start` on, less where it ends before."""
        if length <= 0:
            return b""
        size = self.head(bucket, key).size
        if start >= size:
            return b""
        end = min(start + length, size)
        with _store_errors(key):
            return obstore.get_range(self._bucket(bucket), key, start=start, end=end).to_bytes()

    def head(self, bucket: str, key: str) -> Entry:
        """What the store knows of the object."""
        with _store_errors(key):
            return _entry(obstore.head(self._bucket(bucket), key))

    def exists(self, bucket: str, key: str) -> bool:
        """Whether the object is there."""
        try:
            self.head(bucket, key)
        except FileNotFoundError:
            return False
        return True

    def entries(self, bucket: str, prefix: str, after: str | None = None) -> Iterator[Entry]:
        """Objects under a prefix (whole path parts) in the order of their keys, past `after`.

        Object stores give them in that order, page by page; a folder's must be sorted first.
        """
        with _store_errors(prefix):
            pages = obstore.list(self._bucket(bucket), prefix or None, offset=after)
            found: Iterator[Entry] = map(_entry, chain.from_iterable(pages))
            if self.root is not None:
                found = iter(sorted(found, key=lambda entry: entry.key.encode()))
            yield from found

    def folders(self, bucket: str, prefix: str) -> list[str]:
        """The names one level below a prefix that have something below them."""
        with _store_errors(prefix):
            found = obstore.list_with_delimiter(self._bucket(bucket), prefix or None)
        return sorted(name.rstrip("/").rpartition("/")[2] for name in found["common_prefixes"])

    def delete(self, bucket: str, key: str) -> None:
        """Removes an object; one that is not there is no error."""
        with _store_errors(key), suppress(FileNotFoundError):
            obstore.delete(self._bucket(bucket), key)

    def copy(self, bucket: str, key: str, to: str) -> None:
        """Copies an object within its bucket, on the store's side where that is possible."""
        with _store_errors(key):
            opened = self._bucket(bucket)
            if self.root is not None:
                # A link is all that a folder's own copy is: who writes into one writes into both.
                obstore.put(opened, to, self.root / bucket / key)
            elif obstore.head(opened, key)["size"] <= _COPIED_WHOLE:
                obstore.copy(opened, key, to)
            else:
                writer = obstore.open_writer(opened, to, buffer_size=_PART_BYTES)
                for piece in obstore.get(opened, key).stream(_STREAM_CHUNK):
                    writer.write(piece)
                # Closing is what makes the object, so a copy that breaks off makes none.
                writer.close()

    def move(self, bucket: str, key: str, to: str) -> None:
        """Gives an object another name in its bucket."""
        if self.root is None:
            self.copy(bucket, key, to)
            self.delete(bucket, key)
            return
        with _store_errors(key):
            obstore.rename(self._bucket(bucket), key, to)

    def link(
        self, bucket: str, key: str, method: Literal["GET", "HEAD", "PUT"], seconds: int
    ) -> str | None:
        """A URL that lets anybody do this one thing for a while; None where the store has none."""
        opened = self._bucket(bucket)
        if not isinstance(opened, S3Store):
            return None
        with _store_errors(key):
            return obstore.sign(opened, method, key, timedelta(seconds=seconds))

    async def receive(self, bucket: str, key: str, pieces: AsyncIterator[bytes]) -> None:
        """Writes an object of any size as it comes in; when that breaks off, nothing is written."""
        with _store_errors(key):
            await obstore.put_async(
                self._bucket(bucket),
                key,
                pieces,
                chunk_size=_PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            )

    async def send(self, bucket: str, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes [start, end) of an object, in pieces."""
        with _store_errors(key):
            found = await obstore.get_async(
                self._bucket(bucket), key, options={"range": (start, end)}
            )
            async for piece in found.stream(_SEND_CHUNK):
                yield bytes(piece)

    def download(self, bucket: str, key: str, to: Path) -> str:
        """Streams an object into a file and returns the SHA-256 of what came, in hex."""
        digest = hashlib.sha256()
        with _store_errors(key), to.open("wb") as file:
            for chunk in obstore.get(self._bucket(bucket), key).stream(_STREAM_CHUNK):
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()


def _entry(meta: Any) -> Entry:  # noqa: ANN401 -- obstore's ObjectMeta is a TypedDict of the stub only
    return Entry(meta["path"], meta["size"], meta["e_tag"], meta["last_modified"])


@contextmanager
def _store_errors(what: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError, ValueError) as error:
        # ValueError: the key has parts, such as "..", that no store takes.
        # What obstore says of its own insides is for those who work on it.
        why = str(error).partition("\n\nDebug source:")[0]
        raise RetryableError(f"the store failed on {what or 'a listing'}: {why}") from error
