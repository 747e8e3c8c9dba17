"""What infer and a family of models say to each other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from functions.analysis import Chunk, Footage, Track
from functions.infer.manifest import Manifest
from functions.picture import Affine, Picture, Plane


class FootageReader(Protocol):
    """A footage's analysis, read piece by piece."""

    @property
    def footage(self) -> Footage:
        """The whole of it in short."""
        ...

    def track(self, chunk: Chunk) -> Track:
        """The face in a chunk's frames."""
        ...

    def windows(self, chunk: Chunk, frames: Sequence[int]) -> Iterator[Picture]:
        """Face windows of some footage frames, rising, which lie in the chunk."""
        ...

    def kept(self, name: str, make: Callable[[], bytes]) -> bytes:
        """What is kept for this model beside the windows; made, and kept, where it is missing.

        For what grows with the footage's length and is wanted in pieces; what a model needs as a
        whole comes from `Family.prepare`.
        """
        ...


class VoiceReader(Protocol):
    """A voice, read piece by piece."""

    @property
    def level(self) -> float:
        """How loud the whole of it is, see `Voice.level`."""
        ...

    def samples(self, first: int, last: int) -> NDArray[np.float32]:
        """Samples [first, last) in -1..1, as many of them as the recording has."""
        ...


@dataclass(frozen=True)
class Span:
    """Some frames of the output's timeline.

    Args:
        first: output frame.
        last: output frame after the last one.
        rate: frames a second.
        shown: for each of them the footage frame that it shows.
        loop: by which rule, see `functions.runs.source_frames`; says what is shown beyond.
    """

    first: int
    last: int
    rate: Fraction
    shown: Sequence[int]
    loop: str = "pingpong"


@dataclass(frozen=True, eq=False)
class Patch:
    """A mouth for one output frame.

    Args:
        planes: (3, size, size) uint8 YUV 4:4:4 in the footage's colours.
        affine: (2, 3), upright frame pixels to patch pixels.
        opacity: 0..1; 0 leaves the frame untouched.
    """

    planes: Plane
    affine: Affine
    opacity: float


class Family(Protocol):
    """A family of models: everything between an analysis and mouth patches."""

    @property
    def manifest(self) -> Manifest:
        """The model."""
        ...

    @property
    def backend(self) -> str:
        """What really computes."""
        ...

    @property
    def prepared_name(self) -> str:
        """What `prepare` is stored as."""
        ...

    def prepare(self, footage: FootageReader) -> bytes:
        """What is worked out once about a footage; equal footage gives equal bytes."""
        ...

    def render(
        self, footage: FootageReader, prepared: bytes, voice: VoiceReader, span: Span
    ) -> Iterator[Patch]:
        """A patch for each frame of the span, in order, however the timeline is cut."""
        ...
