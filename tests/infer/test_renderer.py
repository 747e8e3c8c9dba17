"""What the exported mouth renderer does to a face, and what it leaves alone."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.infer.mouth import (
    GROUPS,
    LANDMARKS,
    LOWER_INNER,
    UPPER_INNER,
    crop_affine,
    crop_landmarks,
)
from functions.picture import Colour, crop_rgb

SIZE = 256
REST = (0.0, 0.0, 0.0, 0.0)
SKIN = np.array([0.8, 0.6, 0.5], np.float32)
UPPER = sum(map(len, GROUPS[:2]))
LOWER = UPPER + len(UPPER_INNER)


@pytest.fixture(scope="module")
def face(studio):
    """The smiling astronaut's crop and landmarks; her teeth show."""
    shot = studio([1]).shots[0]
    affine = crop_affine(shot.landmarks[None], SIZE, 1.85, 0.78)
    crop = crop_rgb(shot.picture, affine[0].astype(np.float32), SIZE, Colour("bt601"))
    return crop, crop_landmarks(shot.landmarks[None], affine, SIZE)[0]


@pytest.fixture(scope="module")
def render(renderer):
    """Renders one face with each of some mouths."""

    def run(crop, landmarks, *mouths, ref=None):
        count = len(mouths)
        return renderer.run(
            {
                "face": np.repeat(crop[None], count, 0),
                "lm": np.repeat(landmarks[None], count, 0),
                "mouth": np.array(mouths, np.float32),
                "gain": np.ones((count, 2), np.float32),
                "ref": (crop if ref is None else ref)[None],
                "ref_lm": landmarks[None],
            }
        )[0]

    return run


def shut(landmarks):
    """The same face with its lips together."""
    closed = landmarks.copy()
    middle = (landmarks[UPPER:LOWER] + landmarks[LOWER : LOWER + 11]) / 2
    closed[UPPER:LOWER] = closed[LOWER : LOWER + 11] = middle
    return closed


def flat():
    """A face of nothing but skin: all else in the output was put there."""
    return np.tile(SKIN[:, None, None], (1, SIZE, SIZE)).astype(np.float32)


def opening(patch):
    """Height in pixels of what isn't skin, at its tallest, where skin is flat."""
    rows = [np.flatnonzero(column) for column in changed(patch).T if column.any()]
    return max((column[-1] - column[0] + 1 for column in rows), default=0)


def changed(patch):
    """Where a flat face isn't skin any more."""
    return np.abs(patch - SKIN[:, None, None]).max(0) > 0.1


def test_patch_border_is_the_crop(face, render):
    """Outside the flow's rectangle a patch equals the crop, however wide the mouth is open."""
    crop, landmarks = face
    patch = render(crop, landmarks, (1, 0, 0, 0))[0]
    inner = np.zeros((SIZE, SIZE), bool)
    inner[48:248, 20:236] = True
    assert np.array_equal(patch[:, ~inner], crop[:, ~inner])
    assert np.abs(patch - crop).max() > 0.2


def test_flow_fades_out_before_the_masks_edge(face, render):
    """Along the paste mask's edge nothing moves, so no seam can show."""
    crop, landmarks = face
    patch = render(crop, landmarks, (1, -1, 0, 0))[0]
    change = np.abs(patch - crop).max(0)
    place = (np.arange(SIZE) + 0.5) / SIZE
    ellipse = ((place[None] - 0.5) / 0.42) ** 2 + ((place[:, None] - 0.53) / 0.41) ** 2
    assert change[(ellipse > 1.08)].max() < 0.06
    assert change[(ellipse < 0.5)].max() > 0.3


@pytest.mark.parametrize("opened", [0.3, 0.6, 1.0])
def test_opening_is_as_high_as_asked(face, render, opened):
    """The aperture grows with open ** 1.2, up to .66 of half the mouth's width."""
    landmarks = shut(face[1])
    patch = render(flat(), landmarks, (opened, 0, 0, 0))[0]
    half_width = (landmarks[LOWER - 1, 0] - landmarks[UPPER, 0]) / 2
    expected = opened**1.2 * 0.66 * half_width * SIZE / 2
    assert opening(patch) == pytest.approx(expected, abs=2.5)


