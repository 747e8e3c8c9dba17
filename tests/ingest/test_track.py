import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.ingest.faces import Face
from functions.ingest.track import GAP_CONFIDENCE, LONGEST_GAP, TrackSmoother

SHAPE = np.random.default_rng(0).uniform(0, 100, (468, 2)).astype(np.float32)


def face(x=0.0, y=0.0, *, followed=True, confidence=0.9):
    landmarks = (SHAPE + np.array([x, y], np.float32)).astype(np.float32)
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    return Face((*low, *high), landmarks, confidence, followed)


def run(faces):
    smoother = TrackSmoother()
    entries = [entry for item in faces for entry in smoother.push(item)]
    return entries + smoother.flush()


def xs(entries):
    return [float((entry.landmarks - SHAPE)[:, 0].mean()) for entry in entries]


tracks = st.lists(
    st.one_of(st.none(), st.builds(face, st.floats(-9, 9), followed=st.booleans())), max_size=40
)


@given(tracks)
def test_one_entry_a_frame_in_order(faces):
    """Every frame gets an entry; only one with a face, or in a short gap, has confidence."""
    entries = run(faces)
    assert len(entries) == len(faces)
    for item, entry in zip(faces, entries, strict=True):
        if item is not None:
            assert entry.confidence == item.confidence
            assert np.abs(entry.landmarks - item.landmarks).max() <= 10
        else:
            assert entry.confidence in {0.0, GAP_CONFIDENCE}
        if entry.landmarks is not None:
            assert entry.landmarks.dtype == np.float32
            assert entry.landmarks.shape == (468, 2)


@given(tracks)
def test_memory_is_bounded(faces):
    """Never more than the longest gap and two faces are held back."""
    smoother, given_back = TrackSmoother(), 0
    for pushed, item in enumerate(faces, start=1):
        given_back += len(smoother.push(item))
        assert pushed - given_back <= LONGEST_GAP + 1


@given(tracks)
def test_landmarks_are_missing_only_before_the_first_face(faces):
    """Until a face is seen there is nothing to hold; from then on there always is."""
    entries = run(faces)
    first = next((i for i, item in enumerate(faces) if item is not None), len(faces))
    assert [entry.landmarks is None for entry in entries] == [i < first for i in range(len(faces))]


@given(st.integers(3, 30), st.floats(-4, 4), st.floats(-4, 4))
def test_steady_motion_is_not_delayed(frames, across, down):
    """A face that moves evenly stays exactly where it was: smoothing has no phase."""
    faces = [face(i * across, i * down, followed=i > 0) for i in range(frames)]
    for item, entry in zip(faces, run(faces), strict=True):
        np.testing.assert_allclose(entry.landmarks, item.landmarks, atol=1e-3)


def test_flutter_is_halved_and_more():
    """A landmark that jumps to and fro every frame comes to rest: the Hanning window's zero."""
    faces = [face(1.0 if i % 2 else -1.0, followed=i > 0) for i in range(10)]
    np.testing.assert_allclose(xs(run(faces))[1:-1], 0, atol=1e-5)


def test_an_impulse_shows_the_window():
    """The weights are 1/4, 1/2, 1/4, centred."""
    faces = [face(4.0 if i == 3 else 0.0, followed=i > 0) for i in range(7)]
    np.testing.assert_allclose(xs(run(faces)), [0, 0, 1, 2, 1, 0, 0], atol=1e-5)


def test_nothing_is_smoothed_across_a_cut():
    """On both sides of a face that was found anew the landmarks are the raw ones."""
    places = [0, 0, 3, 50, 53, 50]
    faces = [face(x, followed=i not in {0, 3}) for i, x in enumerate(places)]
    np.testing.assert_allclose(xs(run(faces)), [0, 0.75, 3, 50, 51.5, 50], atol=1e-4)


@pytest.mark.parametrize("gap", range(1, LONGEST_GAP + 1))
def test_a_blink_of_the_tracker_is_bridged(gap):
    """A short gap between near faces is interpolated, with little confidence."""
    faces = [face(0), *[None] * gap, face(gap + 1.0, followed=False)]
    entries = run(faces)
    np.testing.assert_allclose(xs(entries), range(gap + 2), atol=1e-4)
    assert [entry.confidence for entry in entries[1:-1]] == [GAP_CONFIDENCE] * gap


def test_a_long_gap_is_held():
    """A longer gap keeps the last face's landmarks and says that there is none."""
    faces = [face(0), *[None] * (LONGEST_GAP + 3), face(2, followed=False)]
    entries = run(faces)
    assert xs(entries[:-1]) == [0.0] * (LONGEST_GAP + 4)
    assert {entry.confidence for entry in entries[1:-1]} == {0.0}


def test_far_faces_are_not_bridged():
    """Across a short gap to another place each frame holds the nearer face."""
    entries = run([face(0), None, None, face(500, followed=False)])
    np.testing.assert_allclose(xs(entries), [0, 0, 500, 500], atol=1e-3)
    assert [entry.confidence for entry in entries] == [0.9, 0, 0, 0.9]


def test_a_gap_at_the_end_is_held():
    """Faceless frames at the end keep the last face's landmarks."""
    entries = run([face(0), face(1), None, None])
    assert xs(entries) == [0.0, 1.0, 1.0, 1.0]
    assert [entry.confidence for entry in entries] == [0.9, 0.9, 0, 0]
