from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from functions.ingest.faces import FaceFinder
from sheets.tiles import FACE, cut, grid, places, stacked


def test_faces_are_cut_where_they_are(face_clip: Path, finder: FaceFinder) -> None:
    """A crop of a frame shows the face in its middle, the same from the video as from itself."""
    landmarks = places(face_clip, face_clip, [3, 20], finder)
    assert sorted(landmarks) == [3, 20]
    own = {3: 3, 20: 20}
    crops = cut(face_clip, Fraction(25), landmarks, own, FACE, 128)
    assert {crop.shape for crop in crops.values()} == {(128, 128, 3)}
    # Between the eyes is skin, at the sides of the crop is not.
    for crop in crops.values():
        red, green, blue = crop[50, 64].astype(int)
        assert red > green > blue


def test_another_frame_of_the_source_is_taken(face_clip: Path, finder: FaceFinder) -> None:
    """A looping source shows another frame than the output's number says."""
    landmarks = places(face_clip, face_clip, [3], finder)
    here = cut(face_clip, Fraction(25), landmarks, {3: 3}, FACE, 96)[3]
    there = cut(face_clip, Fraction(25), landmarks, {3: 22}, FACE, 96)[3]
    assert not np.array_equal(here, there)


def test_a_portrait_is_its_own_every_frame(
    face_portrait: Path, finder: FaceFinder, ffmpeg: Callable[..., Path], tmp_path: Path
) -> None:
    """A still picture is cut without being decoded as a video."""
    still = ("-loop", 1, "-framerate", 25, "-i", face_portrait, "-frames:v", 4)
    clip = ffmpeg(*still, "-pix_fmt", "yuv420p", tmp_path / "clip.mp4")
    landmarks = places(clip, face_portrait, [0, 2], finder)
    crops = cut(face_portrait, Fraction(25), landmarks, {}, FACE, 96)
    assert sorted(crops) == [0, 2]


def test_a_grid_has_a_caption_and_grey_for_what_is_missing() -> None:
    """Rows of crops under their captions; a frame without a face is grey."""
    red = np.zeros((40, 40, 3), np.uint8)
    red[..., 0] = 255
    sheet = grid([[red, None], [None, red]], ["a", "b"], 40)
    assert sheet.width == 80
    pixels = np.asarray(sheet)[-80:]
    assert pixels[20, 20].tolist() == pixels[60, 60].tolist() == [255, 0, 0]
    assert pixels[20, 60].tolist() == pixels[60, 20].tolist() == [128, 128, 128]


@pytest.mark.parametrize("widths", [(80, 40), (40, 80)])
def test_parts_are_stacked(widths: tuple[int, int]) -> None:
    """Sheets of different widths come below each other."""
    tile = np.zeros((40, 40, 3), np.uint8)
    parts = [grid([[tile] * (width // 40)], [], 40) for width in widths]
    whole = stacked(parts)
    assert whole.size == (80, sum(part.height for part in parts))
