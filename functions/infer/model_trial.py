"""A model's first try: a made-up face and voice, through all that its family does.

Run as a program on a model's folder, it is a process of its own, for a stranger's graph may take
for ever or end the process: `python -m functions.infer.model_trial FOLDER`.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from functions.analysis import Chunk, Footage, Track
from functions.errors import BadModelError, KouboError
from functions.infer.family import Family, Span
from functions.infer.manifest import read_manifest
from functions.picture import Colour, Picture

EXIT_REFUSED: Final = 3
FRAMES: Final = 3
RATE: Final = Fraction(25)
_SIDE: Final = 256
_LEVEL: Final = 0.1

# Where some landmarks lie in a face that is looked at from the front, in parts of its width and
# height: eyes, ears, nose, lips, chin, forehead. The others are strewn over the face.
_KNOWN: Final = dict(
    [
        *((33, (0.18, 0.3)), (263, (0.82, 0.3)), (234, (0.0, 0.4)), (454, (1.0, 0.4))),
        *((127, (0.0, 0.32)), (356, (1.0, 0.32)), (5, (0.5, 0.48)), (1, (0.5, 0.55))),
        *((61, (0.28, 0.72)), (291, (0.72, 0.72)), (0, (0.5, 0.66)), (17, (0.5, 0.79))),
        *((78, (0.32, 0.72)), (308, (0.68, 0.72)), (13, (0.5, 0.7)), (14, (0.5, 0.74))),
        *((10, (0.5, 0.0)), (152, (0.5, 1.0))),
    ]
)


@dataclass(frozen=True)
class MadeUpFace:
    """A `FootageReader` of a few frames of coloured noise with a face's landmarks."""

    footage: Footage

    @staticmethod
    def make() -> "MadeUpFace":
        """The footage."""
        return MadeUpFace(
            Footage(
                digest="made-up",
                sha256="",
                kind="video",
                width=_SIDE,
                height=_SIDE,
                rate_numerator=RATE.numerator,
                rate_denominator=RATE.denominator,
                frames=FRAMES,
                colour=Colour(),
                rotation=0,
                faces=FRAMES,
                chunks=(Chunk(0, 0, FRAMES, _SIDE, _SIDE),),
                poster_frame=0,
                container="",
                decoder="",
            )
        )

    def track(self, chunk: Chunk) -> Track:
        """See `FootageReader`."""
        landmarks = np.tile(face_landmarks(), (chunk.count, 1, 1)).astype(np.float32)
        ones = np.ones(chunk.count, np.float32)
        return Track(landmarks, ones, np.zeros((chunk.count, 2), np.int32))

    def windows(self, chunk: Chunk, frames: Sequence[int]) -> Iterator[Picture]:
        """See `FootageReader`."""
        for frame in frames:
            random = np.random.default_rng(frame)
            packed = random.integers(16, 236, (chunk.height * 3 // 2, chunk.width), np.uint8)
            yield Picture.unpack(packed)

    def kept(self, name: str, make: Callable[[], bytes]) -> bytes:
        """See `FootageReader`; nothing is kept."""
        del name
        return make()


@dataclass(frozen=True)
class MadeUpVoice:
    """A `VoiceReader` of two seconds of noise."""

    level: float = _LEVEL

    def samples(self, first: int, last: int) -> NDArray[np.float32]:
        """See `VoiceReader`."""
        noise = np.random.default_rng(0).normal(0, _LEVEL, 32_000).astype(np.float32)
        return noise[max(first, 0) : max(last, 0)]


def face_landmarks() -> NDArray[np.float64]:
    """(468, 2): a face in the middle of the made-up frames, pixels."""
    index = np.arange(468)
    # A sunflower's seeds: even over a disc.
    radius, angle = 0.49 * np.sqrt((index + 0.5) / 468), index * np.pi * (3 - np.sqrt(5))
    points = 0.5 + np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    for landmark, place in _KNOWN.items():
        points[landmark] = place
    return np.asarray((0.25, 0.2) + points * (0.5, 0.6)) * _SIDE


def try_family(family: Family) -> None:
    """Has a model render some frames.

    Raises:
        BadModelError: what it makes is no picture.
    """
    footage = MadeUpFace.make()
    span = Span(0, FRAMES, RATE, tuple(range(FRAMES)))
    prepared = family.prepare(footage)
    patches = list(family.render(footage, prepared, MadeUpVoice(), span))
    if len(patches) != FRAMES or not all(patch.opacity == 1 for patch in patches):
        raise BadModelError(f"model {family.manifest.label} leaves frames out")


def main(folder: Path) -> int:
    """Tries the model in a folder on this machine's CPU; the last line says what is wrong."""
    from functions.infer.backends import OnnxRuntime  # noqa: PLC0415 -- it takes a while
    from functions.infer.backends.faults import BackendFault  # noqa: PLC0415
    from functions.infer.model_shelf import load_family  # noqa: PLC0415
    from functions.infer.router import Router  # noqa: PLC0415

    label = folder.name
    try:
        manifest = read_manifest(folder)
        label = manifest.label
        try_family(load_family(manifest, Router((OnnxRuntime(),)), FRAMES))
    except BadModelError as refusal:
        return _say(str(refusal), EXIT_REFUSED)
    except BackendFault as refusal:
        return _say(f"model {label}: {refusal}", EXIT_REFUSED)
    except KouboError as error:
        return _say(str(error), 1)
    return 0


def _say(what: str, code: int) -> int:
    sys.stderr.write(" ".join(what.split()) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
