import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from functions.ingest import face_detector as subject

sides = st.integers(160, 1100).map(lambda side: side * 2)  # up to seven to one


@given(sides, sides, st.floats(0, 1), st.floats(0, 1))
def test_tiles_leave_no_face_out(width, height, across, down):
    """A face of a seventh of the short side or less lies whole in some tile, wherever it is."""
    face = min(width, height) / 7
    x, y = across * (width - face), down * (height - face)
    tiles = list(subject._tiles(width, height))
    for left, top, side in tiles:
        assert left % 2 == top % 2 == side % 2 == 0
        assert 0 <= left <= width - side
        assert 0 <= top <= height - side
    assert any(
        left <= x and top <= y and x + face <= left + side and y + face <= top + side
        for left, top, side in tiles
        if side < min(width, height) - 1
    )


def test_tiles_of_common_pictures_are_few():
    """The search stays bounded: some thirty looks at 16:9, whatever the resolution."""
    for width, height in ((1280, 720), (1920, 1080), (1080, 1920), (3840, 2160)):
        assert len(list(subject._tiles(width, height))) <= 36


@given(st.lists(st.tuples(*[st.floats(0, 100)] * 2, *[st.floats(1, 50)] * 2), max_size=12))
def test_no_two_candidates_share_a_face(corners):
    """Suppression keeps the best, and no two that overlap by much."""
    region = subject.Region(0, 0, 1, 0)
    found = [
        subject.Candidate(region, (x, y, x + width, y + height), (i + 1) / 20)
        for i, (x, y, width, height) in enumerate(corners)
    ]
    kept = subject._distinct(found)
    assert [one.score for one in kept] == sorted((one.score for one in kept), reverse=True)
    assert all(
        subject.overlap(one.box, other.box) < 0.3
        for i, one in enumerate(kept)
        for other in kept[:i]
    )
    if found:
        assert kept[0] == found[-1]


def test_overlap_of_known_boxes():
    """Intersection over union: of equal boxes 1, of half-shifted ones a third, of apart ones 0."""
    box = (0.0, 0.0, 10.0, 10.0)
    assert subject.overlap(box, box) == 1
    np.testing.assert_allclose(subject.overlap(box, (5.0, 0.0, 15.0, 10.0)), 1 / 3)
    assert subject.overlap(box, (20.0, 0.0, 30.0, 10.0)) == 0
