"""Footage and a voice to try a model on: analysed by ingest, or found in the store."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory

from functions.aside import TENANT, Aside
from functions.errors import KouboError
from functions.infer.manifest import Manifest
from functions.infer.readers import StoredFootage, StoredVoice
from functions.layout import FootageKeys, VoiceKeys
from functions.settings import BucketSettings, CacheSettings
from functions.storage import Store


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
        RejectedInput: as a run would refuse a file, or it is of the other kind.
        KouboError: there is neither such a file nor such a digest.
    """
    model, work = (manifest.name, manifest.version), BucketSettings().work
    with TemporaryDirectory(prefix="koubo-calibration-") as folder:
        root = Path(folder)
        aside = Aside(Store.folder(root), root, CacheSettings())
        with as_file(files("functions") / "samples" / "voice.flac") as sample:
            heard = VoiceKeys(TENANT, aside.analyse(voice or sample, "voice"))
        reader = StoredVoice.open(aside.store, work, heard, manifest.sample_rate)
        if Path(footage).is_file():
            faces = FootageKeys(TENANT, aside.analyse(Path(footage), "footage"))
            yield StoredFootage.open(aside.store, work, faces, model), reader
            return
        faces = FootageKeys(tenant, footage)
        if not store.exists(work, faces.document):
            raise KouboError(f"{footage!r} is neither a file nor a footage of tenant {tenant!r}")
        yield StoredFootage.open(store, work, faces, model), reader
