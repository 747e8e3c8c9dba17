"""Teeth and tongue where none were filmed."""

import cv2
import numpy as np
import pytest

from functions.errors import NotSetUpError
from functions.infer.flow import mouth_field
from functions.infer.interior import Interior, fill
from functions.infer.lips import LOWER, UPPER, goal, place, shape
from functions.picture import Colour

COLOUR = Colour("bt601")
LIGHT = np.array([150, 118, 140], np.float32)


@pytest.fixture(scope="module")
def opened(smile, interior):
    """A mouth of one skin colour, opened so far, filled with the drawing."""

    def make(opening, skin=LIGHT):
        wanted = goal(np.array([opening, 0, 0, 0], np.float32), 0.35)
        lips = place(smile, smile, shape(smile), wanted)
        field = mouth_field(256)
        face = np.tile(skin.astype(np.uint8), (len(field.y), len(field.x), 1))
        return fill(face, field, lips, interior, skin, COLOUR), lips.target, field

    return make


def enamel(image):
    """Where teeth are: brighter than the skin's shadow and hardly coloured."""
    return (image[..., 0] > 105) & (np.abs(image[..., 1:] - 128).max(2) < 13)


def test_only_the_opening_is_filled(opened):
    """Outside the lips' inner edges the face keeps its pixels; shut lips show nothing."""
    image, target, field = opened(0.9)
    y = field.y[:, None]
    upper, lower = (np.interp(field.x, target[lip, 0], target[lip, 1]) for lip in (UPPER, LOWER))
    outside = (y < upper - 0.05) | (y > lower + 0.05)
    assert (image[outside] == LIGHT).all()
    assert (image != LIGHT).any(2).sum() > 1500
    assert (opened(0)[0] == LIGHT).all()


def test_upper_teeth_belong_to_the_skull(opened):
    """The jaw takes the lower lip down, and the upper teeth's edge stays where it is."""
    edges = []
    for opening in (0.7, 1.0):
        image, target, field = opened(opening)
        column = np.abs(field.x - target[UPPER, 0][5] - 0.05).argmin()
        rows = np.flatnonzero(enamel(image)[:, column])
        middle = np.abs(field.y - (target[UPPER, 1][5] + target[LOWER, 1][5]) / 2).argmin()
        edges.append(rows[rows < middle + 8].max())
    assert abs(edges[0] - edges[1]) <= 1


def test_teeth_are_lit_like_the_face(opened):
    """In half the light the teeth are darker, and a warm face has warm teeth."""
    lit, _, _ = opened(0.8)
    dark, _, _ = opened(0.8, np.array([80, 122, 134], np.float32))
    where = enamel(lit)
    assert where.sum() > 150
    assert dark[where][:, 0].mean() < 0.7 * lit[where][:, 0].mean()
    assert lit[where][:, 2].mean() > lit[where][:, 1].mean()


def test_teeth_never_outshine_the_picture(opened):
    """Even on an overexposed face teeth keep below white."""
    skin = np.array([235, 128, 128], np.float32)
    image, _, _ = opened(1.0, skin)
    inside = image[np.abs(image - skin).max(2) > 3]
    assert 200 < np.percentile(inside[:, 0], 98) < 225


def test_what_is_no_drawing_is_a_matter_of_set_up(tmp_path):
    """A picture of another size, or none, is refused by name."""
    path = tmp_path / "interior.png"
    path.write_bytes(b"no picture")
    with pytest.raises(NotSetUpError, match=r"interior\.png"):
        Interior.load(path)
    cv2.imwrite(str(path), np.zeros((8, 8, 4), np.uint8))
    with pytest.raises(NotSetUpError, match=r"interior\.png"):
        Interior.load(path)
