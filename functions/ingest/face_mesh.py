"""The dense mesh with refined lips, in a region of the picture that is thought to hold a face."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from functions.ingest.mouth_view import View, view
from functions.ingest.onnx_session import open_session
from functions.ingest.region import Region
from functions.picture import Colour, Picture

LANDMARKS = 468
RIGHT_EYE, LEFT_EYE = 33, 263
"""Outer corners; on the screen the person's right eye is on the left."""

_SIDE = 192
_FRAMING = 1.5  # side of the region to the longer side of the face, as the mesh was trained

# Which landmark each of the 80 refined points replaces: four closed rings, from the outer edge of
# the lips to the inner one, each first along the bottom and then along the top. MediaPipe's order.
# fmt: off
LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409,
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415,
    76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306, 184, 74, 73, 72, 11, 302, 303, 304, 408,
    62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292, 183, 42, 41, 38, 12, 268, 271, 272, 407,
)
# fmt: on


@dataclass(frozen=True, eq=False)
class Mesh:
    """What the mesh saw in a region.

    Args:
        landmarks: (468, 2) float32, picture pixels, lips refined.
        confidence: 0..1, that the region holds a face.
        view: of what surrounds the mouth; None where no picture was looked at.
    """

    landmarks: NDArray[np.float32]
    confidence: float
    view: View | None = None

    def region(self) -> Region:
        """Where to look for the same face in the next frame."""
        eyes = self.landmarks[LEFT_EYE] - self.landmarks[RIGHT_EYE]
        angle = float(np.arctan2(eyes[1], eyes[0]))
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, -sin], [sin, cos]])
        upright = self.landmarks @ turn
        low, high = upright.min(axis=0), upright.max(axis=0)
        x, y = turn @ ((low + high) / 2)
        return Region(float(x), float(y), _FRAMING * float((high - low).max()), angle)


class FaceMesh:
    """Runs the mesh model.

    Args:
        model: see `FaceModels.mesh`.
        threads: that one run may use.
    """

    def __init__(self, model: Path, threads: int) -> None:
        self._session = open_session(model, threads)

    def fit(self, picture: Picture, region: Region, colour: Colour) -> Mesh:
        """The mesh of the face in this region, whether or not there is one."""
        crop = region.crop(picture, _SIDE, colour)
        mesh, lips, face = self._session.run(None, {"picture": crop[None]})
        points = mesh[0, :, :2].copy()
        points[list(LIPS)] = lips[0]
        back = cv2.invertAffineTransform(region.affine(_SIDE))
        landmarks = (points @ back[:, :2].T + back[:, 2]).astype(np.float32)
        logit = float(np.clip(face.item(), -80, 80))
        seen = view(crop, points, logit)
        return Mesh(landmarks, 1 / (1 + float(np.exp(-logit))), seen)
