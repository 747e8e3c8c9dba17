"""The `musetalk` family: MuseTalk 1.5 paints the lower face in the latent space of an autoencoder.

Its four graphs are described in `functions.infer.families.musetalk_graphs`.

The UNet's step is always its first, so the time is part of the graph. Latents are the mean, not a
sample, so that a run comes out the same again; those of a footage are worked out once, chunk by
chunk as they are wanted, and kept beside its windows.
"""

from collections.abc import Iterator
from functools import partial
from itertools import groupby, islice
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked_dataclass

from functions.analysis import Chunk, dump_arrays, load_arrays
from functions.errors import BadModelError
from functions.infer.backends import Backend, Graph
from functions.infer.boxes import Boxes, BoxSurveyor
from functions.infer.families.musetalk_graphs import GRAPHS, LATENT, SIZE, fits, said, takes
from functions.infer.family import FootageReader, Patch, Span, VoiceReader
from functions.infer.geometry import chunk_of
from functions.infer.manifest import Manifest
from functions.infer.repaint import Repainter, need_faces
from functions.infer.whisper_tokens import WhisperTokens
from functions.picture import Colour, crop_rgb

ENCODED_AT_ONCE: Final = 4

# Of the 468 landmarks: the contour from ear to ear, and the bridge of the nose just above its tip,
# which is where the 68 landmarks that MuseTalk was trained on have their number 29.
_JAW: Final = (
    *(234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152),
    *(377, 400, 378, 379, 365, 397, 288, 361, 323, 454),
)
_BRIDGE: Final = 5


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Table:
    """`[musetalk]` in `model.toml`.

    Args:
        margin: frame pixels below the chin that belong to the box.
        scaling: of the VAE: brings its latents to a variance of about 1.
    """

    margin: int = Field(default=10, ge=0, le=500)
    scaling: float = Field(default=0.18215, gt=0)


