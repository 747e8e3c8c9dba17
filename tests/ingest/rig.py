"""Ingest on a folder, as tests of its handler drive it."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from functions.events import ObjectCreated
from functions.ingest.handler import Ingest
from functions.layout import runs_prefix
from functions.settings import BucketSettings
from functions.storage import Store

BUCKETS = BucketSettings()


@dataclass
class Rig:
    """Ingest on a folder, and how much it has analysed."""

    store: Store
    ingest: Ingest
    scratch: Path

    def drop(self, key: str, content: Path | bytes) -> None:
        """Somebody uploads a file, and its event comes."""
        self.store.put(BUCKETS.input, key, content)
        self.handle(key)

    def handle(self, key: str) -> None:
        self.ingest.handle(ObjectCreated(BUCKETS.input, key))

    def work(self) -> set[str]:
        return {entry.key for entry in self.store.entries(BUCKETS.work, "")}

    def runs(self) -> list[str]:
        return self.store.folders(BUCKETS.work, runs_prefix("t").rstrip("/"))

    def error(self, key: str) -> str | None:
        """The code at the output."""
        try:
            written = json.loads(self.store.get(BUCKETS.output, f"{key}.error.json"))
        except FileNotFoundError:
            return None
        assert written["file"] == key
        assert written["what"]
        assert written["fix"]
        return str(written["code"])

    @contextmanager
    def decoding_nothing(self) -> Iterator[None]:
        """Nothing is analysed meanwhile: there is nowhere to write an analysis to."""
        shutil.rmtree(self.scratch)
        yield
        self.scratch.mkdir()
