import numpy as np
import pytest

from functions.infer.geometry import FADE, Surveyor, chunk_of
from functions.infer.manifest import Crop
from functions.infer.mouth import LEFT_EYE, RIGHT_EYE, crop_affine

CROP = Crop(256, 1.85, 0.78)


def joined(studio, name):
    surveyor = Surveyor(studio, CROP)
    surveys = [surveyor.survey(chunk) for chunk in studio.footage.chunks]
    return np.concatenate([getattr(survey, name) for survey in surveys])


@pytest.mark.parametrize("name", ["affine", "landmarks", "opacity", "width"])
def test_chunks_do_not_show(studio, name):
    """However footage is cut into chunks, every frame has the same crop, to the bit."""
    whole = joined(studio([24], faceless=[9]), name)
    for chunks in ([12, 12], [1, 5, 2, 16], [3] * 8):
        assert np.array_equal(joined(studio(chunks, faceless=[9]), name), whole)


def test_a_shaking_crop_is_steadied_without_lag(studio):
    """Frame-to-frame shaking is smoothed away; a steady movement stays where it is."""
    footage = studio([24])
    steps = np.arange(24, dtype=np.float32)
    base = footage.tracks[0].landmarks[0].copy()
    shake = np.where(steps % 2, 1.0, -1.0)
    footage.tracks[0].landmarks[:] = base + (3 * steps + shake)[:, None, None]
    offset = Surveyor(footage, CROP).survey(footage.footage.chunks[0]).affine[:, 0, 2]
    steady = crop_affine((base + 3 * steps[:, None, None]).astype(np.float32), 256, 1.85, 0.78)
    assert np.abs(offset - steady[:, 0, 2])[3:-3].max() < 0.01


def test_an_eye_lands_where_the_framing_says(studio):
    """Outer eye corners are level, .78 eye distances above the crop's centre."""
    footage = studio([5])
    survey = Surveyor(footage, CROP).survey(footage.footage.chunks[0])
    for affine, points in zip(survey.affine[2:3], footage.tracks[0].landmarks[2:3], strict=True):
        eye = affine[:, :2] @ points[RIGHT_EYE] + affine[:, 2]
        assert eye == pytest.approx([127.5 - 128 / 1.85, 127.5 - 0.78 * 256 / 1.85], abs=1.5)


def test_patches_fade_beside_frames_without_a_face(studio):
    """Opacity is 0 in the gap and rises over some frames on either side, across chunk borders."""
    opacity = joined(studio([10, 10], faceless=[9, 10]), "opacity")
    ramp = np.arange(1, FADE + 1) / (FADE + 1)
    assert opacity[:6].tolist() == [1] * 6
    assert opacity[9:11].tolist() == [0, 0]
    assert opacity[11 : 11 + FADE] == pytest.approx(ramp)
    assert opacity[9 - FADE : 9] == pytest.approx(ramp[::-1])
    assert opacity[-1] == 1


def test_frames_outside_all_chunks_are_gaps(studio):
    """Where no window was cut there is no face, and what lies beside fades."""
    footage = studio([8, 8], gap=5)
    assert chunk_of(footage.footage, 8) is None
    assert chunk_of(footage.footage, 13) == footage.footage.chunks[1]
    opacity = joined(footage, "opacity")
    assert opacity[7] == opacity[8] == pytest.approx(1 / (FADE + 1))
    assert opacity[0] == opacity[-1] == 1


def test_a_cut_is_not_smoothed_over(studio):
    """Where the face jumps to another place and size, each shot's crops are its own."""
    footage = studio([24])
    points = footage.tracks[0].landmarks
    points[:12] = points[0]
    points[12:] = points[0] * 1.3 + 60
    survey = Surveyor(footage, CROP).survey(footage.footage.chunks[0])
    for frames in (slice(0, 12), slice(12, 24)):
        alone = crop_affine(points[frames], 256, 1.85, 0.78)
        np.testing.assert_allclose(survey.affine[frames], alone, rtol=1e-5)


def test_a_jump_cut_is_not_smoothed_over(studio):
    """A cut to another take, in which the face is a fifth of it aside, moves no landmark."""
    footage = studio([24])
    points = footage.tracks[0].landmarks
    points[:12] = points[0]
    eyes = points[0, LEFT_EYE, 0] - points[0, RIGHT_EYE, 0]
    points[12:] = points[0] + 0.25 * eyes
    survey = Surveyor(footage, CROP).survey(footage.footage.chunks[0])
    alone = crop_affine(points, 256, 1.85, 0.78)
    np.testing.assert_allclose(survey.affine, alone, rtol=1e-5)
    np.testing.assert_allclose(survey.seen, survey.landmarks, atol=1e-5)