class MuseTalk:
    """A model of this family.

    Args:
        manifest: what it is.
        table: the box and the latents' scale.
        hears: the voice's features.
        encoder: of the VAE.
        unet: paints.
        decoder: of the VAE.
        batch: frames that are rendered at once.
    """

    prepared_name = "musetalk.npz"

    def __init__(
        self,
        manifest: Manifest,
        table: Table,
        hears: WhisperTokens,
        encoder: Graph,
        unet: Graph,
        decoder: Graph,
        batch: int,
    ) -> None:
        self.manifest = manifest
        self._table = table
        self._scaling = np.float32(table.scaling)
        self._repainter = Repainter(manifest, batch)
        self._hears = hears
        self._encoder = encoder
        self._unet = unet
        self._decoder = decoder
        self._batch = batch

    @staticmethod
    def load(manifest: Manifest, backend: Backend, batch: int) -> "MuseTalk":
        """Loads the model's four graphs.

        Raises:
            BadModelError: a file is missing or damaged, or a graph takes other shapes.
            BackendFault: no backend can run a graph.
        """
        table = manifest.table(Table)
        whisper, encoder, unet, decoder = (backend.load(manifest.graph(name)) for name in GRAPHS)
        for name, graph in zip(GRAPHS, (whisper, encoder, unet, decoder), strict=True):
            if not takes(graph.inputs, GRAPHS[name]):
                raise BadModelError(f"model {manifest.label} {said(name, graph.inputs)}")
        hears = WhisperTokens(whisper)
        return MuseTalk(manifest, table, hears, encoder, unet, decoder, batch)

    @property
    def backend(self) -> str:
        """What really computes."""
        return self._unet.backend

    def prepare(self, footage: FootageReader) -> bytes:
        """How many chunks of latents there will be; each is kept when it is first wanted.

        Raises:
            RejectedInput: no frame of it has a face.
        """
        need_faces(footage)
        return dump_arrays(chunks=np.array([len(footage.footage.chunks)]))

    def render(
        self,
        footage: FootageReader,
        prepared: bytes,  # noqa: ARG002 -- what this family prepares is kept by chunk
        voice: VoiceReader,
        span: Span,
    ) -> Iterator[Patch]:
        """See `functions.infer.family.Family`."""
        heard = self._hears.hear(voice, span.rate, span.first, span.last)
        box = partial(face_box, margin=self._table.margin, height=footage.footage.height)
        surveyor = BoxSurveyor(footage, box, SIZE)
        colour = footage.footage.colour
        at = 0
        for chunk, run in groupby(span.shown, lambda frame: chunk_of(footage.footage, frame)):
            frames = np.array(list(run))
            part = heard[at : at + len(frames)]
            at += len(frames)
            if chunk is None:
                yield from (self._repainter.nothing() for _ in frames)
                continue
            boxes = surveyor.survey(chunk)
            latents = self._latents(footage, chunk, boxes)
            for start in range(0, len(frames), self._batch):
                batch = slice(start, start + self._batch)
                places = frames[batch] - chunk.first
                yield from self._patches(latents, boxes, places, part[batch], colour)

    def _latents(self, footage: FootageReader, chunk: Chunk, boxes: Boxes) -> NDArray[np.float32]:
        """(chunk.count, 8, 32, 32), as they are kept with the footage."""
        name = f"latents-{chunk.index:04d}.npz"
        kept = footage.kept(name, lambda: dump_arrays(latents=self._encode(footage, chunk, boxes)))
        latents: NDArray[np.float32] = load_arrays(kept)["latents"]
        return latents

    def _encode(self, footage: FootageReader, chunk: Chunk, boxes: Boxes) -> NDArray[np.float32]:
        """Of the masked face and then of the whole one; zeros where there is none."""
        latents = np.zeros((chunk.count, 2 * LATENT[0], *LATENT[1:]), np.float32)
        windows = footage.windows(chunk, range(chunk.first, chunk.first + chunk.count))
        colour = footage.footage.colour
        for start in range(0, chunk.count, ENCODED_AT_ONCE):
            batch = list(islice(windows, ENCODED_AT_ONCE))
            seen = [row for row in range(len(batch)) if boxes.opacity[start + row]]
            faces = [
                crop_rgb(
                    batch[row],
                    boxes.in_window(start + row),
                    SIZE,
                    colour,
                    interpolation=cv2.INTER_LANCZOS4,
                )
                for row in seen
            ]
            if faces:
                latents[[start + row for row in seen]] = self._moments(np.stack(faces))
        return latents

    def _moments(self, faces: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, 8, 32, 32) latents of (n, 3, 256, 256) RGB faces in 0..1."""
        whole = faces * np.float32(2) - np.float32(1)
        masked = whole.copy()
        masked[:, :, SIZE // 2 :] = -1
        means = _run(self._encoder, np.concatenate([masked, whole]))[:, : LATENT[0]]
        self._check("latents", means, (2 * len(faces), *LATENT))
        return np.concatenate(np.split(means * self._scaling, 2), axis=1)

    def _patches(
        self,
        latents: NDArray[np.float32],
        boxes: Boxes,
        places: NDArray[np.int64],
        heard: NDArray[np.float32],
        colour: Colour,
    ) -> Iterator[Patch]:
        """The patches of one batch; `places` are its frames in the chunk."""
        seen = np.flatnonzero(boxes.opacity[places])
        images = iter(self._paint(latents[places[seen]], heard[seen]) if len(seen) else ())
        for place in places:
            if boxes.opacity[place]:
                yield self._repainter.patch(next(images), boxes, int(place), colour)
            else:
                yield self._repainter.nothing()

    def _paint(
        self, latents: NDArray[np.float32], heard: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(n, 3, 256, 256) RGB in 0..1: the faces as they speak."""
        painted = _run(self._unet, latents, heard)
        images = _run(self._decoder, painted / self._scaling)
        self._check("pictures", images, (len(latents), 3, SIZE, SIZE))
        shown: NDArray[np.float32] = images * np.float32(0.5) + np.float32(0.5)
        return np.clip(shown, 0, 1)

    def _check(self, what: str, made: NDArray[np.float32], shape: tuple[int, ...]) -> None:
        """Nothing is kept or shown that isn't what it should be."""
        if made.shape != shape:
            said = f"made {what} of shape {made.shape} where {shape} is wanted"
            raise BadModelError(f"model {self.manifest.label} {said}")
        if not np.isfinite(made).all():
            raise BadModelError(f"model {self.manifest.label} made NaN or infinity for {what}")


def face_box(landmarks: NDArray[np.float32], margin: int, height: int) -> NDArray[np.float64]:
    """MuseTalk 1.5's box: from ear to ear, the bridge of the nose in the middle between its edges.

    The lower edge, at the chin, is then moved down by the margin, as far as the frame's height
    goes. See `functions.infer.boxes`.
    """
    jaw = landmarks[:, _JAW].astype(np.float64)
    left, right = jaw[:, :, 0].min(axis=1), jaw[:, :, 0].max(axis=1)
    chin = jaw[:, :, 1].max(axis=1)
    top = 2 * landmarks[:, _BRIDGE, 1].astype(np.float64) - chin
    return np.stack([left, top, right, np.minimum(chin + margin, height)], axis=1)


def _run(graph: Graph, *arrays: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first output, in float32 whatever the graph computes in."""
    inputs = {
        tensor.name: array.astype(tensor.dtype, copy=False)
        for tensor in graph.inputs
        for array in arrays
        if fits(tensor.shape[1:], array.shape[1:])
    }
    output: NDArray[np.float32] = graph.run(inputs)[0].astype(np.float32, copy=False)
    return output
