"""What ingest finds out about a voice and a footage, once, for every model.

`voice.json` and `footage.json` are these dataclasses. What grows with the footage's length is kept
beside them in chunks, so that nobody has to hold all of it: `frames.npz` (which source frame each
output frame shows), and for each chunk a lossless video of face windows with a track.
"""

import io
import zlib
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from functions.colour import Colour
from functions.options import FaceChoice

if TYPE_CHECKING:
    # Those who only read plans, such as the gateway and most commands, start 0.1 s sooner without
    # numpy and do without the OpenCV that comes with pictures.
    import numpy as np
    from numpy.typing import NDArray

    from functions.picture import Picture

ANALYSIS_VERSION = 4
"""Part of every digest: raise it when the analysis would come out differently."""


def content_digest(sha256: str, face: FaceChoice = "largest") -> str:
    """The name of an analysis: 128 bits of the content's SHA-256 and the analysis' version.

    Args:
        sha256: of the content; the name of another analysis of it does as well.
        face: which one was followed, of a footage.
    """
    name = f"{sha256[:32]}-{ANALYSIS_VERSION}"
    return name if face == "largest" else f"{name}-{face}"


@dataclass(frozen=True)
class Spent:
    """What an analysis took when it was made, for the reports of the runs that share it."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclass(frozen=True)
class Upload:
    """The record that one version of a file was looked at.

    Args:
        file: its name.
        role: what it turned out to be.
        digest: names its analysis; empty for a refused one.
        refusal: the code, for a refused one.
    """

    file: str
    role: Literal["voice", "face", "refused"]
    digest: str
    refusal: str | None


@dataclass(frozen=True)
class Voice:
    """A voice recording.

    Args:
        digest: of the content, see `content_digest`.
        sha256: of the whole file as it was uploaded.
        seconds: length of the decoded sound.
        level: of loud speech in the 16 kHz mono samples, 0..1, see `functions.loudness`; what
            normalises the level for a model, the same for every segment.
        container: what the prober called the file.
        spent: on the analysis.
    """

    digest: str
    sha256: str
    seconds: float
    level: float
    container: str
    spent: Spent = Spent()


@dataclass(frozen=True)
class Chunk:
    """Face windows of some consecutive footage frames.

    Args:
        index: names the objects, see `FootageKeys.window`.
        first: the first footage frame in it.
        count: frames.
        width: of every window in it, pixels, even.
        height: of every window in it, pixels, even.
    """

    index: int
    first: int
    count: int
    width: int
    height: int


@dataclass(frozen=True)
class Footage:
    """A face video, or a portrait, which is footage of one frame.

    Args:
        digest: of the content, see `content_digest`.
        sha256: of the whole file as it was uploaded.
        kind: a portrait has one frame and no rate of its own.
        width: of the upright picture, pixels, even.
        height: of the upright picture, pixels, even.
        rate_numerator: frames a second, after mapping to a constant rate.
        rate_denominator: see `rate_numerator`.
        frames: at that rate.
        colour: what the planes mean.
        rotation: degrees clockwise by which the decoded picture is turned upright: 0, 90, 180, 270.
        faces: frames that have a face.
        chunks: of face windows; footage frames outside all of them have none.
        poster_frame: the frame of `poster.jpg`.
        container: what the prober called the file.
        decoder: library versions that read it; frame checksums hold for these.
        keyframe_distance: see `FrameMap`.
        spent: on the analysis.
        hidden: frames of those with a face whose mouth is not in plain sight.
    """

    digest: str
    sha256: str
    kind: Literal["video", "portrait"]
    width: int
    height: int
    rate_numerator: int
    rate_denominator: int
    frames: int
    colour: Colour
    rotation: int
    faces: int
    chunks: tuple[Chunk, ...]
    poster_frame: int
    container: str
    decoder: str
    keyframe_distance: int = 1
    spent: Spent = Spent()
    hidden: int = 0

    @property
    def rate(self) -> Fraction:
        """Frames a second."""
        return Fraction(self.rate_numerator, self.rate_denominator)


@dataclass(frozen=True, eq=False)
class Track:
    """The face in the frames of one chunk.

    Args:
        landmarks: (n, 468, 2) float32, frame pixels of the upright picture, smoothed; where a frame
            has no face, the neighbours' are held.
        confidence: (n,) float32 in 0..1; 0 where the frame has no face, or something is before its
            mouth.
        origins: (n, 2) int32, even: x and y of the window's top left corner in the frame.
    """

    landmarks: "NDArray[np.float32]"
    confidence: "NDArray[np.float32]"
    origins: "NDArray[np.int32]"

    def dump(self) -> bytes:
        """As an `.npz`."""
        return dump_arrays(
            landmarks=self.landmarks, confidence=self.confidence, origins=self.origins
        )

    @staticmethod
    def load(data: bytes) -> "Track":
        """Reads what `dump` wrote."""
        return Track(**load_arrays(data))


@dataclass(frozen=True, eq=False)
class FrameMap:
    """Which source frame each frame of the footage shows.

    Args:
        pts: (frames,) int64, the source frame's presentation time in units of the time base.
        checksums: (frames,) uint32, see `checksum`, of the upright picture.
        keyframes: (k,) int64, presentation times of the source's keyframes.
        time_base: (2,) int64, seconds per unit as a fraction.
    """

    pts: "NDArray[np.int64]"
    checksums: "NDArray[np.uint32]"
    keyframes: "NDArray[np.int64]"
    time_base: "NDArray[np.int64]"

    def dump(self) -> bytes:
        """As an `.npz`."""
        return dump_arrays(
            pts=self.pts,
            checksums=self.checksums,
            keyframes=self.keyframes,
            time_base=self.time_base,
        )

    @property
    def keyframe_distance(self) -> int:
        """Frames from one keyframe to the next; 1 where that varies or there is but one."""
        import numpy as np  # noqa: PLC0415 -- see above

        places = np.searchsorted(self.pts, self.keyframes)
        gaps = np.unique(np.diff(places))
        return int(gaps[0]) if len(gaps) == 1 and gaps[0] > 0 else 1

    @staticmethod
    def load(data: bytes) -> "FrameMap":
        """Reads what `dump` wrote."""
        return FrameMap(**load_arrays(data))


def checksum(picture: "Picture") -> int:
    """CRC-32 of every eighth row of luma: tells frames apart at a tenth of a whole CRC's cost."""
    return zlib.crc32(picture.y[::8].tobytes())


def dump_arrays(**arrays: "NDArray[Any]") -> bytes:
    """Named arrays as a compressed `.npz`; equal arrays give equal bytes.

    Raises:
        ValueError: an array holds Python objects.
    """
    import numpy as np  # noqa: PLC0415 -- see above

    if any(array.dtype.hasobject for array in arrays.values()):
        raise ValueError("an array of objects can't be written")
    out = io.BytesIO()
    # Numpy before 2.1, which Ascend's onnxruntime wants, would take `allow_pickle` for an array.
    np.savez_compressed(out, **arrays)  # type: ignore[arg-type]  # no array is called that
    return out.getvalue()


def load_arrays(data: bytes) -> "dict[str, NDArray[Any]]":
    """Reads what `dump_arrays` wrote."""
    import numpy as np  # noqa: PLC0415 -- see above

    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return dict(arrays)
