from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from demo import sample_face
from sheets.workshop import Told, Workshop
from training.mouth_tracks import Segment

SAID = [Segment(0.0, 0.4, "a"), Segment(0.4, 0.6, "m"), Segment(0.6, 1.0, "")]


def test_what_is_told_is_what_the_phones_say() -> None:
    """Whatever part of the timeline is asked for, and silence around the recording."""
    told, nothing = Told(SAID, 1.0), np.zeros(0, np.float32)
    whole = told.hear(nothing, Fraction(25), -5, 40, level=0.1)
    assert whole.shape == (45, 4)
    assert not whole[:5].any()
    assert not whole[30:].any()
    assert whole[5 + 4, 0] > 0.6
    assert whole[5 + 12, 2] > 0.9
    part = told.hear(nothing, Fraction(25), 8, 20, level=0.1)
    np.testing.assert_array_equal(part, whole[13:25])


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first second of the sample voice."""
    samples, rate = soundfile.read(str(files("functions") / "samples" / "voice.flac"))
    path = tmp_path_factory.mktemp("voice") / "voice.wav"
    soundfile.write(path, samples[:rate], rate)
    return path


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"))


def test_a_video_is_made(workshop: Workshop, voice: Path, tmp_path: Path) -> None:
    """A voice and a face become a video with its report, also when the mouth is told."""
    face = sample_face.clip(tmp_path / "face.mp4", 1.0, (320, 240))
    video = tmp_path / "made.mp4"
    assert workshop.make(voice, face, video, Told(SAID, 1.0)) == ""
    assert video.stat().st_size > 1000
    assert '"told"' in video.with_suffix(".json").read_text("utf-8")


def test_a_refusal_is_told(workshop: Workshop, voice: Path, tmp_path: Path) -> None:
    """A portrait without a face leaves no video, and says why."""
    wall = tmp_path / "wall.png"
    Image.new("RGB", (320, 240), "grey").save(wall)
    why = workshop.make(voice, wall, tmp_path / "none.mp4")
    assert "no_face" in why
    assert not (tmp_path / "none.mp4").exists()
