"""Footage and a voice to try a model on: analysed by ingest, or found in the store."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory

from functions.chain import Surroundings
from functions.errors import KouboError
from functions.events import ObjectCreated
from functions.infer.manifest import Manifest
from functions.infer.readers import StoredFootage, StoredVoice
from functions.input_cache import InputCache
from functions.input_keys import InputFile
from functions.layout import FootageKeys, VoiceKeys
from functions.progress import silent
from functions.settings import BucketSettings, CacheSettings
from functions.storage import Store

TENANT, JOB = "default", "calibration"


@contextmanager
def analysed(
    manifest: Manifest, footage: str, voice: Path | None, store: Store, tenant: str
) -> Iterator[tuple[StoredFootage, StoredVoice]]:
    """Readers of a footage and a voice, good as long as the context lasts.

    Args:
        manifest: the model that shall read them.
        footage: a video or a portrait, or the digest of one that is analysed in the store.
        voice: a recording; None for the sample in the package.
        store: where the digest is looked up.
        tenant: whose digest it is.

    Raises:
        KouboError: there is neither such a file nor such a digest, or ingest refused one.
    """
    model, work = (manifest.name, manifest.version), BucketSettings().work
    with TemporaryDirectory(prefix="koubo-calibration-") as folder:
        bench = _Bench(Path(folder))
        with as_file(files("functions") / "samples" / "voice.flac") as sample:
            heard = VoiceKeys(TENANT, bench.ingest(voice or sample, "voice"))
        reader = StoredVoice.open(bench.store, work, heard, manifest.sample_rate)
        if Path(footage).is_file():
            faces = FootageKeys(TENANT, bench.ingest(Path(footage), "footage"))
            yield StoredFootage.open(bench.store, work, faces, model), reader
            return
        faces = FootageKeys(tenant, footage)
        if not store.exists(work, faces.document):
            raise KouboError(f"{footage!r} is neither a file nor a footage of tenant {tenant!r}")
        yield StoredFootage.open(store, work, faces, model), reader


class _Bench:
    """A store of its own in a folder, and ingest on it."""

    def __init__(self, folder: Path) -> None:
        from functions.ingest.build import build  # noqa: PLC0415 -- only files need the face models

        self.store = Store.folder(folder / "store")
        self._folder = folder
        self._buckets = BucketSettings()
        cache = InputCache(folder / "inputs", 0)
        scratch = folder / "scratch"
        scratch.mkdir()
        around = Surroundings(
            self.store, self._buckets, cache, CacheSettings().models, scratch, silent
        )
        self._handle = build(around)

    def ingest(self, path: Path, kind: str) -> str:
        """The digest of a file's analysis.

        Raises:
            KouboError: ingest refused it, or found it to be something else.
        """
        # Jobs of their own: nothing is paired, so nothing is planned.
        file = InputFile(TENANT, f"{JOB}-{kind}", path.name)
        copy = self._folder / "copied"
        shutil.copyfile(path, copy)
        self.store.put(self._buckets.input, file.key, copy)
        copy.unlink()
        self._handle(ObjectCreated(self._buckets.input, file.key))
        prefix = f"{TENANT}/{kind}"
        for entry in self.store.entries(self._buckets.work, prefix):
            if entry.key.endswith(f"/{kind}.json"):
                return entry.key.split("/")[2]
        why = "it is something else"
        if self.store.exists(self._buckets.output, file.error):
            why = self.store.get(self._buckets.output, file.error).decode()
        raise KouboError(f"{path.name} is no {kind} to go by: {why}")
