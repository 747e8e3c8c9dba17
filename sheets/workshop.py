"""Making videos with the chain's own functions, one event after the other, in this process."""

import shutil
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from functions.data_folder import DataFolder
from functions.events import ObjectCreated
from functions.infer.handler import Infer
from functions.infer.interior import Interior
from functions.infer.manifest import find_model
from functions.infer.viseme import Hears, Viseme
from functions.input_keys import InputFile
from functions.local import build_functions
from functions.plans import Model
from functions.progress import silent
from functions.reconcile import due
from functions.settings import BucketSettings, LogSettings
from functions.storage import Store
from training.mouth_tracks import Segment, tracks

_TENANT = "default"
_LOGS = LogSettings(level="ERROR")


@dataclass(frozen=True)
class Told:
    """Stands where the ear does, and says what the phones say.

    Args:
        phones: of the recording.
        seconds: it lasts.
    """

    phones: list[Segment]
    seconds: float

    def hear(
        self,
        samples: NDArray[np.float32],  # noqa: ARG002 -- it need not listen
        rate: Fraction,
        first: int,
        last: int,
        *,
        level: float,  # noqa: ARG002
        offset: int = 0,  # noqa: ARG002
    ) -> NDArray[np.float32]:
        """See `functions.infer.viseme.Hears`."""
        said = tracks(self.phones, self.seconds, rate)
        frames = np.arange(first, last)
        # Before and after the recording there is silence.
        within = (frames >= 0) & (frames < len(said))
        heard = np.zeros((last - first, 4), np.float32)
        heard[within] = said[frames[within]]
        return heard


class Workshop:
    """The three functions over a folder.

    Args:
        root: absolute; kept between runs, so that a footage is analysed once.
    """

    def __init__(self, root: Path) -> None:
        data = DataFolder(root)
        data.own.mkdir(parents=True, exist_ok=True)
        self._store = data.store()
        self._root = root
        self._scratch = root / ".koubo" / "infer"
        self._buckets = BucketSettings()
        self._functions = build_functions(data, 1, _LOGS, silent)

    def make(self, voice: Path, face: Path, to: Path, ear: Hears | None = None) -> str:
        """Writes a video, its report beside it.

        Args:
            voice: what is said.
            face: who says it.
            to: an `.mp4`.
            ear: moves the mouth instead of the model's own.

        Returns:
            Why there is none; empty where all went well.
        """
        job = to.stem
        functions = dict(self._functions)
        if ear is not None:
            infer = _infer_with(self._store, self._scratch, ear)
            functions["infer"] = replace(functions["infer"], handle=infer.handle)
        for path in (voice, face):
            file = InputFile(_TENANT, job, path.name)
            self._store.put(self._buckets.input, file.key, path)
            functions["ingest"].deliver(ObjectCreated(self._buckets.input, file.key))
        # Every event is settled once it was delivered: one attempt is all there is.
        while events := due(self._store, self._buckets):
            for event in events:
                name = "infer" if event.key.endswith(".segment.json") else "encode"
                functions[name if event.bucket == self._buckets.work else "ingest"].deliver(event)
        return self._fetch(job, to)

    def _fetch(self, job: str, to: Path) -> str:
        folder = self._root / self._buckets.output / _TENANT / job
        videos = list(folder.glob("*.mp4"))
        if videos:
            shutil.copy(videos[0], to)
            shutil.copy(videos[0].with_suffix(".json"), to.with_suffix(".json"))
            return ""
        reasons = [path.read_text("utf-8") for path in folder.glob("*.error.json")]
        return "\n".join(reasons) or "the run failed; its folder says why"


def _infer_with(store: Store, scratch: Path, ear: Hears) -> Infer:
    def model(wanted: Model) -> Viseme:
        manifest = find_model(wanted.name, wanted.version)
        return Viseme(manifest, ear, Interior.load(manifest.file("interior.png")), "told")

    return Infer(store, BucketSettings(), model, scratch, silent)
