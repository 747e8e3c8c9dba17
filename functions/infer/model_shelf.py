"""Where models are found: in the package, in a folder of this machine, or in the models bucket."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from functions.errors import BadModelError
from functions.infer.backends import Backend
from functions.infer.families.musetalk import MuseTalk
from functions.infer.families.ultralight import Ultralight
from functions.infer.families.wav2lip import Wav2Lip
from functions.infer.family import Family
from functions.infer.manifest import MANIFEST, SHIPPED, Manifest, find_model
from functions.infer.viseme import Viseme
from functions.infer.weight_cache import WeightCache
from functions.layout import ModelKeys, is_model_name
from functions.plans import Model
from functions.storage import Store

FAMILIES: dict[str, Callable[[Manifest, Backend, int], Family]] = {
    "viseme": Viseme.load,
    "wav2lip": Wav2Lip.load,
    "ultralight": Ultralight.load,
    "musetalk": MuseTalk.load,
}
"""By the name that `model.toml` gives; each loads a model on a backend, for batches of a size."""

_LOADED = 3
"""Models that stay in memory, the latest used."""


def load_family(manifest: Manifest, backend: Backend, batch: int) -> Family:
    """Loads a model.

    Raises:
        BadModelError: it isn't what its family takes.
        BackendFault: no backend can run it.
    """
    if manifest.family not in FAMILIES:
        known = ", ".join(FAMILIES)
        what = f"model {manifest.label} is of the family {manifest.family!r}; known are {known}"
        raise BadModelError(what)
    return FAMILIES[manifest.family](manifest, backend, batch)


@dataclass(frozen=True)
class ModelShelf:
    """Finds models.

    Args:
        store: has the models bucket.
        bucket: its name.
        cache: for the bucket's models.
        folder: more models of this machine, as `<name>/<version>/`.
    """

    store: Store
    bucket: str
    cache: WeightCache
    folder: Path | None = None

    def find(self, model: Model) -> Manifest:
        """A model as it is now: the package's, else the folder's, else the bucket's.

        Raises:
            BadModelError: there is no such model, or it is damaged.
            RetryableError: the store failed.
        """
        if not (is_model_name(model.name) and is_model_name(model.version)):
            raise BadModelError(f"{model.name!r} {model.version!r} is no model's name")
        for root in (SHIPPED, self.folder):
            if root is not None and (root / model.name / model.version / MANIFEST).is_file():
                return find_model(model.name, model.version, shipped=root)
        return self.cache.fetch(self.store, self.bucket, ModelKeys(model.name, model.version))


@dataclass(frozen=True)
class LoadedModels:
    """Models in memory; one that was replaced where it lies is loaded anew.

    Args:
        shelf: finds them.
        backend: runs them.
        batch: frames that are rendered at once.
    """

    shelf: ModelShelf
    backend: Backend
    batch: int
    _families: OrderedDict[str, Family] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, wanted: Model) -> Family:
        """Gives a model, loaded.

        Raises:
            BadModelError: there is no such model, or it is none.
            RetryableError: the store failed.
            BackendFault: no backend can run it.
        """
        with self._lock:
            manifest = self.shelf.find(wanted)
            if manifest.digest not in self._families:
                self._families[manifest.digest] = load_family(manifest, self.backend, self.batch)
            self._families.move_to_end(manifest.digest)
            while len(self._families) > _LOADED:
                self._families.popitem(last=False)
            return self._families[manifest.digest]
