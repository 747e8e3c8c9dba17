"""Models of the models bucket on local disk, by the digest of their `model.toml`.

All processes of a machine share the folder. A model appears in it whole, by a rename; a lock per
model keeps two processes from fetching it at once, and keeps it from being evicted while one that
loaded it lives, for another backend may want its files later.
"""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from functions.errors import BadModelError, RetryableError
from functions.infer.manifest import MANIFEST, Manifest, parse_manifest
from functions.layout import ModelKeys
from functions.progress import Progress, silent
from functions.storage import Store

_POLL_SECONDS = 0.1
_TRIES = 5
_PIECE = 32 << 20
_NEW = "new-"
"""Begins the name of a model in the making."""


@dataclass(frozen=True)
class WeightCache:
    """Models on local disk, least recently used out first.

    Args:
        root: a folder of this machine.
        limit: bytes that may stay; models in use may exceed it.
        max_file_bytes: the largest file that a model may have.
        wait_seconds: for another process that fetches the same model.
        progress: told that we are alive while a model is fetched; what it raises ends that.
    """

    root: Path
    limit: int
    max_file_bytes: int
    wait_seconds: float = 600
    progress: Progress = silent
    _held: dict[str, int] = field(default_factory=dict)

    def fetch(self, store: Store, bucket: str, keys: ModelKeys) -> Manifest:
        """A model of the bucket as it is now, with its files on local disk.

        Raises:
            BadModelError: the bucket doesn't have it, or not as its manifest says.
            RetryableError: the store failed, or another process takes too long.
        """
        label = f"{keys.name} {keys.version}"
        try:
            data = store.get(bucket, keys.manifest)
        except FileNotFoundError as error:
            raise BadModelError(f"model {label} is not in the bucket {bucket}") from error
        manifest = parse_manifest(data, Path(bucket, keys.prefix))
        manifest = replace(manifest, folder=self.root / manifest.digest)
        if (manifest.name, manifest.version) != (keys.name, keys.version):
            raise BadModelError(f"model {label} calls itself {manifest.label} in its {MANIFEST}")
        if manifest.digest not in self._held:
            self._held[manifest.digest] = self._hold(
                manifest, lambda: self._download(store, bucket, keys, manifest, data)
            )
            with suppress(FileNotFoundError):  # another process evicts as well
                self._evict()
        return manifest

    def _hold(self, manifest: Manifest, download: Callable[[], None]) -> int:
        """Takes the model's lock, as one of many, with the model there; returns its descriptor."""
        self.root.mkdir(parents=True, exist_ok=True)
        file = os.open(self._lock(manifest.digest), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            for _ in range(_TRIES):
                if self._shared_or_alone(file, manifest):
                    # Read lately, for those who look for what to evict.
                    os.utime(manifest.folder)
                    return file
                if not _is_whole(manifest.folder):
                    download()
            raise RetryableError(f"model {manifest.label} is evicted as fast as it is fetched")
        except BaseException:
            os.close(file)
            raise

    def _shared_or_alone(self, file: int, manifest: Manifest) -> bool:
        """True with the lock as one of many and the model there; False with the lock alone.

        Whoever waits for the lock alone looks again for the model: the one that fetched it shares
        the lock from then on for as long as it lives.
        """
        deadline = time.monotonic() + self.wait_seconds
        while True:
            if _take(file, fcntl.LOCK_SH):
                if _is_whole(manifest.folder):
                    return True
                fcntl.flock(file, fcntl.LOCK_UN)
                if _take(file, fcntl.LOCK_EX):
                    return False
            if time.monotonic() > deadline:
                what = f"another process has held model {manifest.label} for too long"
                raise RetryableError(what)
            self.progress(0, 0)
            time.sleep(_POLL_SECONDS)

    def _download(
        self, store: Store, bucket: str, keys: ModelKeys, manifest: Manifest, data: bytes
    ) -> None:
        making = self.root / f"{_NEW}{manifest.digest}"
        # We have its lock alone, so this is what a killed process left.
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        try:
            for name, digest in manifest.files.items():
                self._download_file(store, bucket, keys.file(name), making / name, digest)
            (making / MANIFEST).write_bytes(data)
            making.rename(manifest.folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)

    def _download_file(self, store: Store, bucket: str, key: str, to: Path, digest: str) -> None:
        label = "{} {}".format(*key.split("/"))
        found = hashlib.sha256()
        try:
            size = store.head(bucket, key).size
            if size > self.max_file_bytes:
                what = f"{to.name} of model {label} has {size} bytes"
                raise BadModelError(f"{what}, more than KOUBO_MODELS_MAX_FILE_BYTES allows")
            with to.open("wb") as file:
                # Piece by piece: gigabytes take longer than a worker may be silent.
                for start in range(0, size, _PIECE):
                    piece = store.get_range(bucket, key, start, _PIECE)
                    found.update(piece)
                    file.write(piece)
                    self.progress(0, 0)
        except FileNotFoundError as error:
            what = f"model {label} lacks its file {to.name} in the bucket {bucket}"
            raise BadModelError(what) from error
        if found.hexdigest() != digest:
            raise BadModelError(f"{to.name} of model {label} is damaged in the bucket {bucket}")

    def _evict(self) -> None:
        for left in self.root.glob(f"{_NEW}*"):
            self._remove(left, left.name.removeprefix(_NEW))
        kept = [
            (folder.stat().st_mtime, _size(folder), folder)
            for folder in self.root.iterdir()
            if _is_whole(folder)
        ]
        total = sum(size for _, size, _ in kept)
        for _, size, folder in sorted(kept):
            if total <= self.limit:
                return
            if self._remove(folder, folder.name):
                total -= size

    def _remove(self, folder: Path, digest: str) -> bool:
        """Removes a model, or the beginning of one; False where somebody holds it."""
        file = os.open(self._lock(digest), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its manifest goes first: a model without one is not there.
            (folder / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            return False
        finally:
            os.close(file)
        return True

    def _lock(self, digest: str) -> Path:
        return self.root / f"{digest}.lock"


def _take(file: int, kind: int) -> bool:
    """Takes a lock if it can be had at once."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_whole(folder: Path) -> bool:
    return not folder.name.startswith(_NEW) and (folder / MANIFEST).is_file()


def _size(folder: Path) -> int:
    # What backends compiled and keep beside a model counts as well.
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
