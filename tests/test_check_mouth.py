import cv2
import numpy as np
import pytest

from functions.check_mouth import flicker, mouth_luma, sharpness, tally_looks


@pytest.fixture
def mouth(astronaut: np.ndarray) -> np.ndarray:
    """Luma of a mouth, (96, 96)."""
    return cv2.cvtColor(astronaut[98:194, 176:272], cv2.COLOR_RGB2GRAY).astype(np.float32)


def test_steady_motion_is_no_flicker(mouth: np.ndarray) -> None:
    """What grows by as much in each frame does not flicker; what comes and goes does."""
    assert flicker(mouth, mouth + 3, mouth + 6) == pytest.approx(0, abs=1e-4)
    assert flicker(mouth, mouth + 3, mouth) == pytest.approx(6, abs=1e-4)


def test_a_blurred_mouth_is_less_sharp(mouth: np.ndarray) -> None:
    """Blur halves the sharpness and more; light does not change it."""
    blurred = cv2.GaussianBlur(mouth, (0, 0), 2)
    assert sharpness(blurred) < 0.5 * sharpness(mouth)
    assert sharpness(mouth + 20) == pytest.approx(sharpness(mouth), rel=1e-4)


def test_what_surrounds_the_mouth_does_not_count(mouth: np.ndarray) -> None:
    """Only the ellipse around lips and chin is compared."""
    other = mouth.copy()
    other[:12] = other[-12:] = 255
    other[:, :12] = other[:, -12:] = 0
    assert flicker(mouth, other, mouth) == 0


def test_looks_are_the_sources_where_nothing_changed(mouth: np.ndarray) -> None:
    """An unchanged mouth has exactly its source's flicker and sharpness."""
    noise = np.random.default_rng(0).normal(size=(3, 96, 96)).astype(np.float32)
    frames = [mouth + each for each in noise]
    tally = tally_looks(frames, frames)
    assert tally.flicker == tally.source_flicker > 0
    assert tally.sharpness == tally.source_sharpness > 0
    assert tally_looks(frames, []).source_sharpness == 0


def test_a_crop_is_where_the_affine_says(mouth: np.ndarray) -> None:
    """Half the size and moved: pixel (10, 6) of the crop is pixel (24, 20) of the picture."""
    affine = np.array([[0.5, 0, -2], [0, 0.5, -4]], np.float32)
    crop = mouth_luma(mouth.astype(np.uint8), affine, 32)
    assert crop[6, 10] == np.float32(int(mouth[20, 24]))
