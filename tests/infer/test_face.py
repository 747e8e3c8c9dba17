"""One frame's face with another mouth."""

from dataclasses import replace

import numpy as np
import pytest

from functions.infer.choice import NEAR
from functions.infer.face import Face, Painter, Showing
from functions.infer.gather import gather
from functions.infer.geometry import Surveyor
from functions.infer.manifest import Crop
from functions.picture import Colour, crop_yuv

CROP = Crop(256, 1.85, 0.78)


@pytest.fixture(scope="module")
def bank(studio):
    return gather(studio([12]), CROP)


@pytest.fixture(scope="module")
def face(studio, bank):
    footage = studio([12])
    geometry = Surveyor(footage, CROP).survey(footage.footage.chunks[0])
    window = next(footage.windows(footage.footage.chunks[0], [4]))
    crop = crop_yuv(window, geometry.onto_window(4), (256, 256))
    return Face(crop, geometry.landmarks[4], geometry.seen[4])


@pytest.fixture(scope="module")
def show(bank, interior, face):
    def run(mouth, place=4, bank=bank):
        painter = Painter(bank, interior, Colour("bt601"))
        around = np.full(2 * NEAR + 1, place)
        showing = Showing(np.array(mouth, np.float32), mouth[0], around, [(place, 1.0)])
        return painter.show(face, showing).transpose(1, 2, 0)

    return run


def inside(mask_like):
    """Pixels to which the paste mask can reach, feather and all."""
    y, x = np.mgrid[: mask_like.shape[0], : mask_like.shape[1]] / 128 - 1
    return np.hypot(x / 0.9, (y - 0.06) / 0.9) < 1.06


def test_nothing_outside_the_ellipse_changes(show, face):
    """However wide the mouth is opened, the crop keeps its pixels where the mask ends."""
    patch = show((1, -1, 0, 0))
    outside = ~inside(patch[..., 0])
    assert np.array_equal(patch[outside], face.crop[outside])
    assert (patch != face.crop).any(2).sum() > 3000


def test_a_mouth_like_its_own_is_its_own(show, face, bank):
    """A frame that is to show what it shows, with its own mouth, hardly changes."""
    opened = bank.features[4, 0] / (0.82 * bank.rest)
    patch = show((opened, 0, 0, 0))
    assert np.abs(patch.astype(int) - face.crop).mean() < 1.5


def test_a_shut_bank_is_helped_by_the_drawing(show, bank):
    """Where no real mouth is open, a wide vowel shows drawn teeth; a shut mouth stays real."""
    shut = replace(bank, features=bank.features.copy())
    shut.features[:, 0] = 0
    wide = show((1, 0, 0, 0)), show((1, 0, 0, 0), bank=shut)
    assert np.abs(wide[0].astype(int) - wide[1]).max() > 40
    closed = show((0, 0, 1, 0)), show((0, 0, 1, 0), bank=shut)
    assert np.array_equal(*closed)


def test_mouths_are_blended_by_their_weights(bank, interior, face):
    """Half of one mouth and half of another lie between the two."""
    painter = Painter(bank, interior, Colour("bt601"))
    mouth, around = np.array((0.5, 0, 0, 0), np.float32), np.full(2 * NEAR + 1, 4)
    one, other, half = (
        painter.show(face, Showing(mouth, 0.5, around, chosen)).astype(float)
        for chosen in ([(1, 1.0)], [(9, 1.0)], [(1, 0.5), (9, 0.5)])
    )
    assert np.abs((one + other) / 2 - half).max() <= 1


def test_a_half_open_mouth_keeps_its_teeth_and_gets_a_throat(show, bank):
    """A smile that opens wide shows its teeth as high as they are, and the drawing below them."""
    opened = show((1, 0, 0, 0)).astype(int)
    column = opened[:, 126:132].mean(1)
    dark = column[:, 0] < 75
    teeth = (column[:, 0] > 110) & (column[:, 2] < 138)
    assert dark[95:190].sum() > 4
    assert teeth[95:190].sum() < 26


def test_only_a_mouth_more_shut_than_all_is_covered(show, bank):
    """A smile that was never seen shut has lips come over its teeth; a bank with shut mouths not.

    Both show the very same mouth, nearly shut.
    """
    shut = bank.features.copy()
    shut[0, 0] = 0.0
    narrow = (0.15, 0, 0, 0)
    covered, plain = (show(narrow, bank=replace(bank, features=f)) for f in (bank.features, shut))
    differs = np.abs(covered.astype(int) - plain).max(2) > 12
    assert bank.least > 0.1 * bank.rest
    assert differs.sum() > 60
    wide = (bank.features[4, 0] / (0.66 * bank.rest), 0, 0, 0)
    assert np.array_equal(show(wide), show(wide, bank=replace(bank, features=shut)))
