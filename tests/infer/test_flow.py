"""Landmarks go where they are wanted, and nothing else moves."""

import cv2
import numpy as np
import pytest

from functions.infer.flow import (
    FLOW,
    MOUTH,
    along,
    face_field,
    fetch,
    flow,
    mouth_field,
    ramp,
    smooth,
)
from functions.infer.graft import between
from functions.infer.lips import CHIN, JAW, LOWER, UPPER, goal, place, shape

SIZES = (256, 384, 512)


def moved(image, smile, target, size=256):
    field = face_field(size)
    share = between(field, target, 0)
    return fetch(image, field, flow(field, smile, target), share, (0, 0))


def opened(smile):
    wanted = goal(np.array([0.8, 0, 0, 0], np.float32), 0.3)
    return place(smile, smile, shape(smile), wanted).target


@pytest.mark.parametrize("size", SIZES)
def test_landmarks_that_stay_move_nothing(noise, smile, size):
    """Source and target alike: every pixel keeps its value."""
    image = noise(size)
    assert np.array_equal(moved(image, smile, smile, size), face_field(size).of(image))


@pytest.mark.parametrize("size", SIZES)
def test_the_edge_of_the_field_never_moves(noise, smile, size):
    """Along its rectangle's border a face equals the crop, so nothing can tear there."""
    image = noise(size)
    out, same = moved(image, smile, opened(smile), size), face_field(size).of(image)
    for edge in (np.s_[:4], np.s_[-4:], np.s_[:, :4], np.s_[:, -4:]):
        assert np.array_equal(out[edge], same[edge])
    assert not np.array_equal(out, same)


@pytest.mark.parametrize("group", [UPPER, LOWER, CHIN])
def test_a_landmark_arrives_where_it_is_wanted(smile, group):
    """What is painted on a landmark is seen at its target, within a pixel and a half."""
    size, target = 256, opened(smile)
    index = group.start + (group.stop - group.start) // 2
    image = np.zeros((size, size, 3), np.uint8)
    spot = ((smile[index] + 1) * size / 2 - 0.5) * 16
    cv2.circle(image, np.rint(spot).astype(int).tolist(), 5 * 16, (255,) * 3, -1, cv2.LINE_AA, 4)
    seen = moved(image, smile, target)[..., 0] > 127
    # Half of a spot on a lip's edge goes the other lip's way; only this one's half is looked at.
    field = face_field(size)
    lower = between(field, target, 0) > 0.5
    seen &= lower if group is not UPPER else ~lower
    rows, columns = np.nonzero(seen)
    place_x = (columns.mean() + field.columns.start + 0.5) * 2 / size - 1
    nearest = np.abs(field.y[rows] - target[index, 1]).min()
    assert abs(place_x - target[index, 0]) < 3 / 128
    assert nearest < 1.5 / 128


def test_a_part_of_an_image_is_fetched_as_from_the_whole(noise, smile):
    """A mouth kept on its own gives the same pixels as the crop that it was cut from."""
    image, field, target = noise(256), mouth_field(256), opened(smile)
    moves, share = flow(field, smile, target), between(field, target, 1.0)
    whole = fetch(image, field, moves, share, (0, 0))
    corner = (field.rows.start, field.columns.start)
    part = fetch(np.ascontiguousarray(field.of(image)), field, moves, share, corner)
    inner = np.s_[20:-20, 20:-20]
    assert np.array_equal(whole[inner], part[inner])


def test_rectangles_scale_with_the_crop():
    """A rectangle is the same part of a crop of any size, on whole pixels."""
    for rectangle in (FLOW, MOUTH):
        for size in SIZES:
            rows, columns = rectangle.at(size)
            assert rows.start * 256 == rectangle.top * size
            assert columns.stop * 256 == rectangle.right * size


def test_a_lips_curve_runs_through_its_points(smile):
    """Between the corners the curve is near every point; beyond them it is level."""
    lip, x = smile[UPPER], face_field(256).x
    heights = along(lip, x)
    for point in lip[1:-1]:
        assert heights[np.abs(x - point[0]).argmin()] == pytest.approx(point[1], abs=0.02)
    assert np.ptp(heights[x > lip[-1, 0] + 0.1]) < 1e-3


def test_steps():
    """Both kinds of step are 0 on the left, 1 on the right and half in the middle."""
    x = np.array([-3, 0, 3], np.float32)
    assert ramp(x).tolist() == [0, 0.5, 1]
    assert smooth(x / 6 + 0.5).tolist() == [0, 0.5, 1]


def test_a_neck_is_neither_torn_nor_folded(smile):
    """The chin drops whole, a collar below it stays, and no row between them overtakes another."""
    field, wanted = face_field(256), goal(np.array([1, 0, 0, 0], np.float32), 0.35)
    target = place(smile, smile, shape(smile), wanted).target
    down = flow(field, smile, target)[3]
    chin = target[JAW][6]
    column = down[:, np.abs(field.x - chin[0]).argmin()]
    dropped = target[JAW][6, 1] - smile[JAW][6, 1]
    at_chin, below = (column[np.abs(field.y - chin[1] - d).argmin()] for d in (-0.02, 0.3))
    assert -at_chin == pytest.approx(dropped, abs=0.01)
    assert abs(below) < 0.1 * dropped
    under = field.y > chin[1]
    rows = (field.y + column)[under]
    assert np.diff(rows).min() > 0.2 * float(field.y[1] - field.y[0])
