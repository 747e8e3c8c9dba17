import numpy as np
import pytest

from functions.infer.boxes import BoxSurveyor, box_affine


def around(landmarks):
    """All landmarks, edge to edge."""
    low, high = landmarks.min(axis=1), landmarks.max(axis=1)
    return np.concatenate([low, high], axis=1).astype(np.float64)


def test_a_box_fills_its_square():
    """Its edges, half a pixel outside its outermost centres, become the square's."""
    (affine,) = box_affine(np.array([[10.0, 20.0, 74.0, 148.0]]), 256)
    corners = np.array([[9.5, 19.5, 1], [73.5, 147.5, 1]])
    assert corners @ affine.T == pytest.approx(np.array([[-0.5, -0.5], [255.5, 255.5]]))


def test_a_box_without_a_size_stays_finite():
    """Landmarks on one spot are no face, but nothing breaks."""
    assert np.isfinite(box_affine(np.full((1, 4), 7.0), 96)).all()


@pytest.mark.parametrize("chunks", [[12], [5, 7], [3, 1, 8]])
def test_chunks_do_not_show(studio, chunks):
    """A frame's box is smoothed over its neighbours wherever they are stored."""
    footage = studio(chunks)
    surveyor = BoxSurveyor(footage, around, 256)
    boxes = [surveyor.survey(chunk) for chunk in footage.footage.chunks]
    joined = np.concatenate([box.affine for box in boxes])
    raw = np.stack([around(shot.landmarks[None])[0] for shot in footage.shots])
    held = np.pad(raw, ((2, 2), (0, 0)), mode="edge")
    weights = np.array([1, 3, 4, 3, 1]) / 12
    smooth = sum(weight * held[tap : tap + 12] for tap, weight in enumerate(weights))
    assert joined == pytest.approx(box_affine(smooth, 256).astype(np.float32), abs=1e-3)


def test_frames_without_a_face_fade(studio):
    """The opacity is that of every other family."""
    footage = studio([9], faceless=[4])
    opacity = BoxSurveyor(footage, around, 96).survey(footage.footage.chunks[0]).opacity
    assert opacity.tolist() == [1, 0.75, 0.5, 0.25, 0, 0.25, 0.5, 0.75, 1]


def test_a_gap_ends_the_smoothing(studio):
    """Where no windows were cut there are no boxes to mix in; the last one is held."""
    footage = studio([4, 4], gap=3)
    survey = BoxSurveyor(footage, around, 96).survey
    first, second = map(survey, footage.footage.chunks)
    assert np.isfinite(first.affine).all()
    assert np.isfinite(second.affine).all()
    assert not np.array_equal(first.affine[-1], second.affine[0])
