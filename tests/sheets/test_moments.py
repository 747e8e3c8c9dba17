import numpy as np
import pytest

from sheets.moments import STRIP, moments, strip


def said(count: int = 100) -> np.ndarray:
    """A mouth at rest: (count, 4)."""
    return np.zeros((count, 4), np.float32)


def test_each_kind_is_found() -> None:
    """Two closures, two open vowels, a rounding and an f or v, each where it is."""
    mouth = said()
    mouth[10, 2] = mouth[40, 2] = 1
    mouth[20, 0] = mouth[60, 0] = 0.9
    mouth[70, :2] = 0.3, -0.8
    mouth[80, 3] = 0.9
    found = {(moment.what, moment.frame) for moment in moments(mouth)}
    closed, opened = {("closed", 10), ("closed", 40)}, {("open", 20), ("open", 60)}
    assert found == closed | opened | {("round", 70), ("f, v", 80)}


def test_what_is_not_said_is_not_shown() -> None:
    """A voice without f or v has no such moment, and silence has none at all."""
    assert moments(said()) == []
    mouth = said()
    mouth[10, 2] = 1
    assert [moment.what for moment in moments(mouth)] == ["closed"]


def test_two_moments_are_not_one() -> None:
    """The frames beside a closure are the same closure."""
    mouth = said()
    mouth[50:54, 2] = [0.8, 1, 0.9, 0.8]
    assert [moment.frame for moment in moments(mouth)] == [51]


def test_a_mouth_at_rest_is_no_rounding() -> None:
    """Narrow and shut is rest, or m; only an open narrow mouth is round."""
    mouth = said()
    mouth[:, 1] = -1
    assert moments(mouth) == []


@pytest.mark.parametrize("count", [1, 10, STRIP, 200])
def test_the_strip_is_where_the_mouth_moves(count: int) -> None:
    """Consecutive frames inside the video, around what moves most."""
    mouth = said(count)
    if count > STRIP:
        mouth[120:140:2, 0] = 1
    found = strip(mouth)
    assert 0 <= found.start < found.stop <= count
    assert len(found) == min(STRIP, count)
    if count > STRIP:
        assert found.start <= 120
        assert found.stop >= 139
