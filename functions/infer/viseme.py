"""The `viseme` family: a network hears what the mouth does, geometry shows it on the face."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from functions.analysis import dump_arrays, load_arrays
from functions.errors import Code, RejectedInput
from functions.infer.backends import Backend, Graph
from functions.infer.ear import Ear, reach
from functions.infer.family import FootageReader, Patch, Span, VoiceReader
from functions.infer.geometry import Geometry, Surveyor, chunk_of
from functions.infer.manifest import Manifest
from functions.infer.mouth import mouth_gap, mouth_width
from functions.patches import Mask
from functions.picture import Colour, Picture, crop_rgb, rgb_to_yuv

_TEETH_GAP = 0.2  # of the mouth's width: open enough to show teeth, not yet the throat
_NARROW = 0.3  # a mouth narrower than usual is a rounded one, which hides its teeth
_WIDTH_LIMITS = (0.75, 1.35)  # how far a mouth is brought back to its usual width
_BLANK = 128


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


@dataclass(frozen=True, eq=False)
class Reference:
    """What is known of a whole footage.

    Args:
        image: (1, 3, size, size) RGB in 0..1, the crop of the frame that shows the teeth best.
        landmarks: (1, K, 2) in that crop, -1..1.
        width: the mouth's usual width in distances between the outer eye corners.
    """

    image: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    width: float

    @staticmethod
    def load(prepared: bytes) -> "Reference":
        """Reads what `Viseme.prepare` wrote."""
        arrays = load_arrays(prepared)
        image = arrays["image"].astype(np.float32) * np.float32(1 / 255)
        return Reference(image[None], arrays["landmarks"][None], float(arrays["width"][0]))


class Viseme:
    """A model of this family.

    Args:
        manifest: what it is.
        ear: says what the mouth does.
        renderer: the graph that `training.renderer` makes.
        batch: frames that are rendered at once.
    """

    prepared_name = "reference.npz"

    def __init__(self, manifest: Manifest, ear: Hears, renderer: Graph, batch: int) -> None:
        self.manifest = manifest
        self._ear = ear
        self._renderer = renderer
        self._batch = batch
        self._outside = _outside(manifest.mask, manifest.crop.size)

    @staticmethod
    def load(manifest: Manifest, backend: Backend, batch: int) -> "Viseme":
        """Loads the model's two graphs.

        Raises:
            NotSetUpError: a file is missing or damaged, or the backend can't run it.
        """
        ear = Ear(backend.load(manifest.file("ear.onnx")))
        return Viseme(manifest, ear, backend.load(manifest.file("mouth.onnx")), batch)

    @property
    def backend(self) -> str:
        """What really computes."""
        return self._renderer.backend

    def prepare(self, footage: FootageReader) -> bytes:
        """The footage's `Reference`, as an `.npz` with an image of 8 bits.

        Raises:
            RejectedInput: no frame of it has a face.
        """
        frames, width, gap = _mouths(footage)
        if not len(frames):
            raise RejectedInput(Code.NO_FACE, "No frame of the footage shows a face.")
        usual = float(np.median(width))
        hidden = np.maximum(0, 1 - width / usual)
        best = int(frames[np.argmin(np.abs(gap - _TEETH_GAP) + _NARROW * hidden)])
        chunk = next(c for c in footage.footage.chunks if c.first <= best < c.first + c.count)
        geometry = Surveyor(footage, self.manifest.crop).survey(chunk)
        window = next(footage.windows(chunk, best, best + 1))
        place = best - chunk.first
        image = self._crop(window, geometry, place, footage.footage.colour)
        return dump_arrays(
            image=np.rint(image * 255).astype(np.uint8),
            landmarks=geometry.landmarks[place],
            width=np.array([usual], np.float32),
        )

    def render(
        self, footage: FootageReader, prepared: bytes, voice: VoiceReader, span: Span
    ) -> Iterator[Patch]:
        """See `functions.infer.family.Family`."""
        reference = Reference.load(prepared)
        low, high = reach(span.rate, span.first, span.last)
        samples = voice.samples(low, high)
        mouth = self._ear.hear(
            samples, span.rate, span.first, span.last, level=voice.level, offset=max(low, 0)
        )
        surveyor = Surveyor(footage, self.manifest.crop)
        at = 0
        for chunk, run in groupby(span.shown, lambda frame: chunk_of(footage.footage, frame)):
            frames = np.array(list(run))
            part = mouth[at : at + len(frames)]
            at += len(frames)
            if chunk is None:
                yield from (self._nothing() for _ in frames)
                continue
            # Frames of one chunk in a row, in whatever order: their windows are held at once.
            first, last = int(frames.min()), int(frames.max()) + 1
            windows = list(footage.windows(chunk, first, last))
            geometry = surveyor.survey(chunk)
            for start in range(0, len(frames), self._batch):
                batch = slice(start, start + self._batch)
                places = frames[batch] - chunk.first
                pictures = [windows[frame - first] for frame in frames[batch]]
                yield from self._patches(
                    pictures, geometry, places, part[batch], reference, footage.footage.colour
                )

    def _patches(
        self,
        windows: list[Picture],
        geometry: Geometry,
        places: NDArray[np.int64],
        mouth: NDArray[np.float32],
        reference: Reference,
        colour: Colour,
    ) -> Iterator[Patch]:
        """The patches of one batch; `places` are its frames in the chunk."""
        opacity = geometry.opacity[places]
        seen = np.flatnonzero(opacity)
        size = self.manifest.crop.size
        faces = np.empty((len(seen), 3, size, size), np.float32)
        for face, place in enumerate(seen):
            self._crop(windows[place], geometry, places[place], colour, faces[face])
        images = iter(self._show(faces, geometry, places[seen], mouth[seen], reference))
        for index in range(len(places)):
            if opacity[index]:
                planes = rgb_to_yuv(next(images), colour)
                # Never shown, and a flat colour costs the codec nothing.
                np.copyto(planes, _BLANK, where=self._outside)
                yield Patch(planes, geometry.affine[places[index]], float(opacity[index]))
            else:
                yield self._nothing()

    def _show(
        self,
        faces: NDArray[np.float32],
        geometry: Geometry,
        places: NDArray[np.int64],
        mouth: NDArray[np.float32],
        reference: Reference,
    ) -> NDArray[np.float32]:
        """(n, 3, size, size) RGB: the faces with their mouths as they should be."""
        if not len(faces):
            return faces
        gain = np.ones((len(faces), 2), np.float32)
        gain[:, 1] = np.clip(reference.width / geometry.width[places], *_WIDTH_LIMITS)
        inputs: dict[str, NDArray[np.float32]] = {
            "face": faces,
            "lm": geometry.landmarks[places],
            "mouth": mouth,
            "gain": gain,
            "ref": reference.image,
            "ref_lm": reference.landmarks,
        }
        return self._renderer.run(inputs)[0]

    def _crop(
        self,
        window: Picture,
        geometry: Geometry,
        place: int,
        colour: Colour,
        out: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        affine = geometry.affine[place].astype(np.float64)
        affine[:, 2] += affine[:, :2] @ geometry.origins[place]
        size = self.manifest.crop.size
        return crop_rgb(window, affine.astype(np.float32), size, colour, out)

    def _nothing(self) -> Patch:
        """What stands for a frame that stays as it is."""
        size = self.manifest.crop.size
        blank = np.full((3, size, size), _BLANK, np.uint8)
        return Patch(blank, np.eye(2, 3, dtype=np.float32), 0.0)


def _mouths(
    footage: FootageReader,
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """The footage's frames that have a face, with the widths and the gaps of their mouths."""
    frames, widths, gaps = [np.zeros(0, np.int64)], [], []
    for chunk in footage.footage.chunks:
        track = footage.track(chunk)
        seen = track.confidence > 0
        frames.append(chunk.first + np.flatnonzero(seen))
        widths.append(mouth_width(track.landmarks[seen]))
        gaps.append(mouth_gap(track.landmarks[seen]))
    empty = np.zeros(0, np.float32)
    return np.concatenate(frames), np.concatenate([empty, *widths]), np.concatenate([empty, *gaps])


def _outside(mask: Mask, size: int) -> NDArray[np.bool_]:
    """(size, size): pixels that no mask weight reaches, not even through interpolation."""
    place = (np.arange(size) + 0.5) / size
    reach = 3.5 * mask.feather + 4 / size
    x = (place - mask.centre[0]) / (mask.radii[0] + reach)
    y = (place - mask.centre[1]) / (mask.radii[1] + reach)
    return x[None] ** 2 + y[:, None] ** 2 > 1
