"""A footage's own mouths: what of them can be shown, and how it is kept."""

import io
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from functions.analysis import load_arrays
from functions.infer.lips import DRAWN_CURVE, Floats
from functions.lossless import FrameWriter, read_frames

Pixels = NDArray[np.uint8]

_SPEAKING = 0.2  # of an opening, in the mouth's usual half width


@dataclass(frozen=True, eq=False)
class Bank:
    """Real mouths of one footage, in the order of its frames.

    Args:
        size: of the crops, pixels.
        rest: the mouth's usual half width, in the crop's coordinates.
        frames: (n,) int64, which footage frames they are.
        landmarks: (n, K, 2) in the crop, -1..1.
        features: (n, 8): aperture and half width in the crop's coordinates, turn and nod of the
            head, light, share of teeth in the opening, sharpness, haste.
        poses: (frames of the footage, 2): turn and nod; NaN where there is no face.
        light: (frames of the footage,): brightness of the skin, of 255.
        mouths: (n, rows, columns, 3) YUV of `functions.infer.flow.MOUTH`.
    """

    size: int
    rest: float
    frames: NDArray[np.int64]
    landmarks: Floats
    features: Floats
    poses: Floats
    light: Floats
    mouths: Pixels

    @property
    def speaks(self) -> bool:
        """Whether some of the mouths are open as wide as speech opens them."""
        return float(np.percentile(self.features[:, 0], 90)) > _SPEAKING * self.rest

    @property
    def least(self) -> float:
        """The smallest opening of all the mouths."""
        return float(self.features[:, 0].min())

    @property
    def curve(self) -> float:
        """What `functions.infer.lips.goal` takes: drawn openings look larger than real ones."""
        return 1.0 if self.speaks else DRAWN_CURVE

    def dump(self) -> bytes:
        """As an `.npz`; equal banks are equal bytes."""
        rows, columns = self.mouths.shape[1:3]
        with TemporaryDirectory() as folder:
            path = Path(folder) / "mouths.avi"
            with FrameWriter(path, "yuv444p", columns, rows) as writer:
                for mouth in self.mouths:
                    writer.write(np.ascontiguousarray(mouth.transpose(2, 0, 1)))
            video = np.frombuffer(path.read_bytes(), np.uint8)
        out = io.BytesIO()
        # Not compressed: most of it is a video, which would only take time.
        np.savez(
            out,
            allow_pickle=False,
            size=np.array([self.size], np.int64),
            rest=np.array([self.rest], np.float32),
            frames=self.frames,
            landmarks=self.landmarks,
            features=self.features,
            poses=self.poses.astype(np.float16),
            light=self.light.astype(np.float16),
            video=video,
        )
        return out.getvalue()

    @staticmethod
    def load(data: bytes) -> "Bank":
        """Reads what `dump` wrote."""
        arrays = load_arrays(data)
        mouths = np.stack(
            [
                planes.transpose(1, 2, 0)
                for planes in read_frames(arrays["video"].tobytes(), "yuv444p")
            ]
        )
        return Bank(
            int(arrays["size"][0]),
            float(arrays["rest"][0]),
            arrays["frames"],
            arrays["landmarks"],
            arrays["features"],
            arrays["poses"].astype(np.float32),
            arrays["light"].astype(np.float32),
            np.ascontiguousarray(mouths),
        )
