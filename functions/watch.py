"""What brings events to the embedded Koubo, and the watch on a folder, which is one such thing."""

import os
import queue
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import watchfiles

from functions.events import ObjectCreated, from_folder
from functions.settings import BucketSettings


class Arrivals(Protocol):
    """What tells of new objects in the input and work buckets."""

    def events(self, now: float) -> list[ObjectCreated]:
        """What came since the last call; `now` is monotonic time."""

    def found(self, event: ObjectCreated, now: float) -> list[ObjectCreated]:
        """What of an event that reconcile found can be handled now; the rest `events` brings."""

    def may_have_lost(self) -> bool:
        """Whether, since the last call, something may have come that nobody told of."""

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is on its way."""

    def close(self) -> None:
        """Stops."""


@dataclass
class LookAround:
    """Tells of nothing, but asks for a look around every so often, see `Arrivals`."""

    seconds: float = 2.0
    _looked: float = field(default_factory=time.monotonic)

    def events(self, _now: float) -> list[ObjectCreated]:
        """See `Arrivals`."""
        return []

    def found(self, event: ObjectCreated, _now: float) -> list[ObjectCreated]:
        """See `Arrivals`."""
        return [event]

    def may_have_lost(self) -> bool:
        """See `Arrivals`."""
        now = time.monotonic()
        if now - self._looked < self.seconds:
            return False
        self._looked = now
        return True

    @property
    def is_quiet(self) -> bool:
        """See `Arrivals`."""
        return True

    def close(self) -> None:
        """See `Arrivals`."""


class FolderWatch:
    """Tells of files below a folder store; a dropped one when it has stopped growing.

    Args:
        root: the folder.
        buckets: whose input and work buckets are watched.
        settle_seconds: for which a dropped file must not have grown.
    """

    def __init__(self, root: Path, buckets: BucketSettings, settle_seconds: float) -> None:
        self._root = root
        self._buckets = buckets
        self._settle_seconds = settle_seconds
        self._arriving: dict[Path, tuple[tuple[int, int], float]] = {}
        self._changes = _Changes([root / bucket for bucket in (buckets.input, buckets.work)])

    def events(self, now: float) -> list[ObjectCreated]:
        """See `Arrivals`."""
        noticed = [e for path in self._changes.take() for e in self._notice(path, now)]
        return noticed + self._settled(now)

    def found(self, event: ObjectCreated, now: float) -> list[ObjectCreated]:
        """See `Arrivals`; an input may be half copied, as much as one that was just noticed."""
        if event.bucket != self._buckets.input:
            return [event]
        return self._notice(self._root / event.bucket / event.key, now)

    def may_have_lost(self) -> bool:
        """See `Arrivals`; the kernel loses nothing that it says it watches."""
        return False

    @property
    def is_quiet(self) -> bool:
        """See `Arrivals`."""
        return not self._arriving and self._changes.is_quiet

    def close(self) -> None:
        """See `Arrivals`."""
        self._changes.close()

    def _notice(self, path: Path, now: float) -> list[ObjectCreated]:
        event = from_folder(self._root, path)
        if event is None:
            return []
        if event.bucket != self._buckets.input:
            return [event]
        self._arriving[path] = (_shape(path), now)
        return []

    def _settled(self, now: float) -> list[ObjectCreated]:
        events = []
        for path, (shape, since) in list(self._arriving.items()):
            current = _shape(path)
            if current != shape:
                self._arriving[path] = (current, now)
            elif now - since >= self._settle_seconds:
                del self._arriving[path]
                event = from_folder(self._root, path)
                if event is not None:
                    events.append(event)
        return events


def _shape(path: Path) -> tuple[int, int]:
    """Size and time of change: what a growing file changes; of one that is gone, (-1, -1)."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return (-1, -1)
    return (stat.st_size, stat.st_mtime_ns)


class _Changes:
    """Changes below some folders, gathered by a thread; bounded, since sets of paths collapse."""

    def __init__(self, folders: list[Path]) -> None:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        self._stop = threading.Event()
        self._changes: queue.SimpleQueue[set[tuple[watchfiles.Change, str]]] = queue.SimpleQueue()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._gather, args=(folders,), daemon=True)
        self._thread.start()
        self._ready.wait(10)

    def _gather(self, folders: list[Path]) -> None:
        watcher = watchfiles.watch(
            *folders,
            watch_filter=None,
            debounce=200,
            step=20,
            rust_timeout=100,
            yield_on_timeout=True,
            stop_event=self._stop,
            raise_interrupt=False,
        )
        for changes in watcher:
            self._ready.set()
            if changes:
                self._changes.put(changes)

    @property
    def is_quiet(self) -> bool:
        return self._changes.empty()

    def take(self) -> set[Path]:
        paths: set[Path] = set()
        while not self._changes.empty():
            for change, path in self._changes.get():
                if change != watchfiles.Change.deleted:
                    paths.add(Path(path))
                if change == watchfiles.Change.added:
                    # What is in a new folder may have come before the folder was watched.
                    for folder, _, files in os.walk(path):
                        paths.update(Path(folder, file) for file in files)
        return paths

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)