def test_closed_lips_show_no_inside(face, render):
    """With close = 1 nothing is seen of an open source's teeth and throat, painted green here."""
    crop, landmarks = face[0].copy(), face[1]
    gap = landmarks[LOWER + 5, 1] - landmarks[UPPER + 5, 1]
    assert gap * SIZE / 2 > 6  # the source is open
    between = np.concatenate([landmarks[UPPER:LOWER], landmarks[LOWER : LOWER + 11][::-1]])
    pixels = np.rint((between + 1) * SIZE / 2 - 0.5).astype(np.int32)
    inside = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillPoly(inside, [pixels], 1)
    crop[:, inside > 0] = np.array([0, 1, 0], np.float32)[:, None]

    def green(image):
        return int((image[1] - np.maximum(image[0], image[2]) > 0.25).sum())

    assert green(crop) > 200
    assert green(render(crop, landmarks, (0, 0, 1, 0))[0]) < 12


def test_closed_source_at_rest_is_left_alone(face, render):
    """Lips that are together and are to stay so keep the pixels of their own."""
    crop, landmarks = face[0], shut(face[1])
    assert np.abs(render(crop, landmarks, REST)[0] - crop).max() < 0.02


def test_rounding_narrows_and_spreading_widens(face, render):
    """The opening is narrower when width is -1 and wider when it is 1."""
    landmarks = shut(face[1])

    def width(patch):
        return np.ptp(np.flatnonzero(changed(patch).any(0)))

    rest, narrow, wide = (
        width(patch)
        for patch in render(flat(), landmarks, (0.5, 0, 0, 0), (0.5, -1, 0, 0), (0.5, 1, 0, 0))
    )
    assert narrow < 0.65 * rest
    assert wide > 1.02 * rest


def test_lip_to_teeth_parts_the_lips_a_little(face, render):
    """An f shows a slit with teeth in it where an m shows none."""
    landmarks = shut(face[1])
    sealed, touching = render(flat(), landmarks, (0, 0, 1, 0), (0, 0, 0, 1))
    assert opening(sealed) == 0
    assert 1 <= opening(touching) <= 6


def test_teeth_come_from_the_reference(face, render):
    """What a reference frame shows between its lips is seen in the opening; here it is blue."""
    landmarks = face[1]
    ref = flat()
    ref[:] = np.array([0.6, 0.6, 1.0], np.float32)[:, None, None]
    with_ref = render(flat(), landmarks, (0.6, 0, 0, 0), ref=ref)[0]
    blue = (with_ref[2] - with_ref[0]) > 0.15
    assert blue.sum() > 100


def test_teeth_are_drawn_where_the_reference_shows_none(face, render):
    """A reference with shut lips gives no teeth: ivory ones are drawn, warm and not grey."""
    crop = flat()
    patch = render(crop, shut(face[1]), (0.8, 0, 0, 0))[0]
    bright = changed(patch) & (patch.mean(0) > 0.45)
    assert bright.sum() > 60
    red, _, blue = patch[:, bright].mean(1)
    assert 1.05 < red / blue < 1.8


def test_a_frame_does_not_depend_on_its_batch(face, render):
    """The same bytes come out alone, in a batch, and at any place in it."""
    crop, landmarks = face
    mouths = [(value, -value, 0, 0) for value in np.linspace(0, 1, 9)]
    together = render(crop, landmarks, *mouths)
    for index, mouth in enumerate(mouths):
        assert np.array_equal(render(crop, landmarks, mouth)[0], together[index])


def test_landmarks_of_the_lips_run_from_left_to_right(face):
    """The renderer's polylines need x to grow along each lip."""
    for start in (UPPER, LOWER):
        assert (np.diff(face[1][start : start + 11, 0]) > 0).all()
    assert LANDMARKS[UPPER] == UPPER_INNER[0]
    assert LANDMARKS[LOWER] == LOWER_INNER[0]


@given(seed=st.integers(0, 2**32 - 1), spread=st.floats(0, 3))
@settings(max_examples=20, deadline=None)
def test_landmarks_that_are_nonsense_still_give_a_picture(renderer, seed, spread):
    """Whatever a tracker says, and whatever an ear, pixels are numbers in 0..1."""
    dice = np.random.default_rng(seed)
    landmarks = (dice.normal(size=(2, len(LANDMARKS), 2)) * spread).astype(np.float32)
    (patches,) = renderer.run(
        {
            "face": dice.random((2, 3, SIZE, SIZE), np.float32),
            "lm": landmarks,
            "mouth": dice.uniform(-2, 2, (2, 4)).astype(np.float32),
            "gain": dice.uniform(0, 2, (2, 2)).astype(np.float32),
            "ref": dice.random((1, 3, SIZE, SIZE), np.float32),
            "ref_lm": landmarks[:1],
        }
    )
    assert np.isfinite(patches).all()
    assert patches.min() >= 0
    assert patches.max() <= 1
