"""What a frame shows around the mouth, in numbers: skin, lips, texture and pose."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Points = tuple[tuple[int, ...], ...]

# Places in MediaPipe's numbering, each the mean of some landmarks: skin around the mouth, ...
_SKIN: Points = (
    *((164,), (167, 165), (393, 391), (92,), (322,), (18,), (200,), (199,), (83, 182)),
    *((313, 406), (57, 212), (287, 432), (186, 216), (410, 436), (202,), (422,), (204,), (424,)),
    *((98,), (327,), (205,), (425,), (43, 106), (273, 335), (186, 92), (410, 322), (210,), (430,)),
    *((61, 57), (291, 287)),
)
# ... the lips' red, as dense as a thin finger wants it, and skin of the upper face, which tells
# the light.
_LIPS: Points = (
    *((0, 12), (17, 15), (37, 72), (267, 302), (84,), (314,), (61, 76), (291, 306), (40, 74)),
    *((270, 304), (91, 90), (321, 320), (81, 80), (311, 310), (178, 88), (402, 318)),
)
_UPPER: Points = ((151,), (10,), (6,), (5,), (50,), (280,), (117,), (346,))
_EYES, _NOSE = (33, 263), 1
_CORNERS, _INNER = (61, 291), (13, 14)

_DARKEST = 8.0  # luma; below it a ratio means nothing
_NOISE = 1.5  # grey levels of gradient that skin may always have
SKIN_PLACES = len(_SKIN)
"""The first so many of a view's places are skin, the rest are lips."""

_MOST_TURNED = 0.85  # of the eyes' distance that the nose is off their middle: some 57 degrees


@dataclass(frozen=True, eq=False)
class View:
    """What a frame shows around the mouth.

    Args:
        places: (46, 4) float32: luma against that of the upper face, two chromas less its, texture.
        pose: (8,) float32, 1 and what turning, nodding, opening the mouth and spreading it add, to
            explain the places by.
        logit: of the mesh, that it sees a face.
    """

    places: Floats
    pose: Floats
    logit: float

    @property
    def is_profile(self) -> bool:
        """Whether the head is turned farther than the mesh holds."""
        return bool(abs(self.pose[1]) > _MOST_TURNED)


def view(crop: Floats, points: Floats, logit: float) -> View:
    """Looks around a mouth.

    Args:
        crop: (3, S, S) RGB in 0..1 that the mesh saw, upright.
        points: (468, 2) landmarks in its pixels.
        logit: of the mesh.
    """
    rgb = np.ascontiguousarray((crop * 255).astype(np.uint8).transpose(1, 2, 0))
    colours = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)
    luma = colours[..., 0]
    across, down = (cv2.Sobel(luma, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    texture = cv2.blur(cv2.magnitude(across, down), (9, 9))
    smooth = cv2.blur(colours, (5, 5))
    upper = _at(smooth, points, _OF_UPPER).mean(axis=0)
    seen = _at(smooth, points, _OF_MOUTH)
    rough = _at(texture[..., None], points, _OF_MOUTH)[:, 0]
    light = 60 * np.log(np.maximum(seen[:, 0], _DARKEST) / max(float(upper[0]), _DARKEST))
    places = [light, *(seen[:, 1:] - upper[1:]).T, 15 * np.log((rough + _NOISE) / _NOISE)]
    return View(np.stack(places, axis=1).astype(np.float32), _pose(points), logit)


def _means(places: Points) -> Floats:
    """(n, 468): makes the places of landmarks."""
    means = np.zeros((len(places), _LANDMARKS), np.float32)
    for row, place in zip(means, places, strict=True):
        row[list(place)] = 1 / len(place)
    return means


_LANDMARKS = 468
_OF_MOUTH, _OF_UPPER = _means(_SKIN + _LIPS), _means(_UPPER)


def _at(image: NDArray[np.generic], points: Floats, means: Floats) -> Floats:
    """(n, channels): what an image shows at the places."""
    x, y = np.clip(np.rint(means @ points), 0, image.shape[0] - 1).astype(int).T
    return np.asarray(image[y, x], np.float32)


def _pose(points: Floats) -> Floats:
    right, left = points[_EYES[0]], points[_EYES[1]]
    across = left - right
    distance = max(float(np.linalg.norm(across)), 1.0)
    nose = points[_NOSE] - (right + left) / 2
    turn = float(nose @ across) / distance**2
    nod = float(nose @ np.array([-across[1], across[0]])) / distance**2
    gap, width = (
        float(np.linalg.norm(points[one] - points[other])) / distance
        for one, other in (_INNER, _CORNERS)
    )
    return np.array([1, turn, nod, turn * turn, nod * nod, turn * nod, gap, width], np.float32)
