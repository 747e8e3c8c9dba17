from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from functions.check_sights import Seen, sights
from functions.errors import RejectedInput
from functions.ingest.faces import FaceFinder

Ffmpeg = Callable[..., Path]


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
