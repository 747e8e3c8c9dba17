"""The `ultralight` family: small networks that paint one presenter's lower face.

Two graphs (https://github.com/anliyuan/Ultralight-Digital-Human; float32 or float16):

- `encoder`, which makes features of the voice, see `functions.infer.speech_features`;
- `generator`: [n, 6, s, s], a square of the face below the eyes, blue first, in 0..1: three
  channels of all of it, then three with a black rectangle, the opposite order of Wav2Lip's; and
  [n, c, h, w], the features around the frame's own, from half of them before it on, in one piece.
  Out comes [n, 3, s, s] in the same order of colours.

The face's square is made 8 pixels larger than the network's, whose border of 4 is cut off. Both
tensors are told apart by their shapes. Relatives that work on -1..1 or with red first say so in
`[ultralight]`.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from math import prod
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked_dataclass

from functions.errors import BadModelError
from functions.infer.backends import Backend, Graph
from functions.infer.backends.graph import TensorSpec
from functions.infer.family import FootageReader, Patch, Span, VoiceReader
from functions.infer.manifest import Manifest
from functions.infer.model_draft import Draft, OnnxFile
from functions.infer.repaint import Repainter, need_faces, pictures
from functions.infer.speech_features import (
    Features,
    HubertFeatures,
    WenetFeatures,
    features_of,
    is_hubert,
    is_wenet,
)
from functions.patches import Mask

GENERATOR: Final = "generator"
ENCODER: Final = "encoder"
SIZES: Final = (96, 512)
"""Pixels of a square, from and to."""
WINDOWS: Final = (8, 16)
"""Features that a network hears at once."""
BORDER: Final = 4
"""Pixels of the larger square that the network doesn't see."""
MASK: Final = Mask(centre=(0.5, 0.55), radii=(0.36, 0.32), feather=0.025, border=0.06)
"""The mouth with the chin, inside of the black rectangle."""

# Of the 468 landmarks: before the ears, and the outer corners of the eyes. They stand for numbers
# 1, 31 and 52 of the landmarks that these networks were trained on: both ends of the jaw's line,
# and the height of the eyes.
_EARS: Final = (234, 454)
_EYES: Final = (33, 263)


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Table:
    """`[ultralight]` in `model.toml`.

    Args:
        colours: the order of the graph's channels.
        range: of its pictures: 0..1 or -1..1.
    """

    colours: Literal["bgr", "rgb"] = "bgr"
    range: Literal["unit", "signed"] = "unit"


class Ultralight:
    """A model of this family.

    Args:
        manifest: what it is.
        encoder: the graph that listens.
        generator: the graph that paints.
        batch: frames that are rendered at once.

    Raises:
        BadModelError: the graphs or the table aren't of this family.
    """

    prepared_name = "ultralight"

    def __init__(self, manifest: Manifest, encoder: Graph, generator: Graph, batch: int) -> None:
        self.manifest = manifest
        table = manifest.table(Table)
        self._features = features_of(manifest.label, encoder)
        self._generator = generator
        self._face, self._audio = find_inputs(manifest.label, generator.inputs)
        self._window = window_of(manifest.label, self._audio, self._features.values)
        self._order = -1 if table.colours == "bgr" else 1
        self._low = 0.0 if table.range == "unit" else -1.0
        self._repainter = Repainter(manifest, batch)
        manifest.check_size(self._face.shape[2])

    @staticmethod
    def load(manifest: Manifest, backend: Backend, batch: int) -> "Ultralight":
        """Loads the model's two graphs.

        Raises:
            BadModelError: a file is missing or damaged, or isn't of this family.
            BackendFault: no backend can run a graph.
        """
        encoder = backend.load(manifest.graph(ENCODER))
        return Ultralight(manifest, encoder, backend.load(manifest.graph(GENERATOR)), batch)

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
        box = partial(face_box, size=self.manifest.crop.size)
        heard = self.hear(voice, span)
        return self._repainter.patches(footage, span, box, heard, self._paint)

    def hear(self, voice: VoiceReader, span: Span) -> NDArray[np.float32]:
        """(n, c, h, w): the features around each frame of a span."""
        rate = span.rate
        frames = np.arange(span.first, span.last)
        own = frames * self._features.rate * rate.denominator // rate.numerator
        begins = own - self._window // 2
        first, last = int(begins[0]), int(begins[-1]) + self._window
        features = self._features.hear(voice, first, last)
        windows = features[(begins - first)[:, None] + np.arange(self._window)]
        sizes = [size for size in self._audio.shape[1:] if size is not None]
        heard: NDArray[np.float32] = windows.reshape(len(frames), *sizes)
        return heard

    def _paint(self, faces: NDArray[np.float32], heard: NDArray[np.float32]) -> NDArray[np.float32]:
        size = self.manifest.crop.size
        shown = face_input(faces[:, :: self._order])
        shown = shown * np.float32(1 - self._low) + np.float32(self._low)
        inputs = {
            self._face.name: shown.astype(self._face.dtype),
            self._audio.name: heard.astype(self._audio.dtype),
        }
        made = self._generator.run(inputs)[0]
        shape = (len(faces), 3, size, size)
        return pictures(self.manifest, made, shape, self._low)[:, :: self._order]


