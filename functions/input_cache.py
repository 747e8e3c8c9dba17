"""Big inputs on local disk, by the digest of their content."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from functions.errors import ReplacedInputError
from functions.storage import Store


@dataclass(frozen=True)
class InputCache:
    """Big inputs on local disk, by the digest of their content, least recently used out first.

    Args:
        root: a folder of this machine, shared by its workers.
        limit: bytes that may stay between uses; one file in use may exceed it.
    """

    root: Path
    limit: int

    @contextmanager
    def hold(
        self, store: Store, bucket: str, key: str, digest: str | None = None
    ) -> Iterator[tuple[Path, str]]:
        """A local copy of an object for as long as the context lasts.

        Args:
            store: where the object is.
            bucket: its bucket.
            key: its key.
            digest: the SHA-256 that the content must have; None to learn it.

        Yields:
            The copy's path (a link of our own, which eviction can't take away) and its digest.

        Raises:
            FileNotFoundError: there is no such object.
            ReplacedInputError: the content has another digest by now.
            RetryableError: the store failed.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        held = self.root / f"held-{os.getpid()}-{uuid.uuid4().hex}"
        try:
            found = digest if digest and self._link(digest, held) else None
            if found is None:
                found = store.download(bucket, key, held)
                if digest not in (None, found):
                    raise ReplacedInputError(f"{key} is no longer the file that was analysed")
                self._keep(held, found)
            yield held, found
        finally:
            held.unlink(missing_ok=True)

    def _link(self, digest: str, held: Path) -> bool:
        try:
            os.link(self.root / digest, held)
        except FileNotFoundError:
            return False
        # By our own name for it: the other may be evicted by now, and then it would look as if
        # nothing was linked, and a download would overwrite the content that others hold.
        os.utime(held)
        return True

    def _keep(self, held: Path, digest: str) -> None:
        with suppress(FileExistsError):
            os.link(held, self.root / digest)
        kept = [(p, s) for p in self.root.iterdir() if (s := _kept_stat(p)) is not None]
        total = sum(stat.st_size for _, stat in kept)
        for path, stat in sorted(kept, key=lambda item: item[1].st_mtime):
            if total <= self.limit:
                return
            path.unlink(missing_ok=True)
            total -= stat.st_size


def _kept_stat(path: Path) -> os.stat_result | None:
    """Of a file that stays between uses; None for one in use, or just evicted by another worker."""
    if path.name.startswith("held-"):
        return None
    try:
        return path.stat()
    except FileNotFoundError:
        return None
