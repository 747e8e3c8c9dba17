from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from functions.check_sights import Seen, sights
from functions.errors import RejectedInput
from functions.ingest.faces import FaceFinder
from functions.options import FaceChoice

Ffmpeg = Callable[..., Path]
Pixels = NDArray[np.uint8]


def test_each_frame_is_seen_once(face_clip: Path, finder: FaceFinder) -> None:
    """In order, a frame's time apart, with the face's landmarks."""
    seen = [
        (sight.seconds, sight.landmarks) for sight in islice(sights(face_clip, None, finder), 4)
    ]
    assert [seconds for seconds, _ in seen] == [Fraction(n, 25) for n in range(4)]
    assert all(landmarks is not None for _, landmarks in seen)


def test_the_source_stands_beside_it(face_clip: Path, finder: FaceFinder) -> None:
    """Of itself as the source every frame is the same; its looks are the source's."""
    seen = Seen()
    for sight in islice(sights(face_clip, face_clip, finder), 8):
        assert sight.source is not None
        np.testing.assert_array_equal(sight.source.y, sight.picture.y)
        seen.take(sight)
    assert len(seen.apertures) == len(seen.widths) == 8
    assert 0.3 < seen.widths[0] < 1.0
    assert seen.looks.flickers == 2  # five frames steady a crop, three make a flicker
    assert seen.looks.flicker == seen.looks.source_flicker


def test_a_portrait_has_no_flicker(face_clip: Path, finder: FaceFinder) -> None:
    """The crop follows landmarks that tremble; a still under it has no flicker of its own."""
    seen = Seen(still=True)
    for sight in islice(sights(face_clip, face_clip, finder), 8):
        seen.take(sight)
    assert seen.looks.source_flicker == 0
    assert seen.looks.source_sharpness > 0


def test_a_source_that_ends_is_no_error(
    face_clip: Path, finder: FaceFinder, ffmpeg: Ffmpeg, tmp_path: Path
) -> None:
    """Footage shorter than the video is compared as far as it goes."""
    short = ffmpeg("-i", face_clip, "-frames:v", 3, tmp_path / "short.mp4")
    beside = [sight.source is not None for sight in islice(sights(face_clip, short, finder), 6)]
    assert beside == [True] * 3 + [False] * 3


def test_frames_without_a_face_are_counted(
    finder: FaceFinder, ffmpeg: Ffmpeg, tmp_path: Path
) -> None:
    """A test card has no aperture in any frame, but as many as it has frames."""
    card = ffmpeg("-f", "lavfi", "-i", "testsrc2=duration=0.2:rate=25", tmp_path / "card.mp4")
    seen = Seen()
    for sight in sights(card, None, finder):
        seen.take(sight)
    assert np.isnan(seen.apertures).all()
    assert len(seen.apertures) == len(seen.widths) == 5


def test_another_size_is_refused(
    face_clip: Path, finder: FaceFinder, ffmpeg: Ffmpeg, tmp_path: Path
) -> None:
    """A source of other pictures isn't what the video was made of."""
    small = ffmpeg("-i", face_clip, "-vf", "scale=160:90", "-frames:v", 2, tmp_path / "small.mp4")
    with pytest.raises(RejectedInput, match="160x90"):
        next(sights(face_clip, small, finder))


@pytest.fixture(scope="module")
def couple(astronaut: Pixels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A still of two faces, the left one a little larger."""
    to = tmp_path_factory.mktemp("couple") / "couple.png"
    Image.fromarray(two_faces(astronaut)).save(to)
    return to


def test_the_face_of_the_source_is_looked_at(
    astronaut: Pixels, couple: Path, finder: FaceFinder, ffmpeg: Ffmpeg, tmp_path: Path
) -> None:
    """A face that is lost for long, as a mouth that failed may lose it, is not changed for another.

    The video alone would tell of the other face from the tenth frame on.
    """
    video = filmed(astronaut, list(range(3, 16)), 20, tmp_path, ffmpeg)
    alone, led = (
        [sight.landmarks for sight in sights(video, source, finder)] for source in (None, couple)
    )
    assert side_of(alone[0]) == side_of(led[0]) == "left"
    assert side_of(alone[-1]) == "right"
    assert {side_of(landmarks) for landmarks in led[:3] + led[-3:]} == {"left"}
    assert "right" not in {side_of(landmarks) for landmarks in led}


def test_what_a_source_no_longer_shows_is_followed_on(
    astronaut: Pixels, finder: FaceFinder, ffmpeg: Ffmpeg, tmp_path: Path
) -> None:
    """Where a source ends, the same face is followed in the video alone."""
    video = filmed(astronaut, [], 8, tmp_path, ffmpeg)
    source = ffmpeg("-i", video, "-frames:v", 3, "-crf", 10, tmp_path / "source.mp4")
    seen = [sight.landmarks for sight in sights(video, source, finder, "right")]
    assert [side_of(landmarks) for landmarks in seen] == ["right"] * 8


@pytest.mark.parametrize(
    ("choice", "side"), [("largest", "left"), ("right", "right"), (2, "right")]
)
def test_a_face_can_be_named(
    choice: FaceChoice,
    side: str,
    astronaut: Pixels,
    couple: Path,
    finder: FaceFinder,
    ffmpeg: Ffmpeg,
    tmp_path: Path,
) -> None:
    """As a run names it, in the video alone as in its source."""
    video = filmed(astronaut, [], 2, tmp_path, ffmpeg)
    for source in (None, couple):
        seen = [sight.landmarks for sight in sights(video, source, finder, choice)]
        assert [side_of(landmarks) for landmarks in seen] == [side] * 2


def two_faces(astronaut: Pixels, *, covered: bool = False) -> Pixels:
    """(400, 720, 3): two faces on a wall, the left and larger one behind a grey board or not."""
    wall = np.full((400, 720, 3), 120, np.uint8)
    head = np.ascontiguousarray(astronaut[:256, 96:352])
    wall[60:380, 20:340] = cv2.resize(head, (320, 320), interpolation=cv2.INTER_CUBIC)
    wall[90:346, 430:686] = head
    if covered:
        wall[60:380, 20:340] = 90
    return wall


def filmed(
    astronaut: Pixels, covered: list[int], frames: int, folder: Path, ffmpeg: Ffmpeg
) -> Path:
    """A video of the two faces; in the frames that are named the left one can't be seen."""
    for frame in range(frames):
        picture = two_faces(astronaut, covered=frame in covered)
        Image.fromarray(picture).save(folder / f"{frame:02}.png")
    made = ("-pix_fmt", "yuv420p", "-crf", 12, folder / "video.mp4")
    return ffmpeg("-framerate", 25, "-i", folder / "%02d.png", *made)


def side_of(landmarks: NDArray[np.float32] | None) -> str:
    """On which side of the picture a face is."""
    if landmarks is None:
        return "nowhere"
    return "left" if landmarks[:, 0].mean() < 360 else "right"