def face_input(faces: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 6, s, s) of (n, 3, s, s): the face, then the face with what shall be painted black."""
    size = faces.shape[2]
    shown = np.concatenate([faces, faces], axis=1)
    # 150 wide and 145 high at 160 pixels.
    shown[:, 3:, 5 : size - 10, 5 : size - 5] = 0
    return shown


def face_box(landmarks: NDArray[np.float32], *, size: int) -> NDArray[np.float64]:
    """The square below the eyes, as wide as the face, without its border.

    Args:
        landmarks: (n, 468, 2), frame pixels.
        size: pixels of the network's square.

    Returns:
        (n, 4) left, top, right, bottom: edges, half a pixel beyond centres.
    """
    points = landmarks.astype(np.float64) + 0.5
    left, right = points[:, _EARS[0], 0], points[:, _EARS[1], 0]
    top = points[:, _EYES, 1].mean(axis=1)
    # A face from the side has its ears on one spot; a pixel keeps the arithmetic finite.
    side = np.maximum(right - left, 1.0)
    box = np.stack([left, top, left + side, top + side], axis=1)
    border = (side * BORDER / (size + 2 * BORDER))[:, None]
    inner: NDArray[np.float64] = box + border * np.array([1, 1, -1, -1])
    return inner


def find_inputs(label: str, inputs: Sequence[TensorSpec]) -> tuple[TensorSpec, TensorSpec]:
    """The face and the features among a generator's inputs, told apart by their shapes.

    Raises:
        BadModelError: they aren't those of this family.
    """
    faces = [spec for spec in inputs if _is_face(spec.shape)]
    others = [spec for spec in inputs if spec not in faces]
    fit = len(faces) == len(others) == 1 and None not in others[0].shape[1:]
    if not fit:
        found = ", ".join(f"{spec.name} {list(spec.shape)}" for spec in inputs)
        wanted = f"[n, 6, s, s] with s from {SIZES[0]} to {SIZES[1]} and [n, c, h, w]"
        raise BadModelError(f"model {label} takes {found}; this family has {wanted}")
    return faces[0], others[0]


def window_of(label: str, audio: TensorSpec, values: int) -> int:
    """How many features the generator sees at once.

    Raises:
        BadModelError: its input isn't made of this encoder's features.
    """
    size = prod(int(each or 0) for each in audio.shape[1:])
    if size not in [each * values for each in WINDOWS]:
        what = f"takes {list(audio.shape)} of what is heard; its encoder gives {values} a feature"
        raise BadModelError(f"model {label} {what}")
    return size // values


def _is_face(shape: tuple[int | None, ...]) -> bool:
    if len(shape) != 4 or shape[1] != 6 or shape[2] != shape[3]:
        return False
    return shape[2] is None or SIZES[0] <= shape[2] <= SIZES[1]


def draft(label: str, graphs: Sequence[OnnxFile], size: int | None) -> Draft:
    """What becomes of bare graphs.

    Args:
        label: how the model will be called.
        graphs: the generator and the encoder, in any order.
        size: pixels of the square, where the graph takes any.

    Raises:
        BadModelError: they are no graphs of this family.
    """
    encoders = [graph for graph in graphs if is_wenet(graph.inputs) or is_hubert(graph.inputs)]
    generators = [graph for graph in graphs if graph not in encoders]
    if len(encoders) != 1 or len(generators) != 1:
        names = ", ".join(graph.path.name for graph in graphs)
        what = f"is made of {names}; this family has a generator and a HuBERT or WeNet encoder"
        raise BadModelError(f"model {label} {what}")
    kind: type[Features] = WenetFeatures if is_wenet(encoders[0].inputs) else HubertFeatures
    face, audio = find_inputs(label, generators[0].inputs)
    window_of(label, audio, kind.values)
    side = face.shape[2] or size or 160
    files = {f"{GENERATOR}.onnx": generators[0].path, f"{ENCODER}.onnx": encoders[0].path}
    for graph in graphs:
        files |= {name: graph.path.parent / name for name in graph.weights}
    return Draft(side, MASK, files, {})
