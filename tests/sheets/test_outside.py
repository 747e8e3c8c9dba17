from fractions import Fraction

import numpy as np
import pytest

from functions.check_sights import Sight
from functions.ingest.face_mesh import LEFT_EYE, RIGHT_EYE
from functions.picture import Picture
from sheets.outside import Outside

SIZE = (320, 240)
EYES = (140.0, 180.0), 100.0  # of the eyes: two columns, one row


def landmarks() -> np.ndarray:
    """A face whose mouth's crop is 74 pixels wide, around (160, 131)."""
    points = np.zeros((468, 2), np.float32)
    points[RIGHT_EYE], points[LEFT_EYE] = ((column, EYES[1]) for column in EYES[0])
    return points


def picture(luma: np.ndarray) -> Picture:
    half = np.full((SIZE[1] // 2, SIZE[0] // 2), 128, np.uint8)
    return Picture(luma, half, half)


def compare(changed: np.ndarray, labelled: int = 0, face: bool = True) -> Outside:
    source = np.random.default_rng(0).integers(40, 200, SIZE[::-1]).astype(np.uint8)
    found = Outside(labelled)
    after = source + changed.astype(np.uint8)
    points = landmarks() if face else None
    found.take(Sight(Fraction(0), picture(after), points, picture(source)))
    return found


def at(rows: slice, columns: slice) -> np.ndarray:
    changed = np.zeros(SIZE[::-1])
    changed[rows, columns] = 20
    return changed


def test_a_moved_mouth_is_not_outside() -> None:
    """What changes in the mouth's crop alone is no difference."""
    found = compare(at(slice(110, 160), slice(130, 190)))
    assert (found.mean, found.worst, found.frames) == (0, 0, 1)


@pytest.mark.parametrize(
    ("rows", "columns"), [(slice(0, 16), slice(0, 16)), (slice(208, 224), slice(304, 320))]
)
def test_one_changed_block_is_found(rows: slice, columns: slice) -> None:
    """A block in a corner of the frame is the worst, by as much as it changed."""
    found = compare(at(rows, columns))
    assert found.worst == 20
    assert found.mean is not None
    assert 0 < found.mean < 0.2


def test_labelled_and_faceless_frames_are_left_out() -> None:
    """A label is a change, and without a face nobody knows where the mouth is."""
    changed = at(slice(0, 16), slice(0, 16))
    assert compare(changed, labelled=1).mean is None
    assert compare(changed, face=False).mean is None
