from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo import sample_face
from functions.ingest.faces import FaceFinder, FaceFollower
from functions.ingest.mouth_view import View
from functions.ingest.plain_sight import PlainSight
from functions.ingest.track import TrackEntry, TrackSmoother
from functions.picture import Colour, Picture

from .occluders import Draw, finger, fingers, hair, hand, microphone

SIZE = (480, 270)
RATE = 25
COUNT = 100
COVERED = range(45, 70)
EYES = 66.0 / 306 * SIZE[1]  # pixels between the outer eye corners in the clip
AsPicture = Callable[[np.ndarray], Picture]


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    """Four seconds of a moving face with some noise, as a camera's."""
    noise = np.random.default_rng(0)
    return [
        np.clip(frame + noise.normal(0, 2, frame.shape), 0, 255).astype(np.uint8)
        for frame in sample_face.frames(COUNT, SIZE, RATE)
    ]


def entries(
    frames: list[np.ndarray], finder: FaceFinder, as_picture: AsPicture
) -> list[TrackEntry]:
    """What the tracker says of each frame."""
    follower, smoother = FaceFollower(finder), TrackSmoother()
    found: list[TrackEntry] = []
    for frame in frames:
        found += smoother.push(follower.follow(as_picture(frame), Colour()))
    return found + smoother.flush()


@pytest.fixture(scope="module")
def clear(frames: list[np.ndarray], finder: FaceFinder, as_picture: AsPicture) -> list[TrackEntry]:
    return entries(frames, finder, as_picture)


def hidden(judged: list[TrackEntry]) -> np.ndarray:
    return np.flatnonzero([entry.confidence == 0 for entry in judged])


def covered(frames: list[np.ndarray], clear: list[TrackEntry], draw: Draw) -> list[np.ndarray]:
    """The frames with something that comes from the side, stays and leaves."""
    shown = list(frames)
    for index in COVERED:
        away = max(0, 6 - (index - COVERED.start), 6 - (COVERED.stop - 1 - index)) / 6
        landmarks = clear[index].landmarks
        assert landmarks is not None
        x, y = landmarks[[13, 14]].mean(axis=0)
        at = (float(x) + 2.5 * EYES * away, float(y) + 0.4 * EYES * away)
        shown[index] = draw(frames[index], at, EYES)
    return shown


def test_a_mouth_in_plain_sight_stays(clear: list[TrackEntry]) -> None:
    """A head that moves and turns hides nothing: no frame is given up."""
    sight = PlainSight()
    assert hidden(sight.judge(clear)).tolist() == []
    assert sight.hidden == 0


@pytest.mark.parametrize(
    "draw",
    [fingers, hand, microphone, hair, finger(0), finger(90), finger(160), finger(-20, 0.085)],
    ids=["fingers", "hand", "microphone", "hair", "right", "below", "left", "thin"],
)
def test_what_comes_before_the_mouth_is_seen(
    draw: Draw,
    frames: list[np.ndarray],
    clear: list[TrackEntry],
    finder: FaceFinder,
    as_picture: AsPicture,
) -> None:
    """While something is before the mouth its frames are given up, and hardly any beside them."""
    sight = PlainSight()
    judged = sight.judge(entries(covered(frames, clear, draw), finder, as_picture))
    found = hidden(judged)
    inside = range(COVERED.start + 6, COVERED.stop - 6)
    assert set(inside) <= set(found.tolist())
    assert found.min() >= COVERED.start - 2
    assert found.max() < COVERED.stop + 3
    assert sight.hidden <= len(found)  # the tracker itself may have lost some


def test_pieces_know_what_came_before(
    frames: list[np.ndarray], clear: list[TrackEntry], finder: FaceFinder, as_picture: AsPicture
) -> None:
    """A piece that is mostly hidden is told by the scene's earlier pieces."""
    judged = entries(covered(frames, clear, microphone), finder, as_picture)
    sight = PlainSight()
    assert hidden(sight.judge(judged[:45])).tolist() == []
    later = hidden(sight.judge(judged[45:70]))
    assert set(range(6, 19)) <= set(later.tolist())


def test_a_new_scene_is_nothing_odd(clear: list[TrackEntry]) -> None:
    """Another light after a cut is another scene, which is judged by itself."""
    other = [
        TrackEntry(entry.landmarks, entry.confidence, brighter(entry.view), scene=1)
        for entry in clear[:45]
    ]
    assert hidden(PlainSight().judge(clear + other)).tolist() == []


def test_a_jump_cut_is_no_new_scene(
    frames: list[np.ndarray], clear: list[TrackEntry], finder: FaceFinder, as_picture: AsPicture
) -> None:
    """After a cut to the same face in the same light, what it looked like before is still known."""
    judged = entries(covered(frames, clear, hand), finder, as_picture)
    cut = [TrackEntry(e.landmarks, e.confidence, e.view, scene=1) for e in judged[42:]]
    sight = PlainSight()
    sight.judge(judged[:42])
    found = hidden(sight.judge(cut[:30]))
    assert set(range(9, 22)) <= set(found.tolist())
    assert found.min() > 0


def test_a_short_scene_is_not_judged(clear: list[TrackEntry]) -> None:
    """Some frames tell nothing of what is usual."""
    odd = [TrackEntry(e.landmarks, e.confidence, brighter(e.view)) for e in clear[5:8]]
    assert hidden(PlainSight().judge([*clear[:20], *odd])).tolist() == []


def test_profiles_are_given_up_at_once(clear: list[TrackEntry]) -> None:
    """A head turned farther than the mesh holds needs no scene to compare it with."""
    turned = [
        TrackEntry(e.landmarks, e.confidence, profile(e.view)) if i == 2 else e
        for i, e in enumerate(clear[:5])
    ]
    assert hidden(PlainSight().judge(turned)).tolist() == [2]


@given(cuts=st.lists(st.integers(1, 99), max_size=8))
def test_any_pieces_are_judged(cuts: list[int], clear: list[TrackEntry]) -> None:
    """However short the pieces are in which frames come, each has its entry, and none is hidden."""
    sight = PlainSight()
    edges = sorted({0, *cuts, len(clear)})
    judged = [entry for a, b in pairwise(edges) for entry in sight.judge(clear[a:b])]
    assert len(judged) == len(clear)
    assert hidden(judged).tolist() == []


def test_faceless_frames_are_no_error() -> None:
    """Frames that never had a face pass through as they are."""
    nothing = [TrackEntry(None, 0.0)] * 60
    sight = PlainSight()
    assert sight.judge(nothing) == nothing
    assert sight.judge([]) == []
    assert sight.hidden == 0


def brighter(view: View | None) -> View:
    assert view is not None
    return View(view.places + 30, view.pose, view.logit)


def profile(view: View | None) -> View:
    assert view is not None
    pose = view.pose.copy()
    pose[1] = 1.2
    return View(view.places, pose, view.logit)
