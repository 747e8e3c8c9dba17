"""The `wav2lip` family: Wav2Lip and the models that were trained like it, at 96 to 384 pixels.

One graph, `generator`, whose tensors are told apart by shape, for exporters name them at will
(https://github.com/Rudrabha/Wav2Lip; float32 or float16):

- [n, 1, 80, t], t columns of the log-mel spectrogram of `functions.infer.mel`; the window of frame
  i begins at column floor(80 i / rate) + offset;
- [n, 6, s, s], the face's box stretched to a square, blue first, in 0..1: three channels with the
  lower half black, then three of the whole face;
- out: [n, 3, s, s] in 0..1, in the same order of colours.

Published inference ends with the last whole window, up to 0.2 s before the voice does. Here every
frame of the output has a window; past the recording's end it holds silence.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from typing import Annotated, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked_dataclass

from functions.analysis import Footage
from functions.errors import BadModelError
from functions.infer.backends import Backend, Graph
from functions.infer.backends.graph import TensorSpec
from functions.infer.family import FootageReader, Patch, Span, VoiceReader
from functions.infer.manifest import Manifest
from functions.infer.mel import BANDS, HOP, MARGIN, MELS_PER_SECOND, log_mel_between
from functions.infer.model_draft import Draft, OnnxFile
from functions.infer.repaint import Repainter, need_faces, pictures
from functions.patches import Mask

GRAPH: Final = "generator"
SIZES: Final = (96, 384)
"""Pixels of a face, from and to."""
COLUMNS: Final = 16
"""Of a window, where the graph takes any number."""

MASK: Final = Mask(centre=(0.5, 0.74), radii=(0.36, 0.2), feather=0.025, border=0.02)
"""The mouth with the jaw below it: what the model has no reason to repaint stays as it is."""

Pixels = Annotated[int, Field(ge=-1000, le=1000)]


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Table:
    """`[wav2lip]` in `model.toml`.

    Args:
        offset: columns of the spectrogram, 80 a second, by which a frame's window begins later.
        pads: frame pixels that the box is larger than the face: top, bottom, left, right.
        colours: the order of the graph's channels.
    """

    offset: Annotated[int, Field(ge=-800, le=800)] = 0
    pads: tuple[Pixels, Pixels, Pixels, Pixels] = (0, 10, 0, 0)
    colours: Literal["bgr", "rgb"] = "bgr"


class Wav2Lip:
    """A model of this family.

    Args:
        manifest: what it is.
        generator: its graph.
        batch: frames that are rendered at once.

    Raises:
        BadModelError: the graph or the table isn't of this family.
    """

    prepared_name = "wav2lip"

    def __init__(self, manifest: Manifest, generator: Graph, batch: int) -> None:
        self.manifest = manifest
        self._table = manifest.table(Table)
        self._generator = generator
        self._mel, self._face = find_inputs(manifest.label, generator.inputs)
        self._columns = self._mel.shape[3] or COLUMNS
        self._order = -1 if self._table.colours == "bgr" else 1
        self._repainter = Repainter(manifest, batch)
        manifest.check_size(self._face.shape[2])

    @staticmethod
    def load(manifest: Manifest, backend: Backend, batch: int) -> "Wav2Lip":
        """Loads the model's graph.

        Raises:
            BadModelError: a file is missing or damaged, or isn't of this family.
            BackendFault: no backend can run the graph.
        """
        return Wav2Lip(manifest, backend.load(manifest.graph(GRAPH)), batch)

    @property
    def backend(self) -> str:
        """What really computes."""
        return self._generator.backend

    def prepare(self, footage: FootageReader) -> bytes:
        """Nothing: each frame is its own reference.

        Raises:
            RejectedInput: no frame of it has a face.
        """
        need_faces(footage)
        return b""

    def render(
        self, footage: FootageReader, prepared: bytes, voice: VoiceReader, span: Span
    ) -> Iterator[Patch]:
        """See `functions.infer.family.Family`."""
        del prepared
        box = partial(face_box, pads=self._table.pads, frame=footage.footage)
        heard = self.hear(voice, span)
        return self._repainter.patches(footage, span, box, heard, self._paint)

    def hear(self, voice: VoiceReader, span: Span) -> NDArray[np.float32]:
        """(n, 1, 80, t): the window of each frame of a span."""
        frames = range(span.first, span.last)
        offset = self._table.offset
        begins = np.array([window_begin(frame, span.rate) + offset for frame in frames])
        first, last = int(begins[0]), int(begins[-1]) + self._columns
        low = first * HOP - MARGIN
        samples = voice.samples(low, (last - 1) * HOP + MARGIN)
        columns = log_mel_between(samples, first, last, offset=max(low, 0))
        windows = np.lib.stride_tricks.sliding_window_view(columns, self._columns, axis=0)
        heard: NDArray[np.float32] = windows[begins - first][:, None]
        return heard

    def _paint(self, faces: NDArray[np.float32], heard: NDArray[np.float32]) -> NDArray[np.float32]:
        size = self.manifest.crop.size
        inputs = {
            self._mel.name: heard.astype(self._mel.dtype),
            self._face.name: face_input(faces[:, :: self._order]).astype(self._face.dtype),
        }
        made = self._generator.run(inputs)[0]
        shape = (len(faces), 3, size, size)
        return pictures(self.manifest, made, shape, 0.0)[:, :: self._order]


def face_box(
    landmarks: NDArray[np.float32], *, pads: tuple[int, int, int, int], frame: Footage
) -> NDArray[np.float64]:
    """The face from hairline to chin and from ear to ear, with pads, as far as the frame goes.

    Args:
        landmarks: (n, 468, 2), frame pixels.
        pads: top, bottom, left, right, pixels.
        frame: has its width and height.

    Returns:
        (n, 4) left, top, right, bottom: edges, half a pixel beyond centres.
    """
    top, bottom, left, right = pads
    points = landmarks.astype(np.float64) + 0.5
    low = points.min(axis=1) - (left, top)
    high = points.max(axis=1) + np.array([right, bottom])
    size = (frame.width, frame.height)
    return np.concatenate([np.clip(low, 0, size), np.clip(high, 0, size)], axis=1)


def window_begin(frame: int, rate: Fraction) -> int:
    """The first column that a frame hears."""
    return frame * MELS_PER_SECOND * rate.denominator // rate.numerator


def face_input(faces: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 6, s, s) of (n, 3, s, s): what shall be painted, its lower half black, and a model."""
    shown = np.concatenate([faces, faces], axis=1)
    shown[:, :3, faces.shape[2] // 2 :] = 0
    return shown


def find_inputs(label: str, inputs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, TensorSpec]:
    """The spectrogram and the face among a graph's inputs, told apart by their shapes.

    Raises:
        BadModelError: they aren't those of this family.
    """
    mels = [spec for spec in inputs if _is_mel(spec.shape)]
    faces = [spec for spec in inputs if _is_face(spec.shape)]
    if (len(inputs), len(mels), len(faces)) != (2, 1, 1):
        found = ", ".join(f"{spec.name} {list(spec.shape)}" for spec in inputs)
        wanted = f"[n, 1, {BANDS}, t] and [n, 6, s, s] with s from {SIZES[0]} to {SIZES[1]}"
        raise BadModelError(f"model {label} takes {found}; this family has {wanted}")
    for spec in (*mels, *faces):
        if spec.dtype not in ("float32", "float16"):
            raise BadModelError(f"model {label} takes {spec.dtype}; this family has float32")
    return mels[0], faces[0]


def _is_mel(shape: tuple[int | None, ...]) -> bool:
    return len(shape) == 4 and shape[1] in (1, None) and shape[2] == BANDS


def _is_face(shape: tuple[int | None, ...]) -> bool:
    if len(shape) != 4 or shape[1] != 6 or shape[2] != shape[3]:
        return False
    return shape[2] is None or (SIZES[0] <= shape[2] <= SIZES[1] and shape[2] % 2 == 0)


def draft(label: str, graphs: Sequence[OnnxFile], size: int | None) -> Draft:
    """What becomes of a bare graph.

    Args:
        label: how the model will be called.
        graphs: one.
        size: pixels of a face, where the graph takes any.

    Raises:
        BadModelError: it is no graph of this family.
    """
    if len(graphs) != 1:
        raise BadModelError(f"model {label} has {len(graphs)} graphs; this family has one")
    [graph] = graphs
    mel, face = find_inputs(label, graph.inputs)
    if mel.shape[0] != face.shape[0]:
        what = f"takes {mel.shape[0]} windows and {face.shape[0]} faces at once"
        raise BadModelError(f"model {label} {what}; there is one window for each face")
    side = face.shape[2] or size or SIZES[0]
    if size not in (None, side):
        raise BadModelError(f"model {label} takes faces of {side} pixels, not of {size}")
    made = [output.shape for output in graph.outputs[:1]]
    if not all(_fits(shape, (None, 3, side, side)) for shape in made):
        raise BadModelError(f"model {label} gives {list(made[0])}, not [n, 3, {side}, {side}]")
    # The published programs for 384 pixels take a larger box.
    pads = (0, 15, 0, 0) if side >= SIZES[1] else Table().pads
    files = {f"{GRAPH}.onnx": graph.path} | {
        name: graph.path.parent / name for name in graph.weights
    }
    return Draft(side, MASK, files, {"pads": pads})


def _fits(shape: tuple[int | None, ...], wanted: tuple[int | None, ...]) -> bool:
    """Whether sizes are as wanted, as far as either says."""
    pairs = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(None in pair or pair[0] == pair[1] for pair in pairs)
