from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from functions.ingest.face_models import FaceModels
from functions.ingest.faces import FaceFinder
from functions.ingest.mouth_view import SKIN_PLACES, View, view
from functions.ingest.onnx_session import open_session
from functions.ingest.region import Region
from functions.picture import Colour, Picture

AsPicture = Callable[[NDArray[np.uint8]], Picture]


@pytest.fixture(scope="module")
def crop(astronaut: NDArray[np.uint8], as_picture: AsPicture) -> NDArray[np.float32]:
    """The face as the mesh sees it."""
    return Region(224, 120, 164, 0).crop(as_picture(astronaut), 192, Colour())


@pytest.fixture(scope="module")
def points(crop: NDArray[np.float32], face_models: FaceModels) -> NDArray[np.float32]:
    """(468, 3): landmarks with depth, in the crop's pixels."""
    return open_session(face_models.mesh, 1).run(None, {"picture": crop[None]})[0][0]


def test_the_face_is_no_profile(
    finder: FaceFinder, astronaut: NDArray[np.uint8], as_picture: AsPicture
) -> None:
    """A face that looks at us has a view, with as many places as there should be."""
    (face,) = finder.find(as_picture(astronaut), Colour())
    assert face.view is not None
    assert face.view.places.shape == (46, 4)
    assert not face.view.is_profile
    assert face.view.logit > 10


@pytest.mark.parametrize(
    ("degrees", "wanted"), [(-80, True), (-30, False), (35, False), (75, True)]
)
def test_a_turned_head(
    degrees: float, wanted: bool, crop: NDArray[np.float32], points: NDArray[np.float32]
) -> None:
    """Turned by a third of a right angle the mouth is still seen; by most of one, it is not."""
    turn = np.radians(degrees)
    x, z = points[:, 0] - 96, points[:, 2]
    turned = points[:, :2].copy()
    turned[:, 0] = 96 + x * np.cos(turn) - z * np.sin(turn)
    assert view(crop, turned, 20.0).is_profile == wanted


def test_light_is_no_change(crop: NDArray[np.float32], points: NDArray[np.float32]) -> None:
    """A darker picture of the same face looks the same around the mouth, near enough."""
    whole, dark = (view(crop * by, points[:, :2], 20.0) for by in (1.0, 0.8))
    light, texture = (np.abs(whole.places - dark.places)[:, channel].max() for channel in (0, 3))
    assert light < 2
    assert texture < 4


def test_a_dark_thing_is_a_change(crop: NDArray[np.float32], points: NDArray[np.float32]) -> None:
    """Black over the chin changes the chin's places and no others by much."""
    covered = crop.copy()
    covered[:, int(points[17, 1]) :] = 0.05
    before, after = (view(each, points[:, :2], 20.0) for each in (crop, covered))
    changed = np.abs(before.places - after.places)[:SKIN_PLACES, 0]
    assert (changed[[6, 7]] > 40).all()  # the chin
    assert (changed[[0, 1, 2]] < 4).all()  # above the lips


def test_a_view_outside_the_crop_is_no_error(crop: NDArray[np.float32]) -> None:
    """Landmarks may lie beyond the crop; its edge stands for what is there."""
    far = np.full((468, 2), 500, np.float32)
    assert isinstance(view(crop, far, 0.0), View)
    assert np.isfinite(view(crop, far, 0.0).pose).all()
