"""The `viseme` family: a network hears what the mouth does, real mouths of the footage show it."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from itertools import groupby
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from functions.infer import choice
from functions.infer.backends import Backend
from functions.infer.bank import Bank
from functions.infer.choice import NEAR, Wanted, blend, choose
from functions.infer.ear import Ear, reach
from functions.infer.face import Face, Painter, Showing
from functions.infer.family import FootageReader, Patch, Span, VoiceReader
from functions.infer.gather import gather
from functions.infer.geometry import Surveyor, chunk_of
from functions.infer.interior import Interior
from functions.infer.manifest import Manifest
from functions.picture import crop_yuv
from functions.plans import source_frames

_BLANK = 128
_GRAIN, _SHARPENED = 1.0, 0.15  # pixels of a portrait's crop, and how much of it is given back


class Hears(Protocol):
    """Says what the mouth does; `functions.infer.ear.Ear` does it by ear."""

    def hear(
        self,
        samples: NDArray[np.float32],
        rate: Fraction,
        first: int,
        last: int,
        *,
        level: float,
        offset: int = 0,
    ) -> NDArray[np.float32]:
        """(last - first, 4): open, width, close, lipteeth in each of these frames."""
        ...


class Viseme:
    """A model of this family.

    Args:
        manifest: what it is.
        ear: says what the mouth does.
        interior: the drawing for what a footage doesn't show.
        backend: what the ear runs on; the mouth is OpenCV's and numpy's, on the CPU.
    """

    prepared_name = "bank.npz"

    def __init__(self, manifest: Manifest, ear: Hears, interior: Interior, backend: str) -> None:
        self.manifest = manifest
        self._ear = ear
        self._interior = interior
        self.backend = backend
        # Segments of one footage come one after the other.
        self._bank = lru_cache(maxsize=1)(Bank.load)

    @staticmethod
    def load(manifest: Manifest, backend: Backend, batch: int) -> "Viseme":  # noqa: ARG004
        """Loads the model's graph; it renders frame by frame, whatever the batch.

        Raises:
            NotSetUpError: a file is missing or damaged, or the backend can't run it.
        """
        graph = backend.load(manifest.file("ear.onnx"))
        interior = Interior.load(manifest.file("interior.png"))
        return Viseme(manifest, Ear(graph), interior, graph.backend)

    def prepare(self, footage: FootageReader) -> bytes:
        """The footage's `Bank`.

        Raises:
            RejectedInput: no frame of it has a face.
        """
        return gather(footage, self.manifest.crop).dump()

    def render(
        self, footage: FootageReader, prepared: bytes, voice: VoiceReader, span: Span
    ) -> Iterator[Patch]:
        """See `functions.infer.family.Family`."""
        document = footage.footage
        bank = self._bank(prepared)
        showings = self._showings(bank, document.frames, voice, span)
        surveyor = Surveyor(footage, replace(self.manifest.crop, size=bank.size))
        outside = self.manifest.mask.outside(bank.size)
        painter = Painter(bank, self._interior, document.colour)
        for chunk, run in groupby(span.shown, lambda frame: chunk_of(document, frame)):
            frames = list(run)
            if chunk is None:
                yield from (_nothing(bank.size) for _ in zip(frames, showings, strict=False))
                continue
            # Frames of one chunk in a row, in whatever order: their windows are held at once.
            needed = sorted(set(frames))
            windows = dict(zip(needed, footage.windows(chunk, needed), strict=True))
            geometry = surveyor.survey(chunk)
            for frame, showing in zip(frames, showings, strict=False):
                place = frame - chunk.first
                opacity = float(geometry.opacity[place])
                if not opacity:
                    yield _nothing(bank.size)
                    continue
                crop = crop_yuv(windows[frame], geometry.onto_window(place), (bank.size, bank.size))
                if document.kind == "portrait":
                    _sharpen(crop)
                face = Face(crop, geometry.landmarks[place], geometry.seen[place])
                planes = painter.show(face, showing)
                # Never shown, and a flat colour costs the codec nothing.
                np.copyto(planes, _BLANK, where=outside)
                yield Patch(planes, geometry.affine[place], opacity)

    def _showings(
        self, bank: Bank, frames: int, voice: VoiceReader, span: Span
    ) -> Iterator[Showing]:
        """What each of the span's frames is to show."""
        first, last = choice.reach(span.first, span.last)
        low, high = reach(span.rate, first, last)
        samples = voice.samples(low, high)
        mouth = self._ear.hear(
            samples, span.rate, first, last, level=voice.level, offset=max(low, 0)
        )
        shown = source_frames(range(first, last), frames, span.loop)
        wanted = Wanted(first, mouth, np.fromiter(shown, np.int64, last - first))
        places = choose(bank, wanted, span.first, span.last)
        own = wanted.of(span.first, span.last).mouth
        jaw = choice.inert(mouth[:, 0])[span.first - first : span.last - first]
        for at, chosen in enumerate(blend(places, bank)):
            yield Showing(own[at], float(jaw[at]), places[at : at + 2 * NEAR + 1], chosen)


def _sharpen(crop: NDArray[np.uint8]) -> None:
    """Gives a picture back what cutting it out and putting it back takes of its grain."""
    luma = crop[..., 0]
    soft = cv2.GaussianBlur(luma, (0, 0), _GRAIN)
    crop[..., 0] = cv2.addWeighted(luma, 1 + _SHARPENED, soft, -_SHARPENED, 0)


def _nothing(size: int) -> Patch:
    """What stands for a frame that stays as it is."""
    blank = np.full((3, size, size), _BLANK, np.uint8)
    return Patch(blank, np.eye(2, 3, dtype=np.float32), 0.0)
