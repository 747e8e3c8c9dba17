"""Real lips on another frame's face."""

import numpy as np
import pytest

from functions.infer.flow import mouth_field
from functions.infer.graft import between, cover, match_light, move
from functions.infer.interior import hollow
from functions.infer.lips import LOWER, UPPER, corner_centre, goal, place, seam, shape, tilt


def shut(smile):
    wanted = goal(np.array([0, 0, 1, 0], np.float32), 0.3)
    return place(smile, smile, shape(smile), wanted).target


@pytest.mark.parametrize("size", [256, 384, 512])
def test_a_mouth_in_its_own_place_is_itself(noise, smile, size):
    """With target and source alike a real mouth is shown pixel for pixel."""
    field = mouth_field(size)
    mouth = np.ascontiguousarray(field.of(noise(size)))
    corner = (field.rows.start, field.columns.start)
    assert np.array_equal(move(mouth, field, smile, smile, corner), mouth)


def test_the_cover_takes_the_lips_and_fades_out_in_the_skin(smile):
    """All of the lips' edges are covered, nothing of the field's border is, and no step is hard."""
    field = mouth_field(256)
    alpha = cover(field, smile)
    for lip in (UPPER, LOWER):
        for index, (x, y) in enumerate(smile[lip]):
            place = np.abs(field.y - y).argmin(), np.abs(field.x - x).argmin()
            assert alpha[place] > (0.95 if 1 < index < 9 else 0.6)
    edge = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    assert edge.max() == 0
    assert np.abs(np.diff(alpha, axis=0)).max() < 0.2
    assert np.abs(np.diff(alpha, axis=1)).max() < 0.2


@pytest.mark.parametrize("size", [256, 384, 512])
def test_light_and_tint_of_the_skin_around_are_taken_on(noise, smile, size):
    """A mouth filmed darker and bluer looks as the face does; both are the same otherwise."""
    field = mouth_field(size)
    face = (field.of(noise(size)) // 3 + 80).astype(np.uint8)
    dull = face.astype(np.float32) * (0.8, 1, 1) + (0, 6, -5)
    lit = match_light(np.rint(dull).astype(np.uint8), face, field, smile)
    middle = np.s_[len(face) // 2 - 10 : len(face) // 2 + 10, 60:-60]
    difference = np.abs(lit[middle].astype(float) - face[middle]).mean((0, 1))
    assert difference.max() < 2.5
    assert np.abs(dull[middle] - face[middle]).mean((0, 1)).max() > 20


def test_lips_are_not_made_pale(smile):
    """Lips redder than the skin stay as red: only the skin is compared."""
    field = mouth_field(256)
    face = np.full((*between(field, smile, 0).shape, 3), (150, 118, 140), np.uint8)
    mouth = face.copy()
    top, bottom = smile[UPPER, 1].min() - 0.1, smile[LOWER, 1].max() + 0.1
    red = np.s_[np.searchsorted(field.y, top) : np.searchsorted(field.y, bottom), 60:-60]
    mouth[red] = (110, 112, 168)
    lit = match_light(mouth, face, field, smile)
    centre = (np.abs(field.y - (top + bottom) / 2).argmin(), lit.shape[1] // 2)
    assert np.abs(lit[centre] - mouth[centre]).max() < 8


def test_a_closing_mouth_hides_its_inside(smile):
    """What an open donor shows between its lips, painted green here, is gone once they meet."""
    field = mouth_field(256)
    size, crop = 256, np.full((256, 256, 3), (120, 110, 150), np.uint8)
    y = ((np.arange(size) + 0.5) / size * 2 - 1).astype(np.float32)
    inside = (between_all(smile, y) > 0.02) & (between_all(smile, y) < 0.98)
    crop[inside] = (150, 40, 40)
    mouth = np.ascontiguousarray(field.of(crop))
    corner = (field.rows.start, field.columns.start)
    open_ = move(mouth, field, smile, smile, corner)
    closed = move(mouth, field, smile, shut(smile), corner)
    green = [int((image[..., 1] < 70).sum()) for image in (open_, closed)]
    assert green[0] > 300
    assert green[1] < 0.05 * green[0]


def test_both_lips_come_over_the_teeth_of_a_smile(smile):
    """Told that no mouth is more shut, a closing one shows the middles of its teeth, not the necks.

    The teeth are painted green above and red below the line on which the lips would meet.
    """
    field = mouth_field(256)
    crop = np.full((256, 256, 3), (120, 110, 150), np.uint8)
    axis = ((np.arange(256) + 0.5) / 128 - 1).astype(np.float32)
    inside = (between_all(smile, axis) > 0) & (between_all(smile, axis) < 1)
    line = seam(smile) + tilt(smile) * (axis - corner_centre(smile))
    crop[inside & (axis[:, None] < line)] = (150, 40, 40)
    crop[inside & (axis[:, None] >= line)] = (150, 40, 220)
    mouth = np.ascontiguousarray(field.of(crop))
    corner = (field.rows.start, field.columns.start)
    slit = goal(np.array([0.2, 0, 0, 0], np.float32), 0.35)
    target = place(smile, smile, shape(smile), slit).target
    followed, stayed = (
        move(mouth, field, smile, target, corner, unshut=unshut).astype(int) for unshut in (0, 1)
    )
    shown = hollow(field, target) > 0.9
    necks, middles = (
        [float((np.abs(image[shown] - tooth).max(1) < 40).mean()) for image in (followed, stayed)]
        for tooth in ((150, 40, 40), (150, 40, 220))
    )
    assert necks[0] > 0.5
    assert necks[1] < 0.8 * necks[0]
    assert middles[1] > middles[0] + 0.25


def between_all(lm, y):
    """0 above the opening, 1 below it, of the whole crop."""
    upper = np.interp(y, lm[UPPER, 0], lm[UPPER, 1])
    lower = np.interp(y, lm[LOWER, 0], lm[LOWER, 1])
    return (y[:, None] - upper) / np.maximum(lower - upper, 1e-4)


def test_the_share_goes_straight_from_lip_to_lip(smile):
    """0 on the upper lip's edge, half between, 1 on the lower lip's; hard where asked to be."""
    field = mouth_field(256)
    column = np.abs(field.x - smile[UPPER, 0][5]).argmin()
    rows = [np.abs(field.y - y).argmin() for y in (smile[UPPER, 1][5], smile[LOWER, 1][5])]
    share = between(field, smile, 1.0)[:, column]
    assert share[rows[0] - 3] == 0
    assert share[rows[1] + 3] == 1
    assert 0.3 < share[sum(rows) // 2] < 0.7
    hard = between(field, smile, 0)[:, column]
    assert set(np.unique(hard[np.r_[: sum(rows) // 2 - 1, sum(rows) // 2 + 2 : len(hard)]])) == {
        0,
        1,
    }
