"""The drawing of a mouth's inside."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from functions.infer.manifest import find_model
from training.interior import draw


@pytest.fixture(scope="module")
def picture() -> NDArray[np.uint8]:
    return draw()


def test_the_shipped_drawing_is_what_this_code_draws(picture: NDArray[np.uint8]) -> None:
    """Drawn again, it is the picture in the package, to a grey level."""
    manifest = find_model("viseme", "1")
    shipped = cv2.imread(str(manifest.file("interior.png")), cv2.IMREAD_UNCHANGED)
    assert np.abs(shipped[..., [2, 1, 0, 3]].astype(int) - picture).max() <= 1


def test_teeth_stand_left_and_right_alike(picture: NDArray[np.uint8]) -> None:
    """Both sides have as many and as large teeth, but no tooth is quite the other side's."""
    left, right = picture[..., 3].astype(int), picture[:, ::-1, 3].astype(int)
    assert left.sum() == pytest.approx(right.sum(), rel=0.02)
    differs = np.abs(left - right) > 64
    assert 0 < differs.mean() < 0.02


def test_teeth_are_no_even_slab(picture: NDArray[np.uint8]) -> None:
    """Along the upper row's edge teeth end at different heights, and gaps between them are dark."""
    upper = picture[: len(picture) // 2].astype(float)
    columns = np.arange(40, 200)
    opaque = upper[:, columns, 3] > 128
    ends = len(opaque) - 1 - opaque[::-1].argmax(axis=0)
    assert np.ptp(ends) >= 6
    row = upper[ends.min() - 8, columns, :3].mean(axis=1)
    gaps = (row[1:-1] < row[:-2]) & (row[1:-1] <= row[2:]) & (row[1:-1] < 0.75 * np.median(row))
    assert gaps.sum() >= 4
