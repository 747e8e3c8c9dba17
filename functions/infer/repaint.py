"""What families have in common that repaint a box of the face, frame by frame.

Crops come out of the face windows, patches go back in the footage's own colours, and frames without
a face pass through. Which model paints in between is none of this file's business.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from functions.errors import BadModelError, Code, RejectedInput
from functions.infer.boxes import Boxes, BoxOf, BoxSurveyor
from functions.infer.family import FootageReader, Patch, Span
from functions.infer.geometry import chunk_of
from functions.infer.manifest import Manifest
from functions.picture import Colour, Picture, crop_rgb, rgb_to_yuv

Paint = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]
"""(n, 3, size, size) RGB in 0..1, and what is heard in the frames that show them, to such pictures.

What is heard has a row for each frame, in whatever shape the model takes it.
"""

_BLANK = 128
_TOLERANCE = 0.1  # of a picture's range: half precision and int8 overshoot, other ranges don't fit


@dataclass(frozen=True, eq=False)
class Repainter:
    """Repaints faces for one model.

    Args:
        manifest: the model.
        batch: frames that are painted at once.
    """

    manifest: Manifest
    batch: int

    def patches(
        self,
        footage: FootageReader,
        span: Span,
        box: BoxOf,
        heard: NDArray[np.float32],
        paint: Paint,
    ) -> Iterator[Patch]:
        """A patch for each frame of the span, in order.

        Args:
            footage: whose face it is.
            span: the frames.
            box: what the model sees of a face.
            heard: a row for each frame of the span.
            paint: see `Paint`.
        """
        surveyor = BoxSurveyor(footage, box, self.manifest.crop.size)
        done = 0
        for chunk, run in groupby(span.shown, lambda frame: chunk_of(footage.footage, frame)):
            frames = np.array(list(run))
            rows = heard[done : done + len(frames)]
            done += len(frames)
            if chunk is None:
                yield from (self.nothing() for _ in frames)
                continue
            # Frames of one chunk in a row, in whatever order: their windows are held at once.
            needed = sorted({int(frame) for frame in frames})
            windows = dict(zip(needed, footage.windows(chunk, needed), strict=True))
            boxes = surveyor.survey(chunk)
            for start in range(0, len(frames), self.batch):
                part = slice(start, start + self.batch)
                shown = [windows[int(frame)] for frame in frames[part]]
                places = frames[part] - chunk.first
                colour = footage.footage.colour
                yield from self._repaint(shown, boxes, places, rows[part], colour, paint)

    def _repaint(
        self,
        windows: list[Picture],
        boxes: Boxes,
        places: NDArray[np.int64],
        heard: NDArray[np.float32],
        colour: Colour,
        paint: Paint,
    ) -> Iterator[Patch]:
        """The patches of one batch; `places` are its frames in the chunk."""
        seen = np.flatnonzero(boxes.opacity[places])
        size = self.manifest.crop.size
        faces = np.empty((len(seen), 3, size, size), np.float32)
        for face, index in enumerate(seen):
            affine = boxes.in_window(int(places[index]))
            crop_rgb(windows[index], affine, size, colour, faces[face])
        painted = iter(paint(faces, heard[seen]) if len(seen) else ())
        for place in places:
            if boxes.opacity[place]:
                yield self.patch(next(painted), boxes, int(place), colour)
            else:
                yield self.nothing()

    def patch(
        self, painted: NDArray[np.float32], boxes: Boxes, place: int, colour: Colour
    ) -> Patch:
        """The patch of a (3, size, size) RGB picture, for the chunk's frame `place`."""
        planes = rgb_to_yuv(painted, colour)
        # Never shown, and a flat colour costs the codec nothing.
        np.copyto(planes, _BLANK, where=self._outside)
        return Patch(planes, boxes.affine[place], float(boxes.opacity[place]))

    @cached_property
    def _outside(self) -> NDArray[np.bool_]:
        return self.manifest.mask.outside(self.manifest.crop.size)

    def nothing(self) -> Patch:
        """What stands for a frame that stays as it is."""
        size = self.manifest.crop.size
        blank = np.full((3, size, size), _BLANK, np.uint8)
        return Patch(blank, np.eye(2, 3, dtype=np.float32), 0.0)


def pictures(
    manifest: Manifest, values: NDArray[np.floating], shape: tuple[int, ...], low: float
) -> NDArray[np.float32]:
    """What a model painted, checked and brought to 0..1.

    Args:
        manifest: the model.
        values: what came out of its graph, for pictures in low..1.
        shape: that it has to have.
        low: 0 or -1.

    Raises:
        BadModelError: the shape or the range is another one, or there is a NaN.
    """
    if values.shape != shape:
        what = f"made an output of shape {values.shape} where {shape} is wanted"
        raise BadModelError(f"model {manifest.label} {what}")
    least, most = float(values.min(initial=low)), float(values.max(initial=low))
    if not np.isfinite([least, most]).all():
        raise BadModelError(f"model {manifest.label} made NaN or infinity instead of a picture")
    room = _TOLERANCE * (1 - low)
    if least < low - room or most > 1 + room:
        what = f"made values from {least:.3g} to {most:.3g} where {low:g} to 1 is a picture"
        raise BadModelError(f"model {manifest.label} {what}")
    scaled = (values.astype(np.float32) - np.float32(low)) / np.float32(1 - low)
    clipped: NDArray[np.float32] = np.clip(scaled, 0, 1)
    return clipped


def need_faces(footage: FootageReader) -> None:
    """Refuses footage that no frame of could be repainted.

    Raises:
        RejectedInput: no frame of it has a face.
    """
    if not footage.footage.faces:
        raise RejectedInput(Code.NO_FACE, "No frame of the footage shows a face.")
