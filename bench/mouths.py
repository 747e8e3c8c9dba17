"""What the default model's mouths cost, in processor time of this process."""

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from demo.sample_face import clip
from functions.doctor_footage import analysed
from functions.infer.backends import OnnxRuntime
from functions.infer.family import Patch, Span
from functions.infer.manifest import DEFAULT_MODEL, find_model
from functions.infer.readers import StoredFootage
from functions.infer.viseme import Viseme
from functions.lossless import FrameWriter
from functions.plans import source_frames
from functions.settings import BucketSettings, CacheSettings
from functions.storage import Store

_SECONDS = 6
_RATE = Fraction(25)
# In which the sample face gets patches of 256, 384 and 512 pixels.
_PICTURES = ((1280, 720), (1920, 1080), (1440, 1440))


class _Speech:
    """A voice in memory that swells and fades three times a second."""

    level = 0.1

    def samples(self, first: int, last: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        t = np.arange(max(first, 0), min(last, _SECONDS * 16000)) / 16000
        tone = sum(np.sin(2 * np.pi * pitch * t) for pitch in (140, 700, 1220, 2600))
        return np.asarray(0.05 * tone * (1 + np.sin(6 * np.pi * t)), np.float32)


def measure() -> dict[str, float]:
    """Milliseconds for each frame: of a bank's preparation, and of all that infer does."""
    cv2.setNumThreads(1)
    results: dict[str, float] = {}
    for picture in _PICTURES:
        with TemporaryDirectory() as folder:
            results |= _of(Path(folder), picture)
    return results


def _of(root: Path, picture: tuple[int, int]) -> dict[str, float]:
    face = clip(root / "face.mp4", _SECONDS, picture)
    store = Store.folder(root / "store")
    (root / "store").mkdir()
    keys = analysed(store, root / "store", face, CacheSettings())
    footage = StoredFootage.open(store, BucketSettings().work, keys, DEFAULT_MODEL)
    model = Viseme.load(find_model(*DEFAULT_MODEL), OnnxRuntime(), 4)
    began = time.process_time()
    prepared = model.prepare(footage)
    preparing = (time.process_time() - began) / footage.footage.frames
    frames = round(_SECONDS * _RATE)
    shown = tuple(source_frames(range(frames), footage.footage.frames, "pingpong"))
    began = time.process_time()
    patches = model.render(footage, prepared, _Speech(), Span(0, frames, _RATE, shown))
    size = _write(patches, root / "patches.avi")
    rendering = (time.process_time() - began) / frames
    return {
        f"bank_ms_a_source_frame_{size}": round(preparing * 1000, 2),
        f"infer_ms_a_frame_{size}": round(rendering * 1000, 2),
    }


def _write(patches: Iterator[Patch], to: Path) -> int:
    """Writes patches as infer does; returns their side in pixels."""
    head = next(patches)
    size = head.planes.shape[1]
    with FrameWriter(to, "yuv444p", size, size) as writer:
        writer.write(head.planes)
        for patch in patches:
            writer.write(patch.planes)
    return size
