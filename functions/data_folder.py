"""The folder of an embedded Koubo: whose it is, what lies in it, and what is swept out of it."""

import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from functions.errors import KouboError
from functions.input_cache import InputCache
from functions.settings import BucketSettings, CacheSettings, StoreSettings
from functions.storage import Store
from functions.watch import Arrivals, FolderWatch, LookAround


@dataclass(frozen=True)
class DataFolder:
    """The folder of an embedded Koubo: buckets, and a corner of its own.

    Args:
        root: absolute.
        remote: where the buckets are instead, on an object store; the corner stays here.
        listens: to the object store, which has to be MinIO; otherwise it is looked through.
    """

    root: Path
    remote: StoreSettings | None = None
    listens: bool = True

    @property
    def own(self) -> Path:
        """What may be deleted whenever nobody works here."""
        return self.root / ".koubo"

    @property
    def scratch(self) -> Path:
        """Files in the making."""
        return self.own / "scratch"

    def scratch_of(self, worker: int) -> Path:
        """Those of one worker, by its process id."""
        return self.scratch / str(worker)

    def sweep_after(self, worker: int) -> None:
        """Removes what a worker left that died at its work."""
        shutil.rmtree(self.scratch_of(worker), ignore_errors=True)
        for held in self.inputs.glob(f"held-{worker}-*"):
            held.unlink(missing_ok=True)

    def sweep(self, buckets: BucketSettings) -> None:
        """Removes what processes left that were killed; nobody may be at work here."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        for held in self.inputs.glob("held-*"):
            held.unlink()
        for bucket in (buckets.work, buckets.output):
            for path in (self.root / bucket).rglob("*#*"):
                # The store writes `<name>#<number>` and renames it; no key of ours ends so.
                if path.name.rpartition("#")[2].isdecimal() and path.is_file():
                    path.unlink()

    @property
    def inputs(self) -> Path:
        """Copies of inputs."""
        return self.own / "inputs"

    def store(self) -> Store:
        """The store that the folder is, or that it stands for."""
        return Store.folder(self.root) if self.remote is None else self.remote.open()

    def arrivals(self, buckets: BucketSettings, settle_seconds: float) -> Arrivals:
        """What brings events: a watch on the folder, MinIO's own word, or nothing but looking."""
        if self.remote is None:
            return FolderWatch(self.root, buckets, settle_seconds)
        if not self.listens:
            return LookAround()
        from functions.listen import Listener  # noqa: PLC0415 -- needs the extra `s3`

        return Listener.connect(self.remote, buckets)

    @property
    def place(self) -> str:
        """Where the buckets are, for people."""
        return f"{self.root}{os.sep}" if self.remote is None else f"{self.remote.endpoint}/"

    def cache(self) -> InputCache:
        """Copies of inputs that nobody can change under our hands."""
        return InputCache(self.inputs, CacheSettings().inputs_limit)


class _Lock:
    def __init__(self, file: int) -> None:
        self._file = file

    def release(self) -> None:
        os.close(self._file)


def lock(data: DataFolder) -> _Lock:
    """Takes the data folder for this process, until it ends.

    Raises:
        KouboError: somebody has it.
    """
    data.own.mkdir(parents=True, exist_ok=True)
    file = os.open(data.own / "lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise KouboError(f"another koubo works in {data.root}") from error
    return _Lock(file)
