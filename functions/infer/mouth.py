"""The lower-face crop that the mouth renderer works in, and the landmarks that it moves.

The crop is tied to the skull, not to the lips: an upright similarity from the outer eye corners,
so that speaking moves the mouth inside it and never the crop itself. Landmark numbers are those of
the 468-point MediaPipe face mesh.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

UPPER_OUTER: Final = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
LOWER_OUTER: Final = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
UPPER_INNER: Final = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_INNER: Final = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
JAW: Final = (172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397)
CHIN: Final = (18, 200, 199, 175, 83, 313, 182, 406, 201, 421, 194, 418, 32, 262)
SKULL: Final = (
    *(2, 98, 327, 94, 1, 205, 425, 50, 280, 36, 266, 123, 352),
    *(187, 411, 129, 358, 64, 294, 132, 361, 58, 288),
)
PHILTRUM: Final = (164, 167, 393, 165, 391)
CHEEKS: Final = (57, 287, 212, 432, 214, 434, 210, 430, 216, 436)

GROUPS: Final = (
    *(UPPER_OUTER, LOWER_OUTER, UPPER_INNER, LOWER_INNER),
    *(JAW, CHIN, SKULL, PHILTRUM, CHEEKS),
)
"""The groups in the order in which the renderer takes them."""

LANDMARKS: Final = tuple(index for group in GROUPS for index in group)
"""The K landmarks that the renderer takes, lips from the picture's left to its right."""

RIGHT_EYE: Final = 33
LEFT_EYE: Final = 263
_RIGHT_EAR, _LEFT_EAR = 234, 454
_NOSE_TIP, _NOSE_BASE = 1, 2


def crop_affine(
    landmarks: NDArray[np.float32], size: int, scale: float, drop: float
) -> NDArray[np.float64]:
    """The similarities that map frame pixels to crop pixels, one for each frame.

    Args:
        landmarks: (n, 468, 2), frame pixels.
        size: the crop's side, pixels.
        scale: the crop's side in distances between the outer eye corners.
        drop: how far the crop's centre lies below the eyes, in the same distances.

    Returns:
        (n, 2, 3); not rounded to float32, so that smoothing adds no error of its own.
    """
    right = landmarks[:, RIGHT_EYE].astype(np.float64)
    left = landmarks[:, LEFT_EYE].astype(np.float64)
    across = left - right
    # Two eyes on one spot are no face; one pixel keeps the arithmetic finite.
    distance = np.maximum(np.linalg.norm(across, axis=1), 1.0)
    cos, sin = (across / distance[:, None]).T
    down = np.stack([-sin, cos], axis=1)
    centre = (left + right) / 2 + down * (distance * drop)[:, None]
    zoom = size / (scale * distance)
    linear = zoom[:, None, None] * np.stack(
        [np.stack([cos, sin], axis=1), np.stack([-sin, cos], axis=1)], axis=1
    )
    offset = (size - 1) / 2 - np.einsum("nij,nj->ni", linear, centre)
    return np.concatenate([linear, offset[:, :, None]], axis=2)


def crop_landmarks(
    landmarks: NDArray[np.float32], affine: NDArray[np.float64], size: int
) -> NDArray[np.float32]:
    """Landmarks in the crop.

    Args:
        landmarks: (n, K, 2), frame pixels.
        affine: (n, 2, 3), frame pixels to crop pixels.
        size: the crop's side, pixels.

    Returns:
        (n, K, 2) in -1..1 from the crop's outer edge to its outer edge.
    """
    points = landmarks.astype(np.float64)
    pixels = np.einsum("nij,nkj->nki", affine[:, :, :2], points) + affine[:, None, :, 2]
    normal: NDArray[np.float32] = ((pixels + 0.5) * (2 / size) - 1).astype(np.float32)
    return normal


def eye_distance(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) distances between the outer eye corners, at least a pixel."""
    across = landmarks[:, LEFT_EYE] - landmarks[:, RIGHT_EYE]
    distance: NDArray[np.float32] = np.maximum(np.linalg.norm(across, axis=1), 1.0)
    return distance


def head_pose(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 2): how far a head is turned and how far it nods, as parts of the face.

    The first is where the nose's tip lies between the ears, .5 in a face seen from the front; the
    second how far the nose's base lies below the eyes, in distances between their corners.
    """
    right, left = landmarks[:, _RIGHT_EAR], landmarks[:, _LEFT_EAR]
    across = left - right
    square = np.maximum((across**2).sum(1), 1.0)
    turn = ((landmarks[:, _NOSE_TIP] - right) * across).sum(1) / square
    eyes = (landmarks[:, RIGHT_EYE] + landmarks[:, LEFT_EYE]) / 2
    nod = np.linalg.norm(landmarks[:, _NOSE_BASE] - eyes, axis=1) / eye_distance(landmarks)
    pose: NDArray[np.float32] = np.stack([turn, nod], 1).astype(np.float32)
    return pose


def mouth_width(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) widths of the mouth's opening in distances between the outer eye corners."""
    mouth = landmarks[:, UPPER_INNER[-1]] - landmarks[:, UPPER_INNER[0]]
    width: NDArray[np.float32] = np.linalg.norm(mouth, axis=1) / eye_distance(landmarks)
    return width
