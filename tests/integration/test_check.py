"""The lip-sync check of finished videos: as a tool, and beside every output."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from demo import sample_face
from functions import documents
from functions.check import Check
from functions.check_command import EXIT_DID_NOT_PASS
from functions.check_video import Asked, check_video
from functions.encode.report import Report
from functions.errors import Code, RejectedInput
from functions.infer.backends import OnnxRuntime
from functions.infer.ear import Ear
from functions.infer.manifest import DEFAULT_MODEL, find_model
from functions.ingest.face_models import FaceModels
from functions.ingest.faces import FaceFinder
from functions.progress import silent
from functions.settings import CheckSettings

from .in_process import build

Ffmpeg = Callable[..., Path]
SIZE = (480, 270)


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_face.clip(tmp_path_factory.mktemp("face") / "face.mp4", 3.0, SIZE)


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, face_models: FaceModels, voice_file: Path, face: Path
) -> Path:
    """A finished video, its report beside it."""
    chain = build(tmp_path_factory.mktemp("check"), face_models)
    return chain.video(chain.make("job", voice_file, face))


@pytest.fixture
def look(finder: FaceFinder, tmp_path: Path) -> Callable[..., Check]:
    """Checks a video."""
    ear = Ear(OnnxRuntime().load(find_model(*DEFAULT_MODEL).file("ear.onnx")))

    def check(
        video: Path, voice: Path | None = None, source: Path | None = None, seconds: float = 600
    ) -> Check:
        return check_video(
            Asked(video, voice, source, seconds),
            finder=finder,
            ear=ear,
            limits=CheckSettings(),
            scratch=tmp_path,
            progress=silent,
        )

    return check


def test_the_report_says_what_the_tool_finds(
    made: Path, face: Path, voice_file: Path, look: Callable[..., Check]
) -> None:
    """The sample that infer looks at stands for the video as it was put out.

    The whole voice is said: it closes the lips 13 times. Its first six seconds do so three times,
    once for a single frame and half heard, so that one of them alone would make the share .67.
    """
    report = documents.load(Report, made.with_suffix(".json").read_bytes())
    found = look(made, voice_file, face)
    assert (found.verdict, found.why) == ("passed", ())
    assert report.check.verdict == "passed"
    assert found.frames == report.video.frames
    assert found.r is not None
    assert report.check.r == pytest.approx(found.r, abs=0.12)
    assert report.check.lag == pytest.approx(found.lag, abs=0.5)
    assert found.closures_due >= 10
    assert found.closures_made >= 0.8 * found.closures_due
    assert report.check.closures_due >= 5
    assert report.check.closures_made >= 0.8 * report.check.closures_due
    # The tool sees what compression took away, too.
    assert found.sharpness is not None
    assert report.check.sharpness is not None
    assert 0.6 < found.sharpness < report.check.sharpness + 0.1
    assert all(segment.tally is None for segment in report.segments)


def test_its_own_sound_is_the_voice(
    made: Path, voice_file: Path, look: Callable[..., Check]
) -> None:
    """Without a voice the video's own sound is heard, and says the same."""
    own, given = look(made), look(made, voice_file)
    assert own.r == pytest.approx(given.r, abs=0.03)
    assert own.lag == pytest.approx(given.lag, abs=0.2)
    assert own.flicker is own.sharpness is None


@pytest.mark.parametrize("seconds", [0.2, -0.2])
def test_sound_that_was_moved_is_measured(
    seconds: float, made: Path, look: Callable[..., Check], ffmpeg: Ffmpeg, tmp_path: Path
) -> None:
    """Sound five frames late is a mouth five frames early, and does not pass."""
    streams = ("-i", made, "-itsoffset", seconds, "-i", made, "-map", "0:v", "-map", "1:a")
    moved = ffmpeg(*streams, "-c", "copy", tmp_path / "moved.mkv")
    found = look(moved)
    assert found.lag == pytest.approx(-5 * seconds / 0.2, abs=0.5)
    assert found.verdict == "failed"


def test_other_words_do_not_pass(made: Path, look: Callable[..., Check]) -> None:
    """Another recording is not what this mouth says."""
    other = Path(__file__).parents[1] / "fixtures" / "voice_zh.flac"
    found = look(made, other)
    assert found.verdict == "failed"
    assert found.r is not None
    assert found.r < 0.4


def test_only_so_much_is_looked_at(made: Path, look: Callable[..., Check]) -> None:
    """A limit in seconds bounds the work."""
    assert look(made, seconds=2).frames == 50


def test_what_can_not_be_checked_is_refused(
    made: Path, face: Path, voice_file: Path, look: Callable[..., Check], tmp_path: Path
) -> None:
    """No sound, no face, and a source of another size are refused in words."""
    with pytest.raises(RejectedInput) as silent_video:
        look(face)
    assert silent_video.value.code is Code.NO_SOUND
    other = sample_face.clip(tmp_path / "other.mp4", 0.2, (320, 240))
    with pytest.raises(RejectedInput, match="320x240") as wrong_source:
        look(made, source=other)
    assert wrong_source.value.code is Code.UNSUPPORTED


def test_a_faceless_video_is_refused(
    voice_file: Path, look: Callable[..., Check], ffmpeg: Ffmpeg, tmp_path: Path
) -> None:
    """A test card has no mouth to check."""
    card = ffmpeg("-f", "lavfi", "-i", "testsrc2=duration=0.4", tmp_path / "card.mp4")
    with pytest.raises(RejectedInput) as caught:
        look(card, voice_file)
    assert caught.value.code is Code.NO_FACE


def test_the_command(made: Path, face: Path) -> None:
    """`koubo check` prints what it found; with the gate a video that fails ends it with 4."""

    def run(*options: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "functions.cli", "check", str(made), "--seconds", "4"]
        environment = {**os.environ, **settings}
        return subprocess.run(
            [*command, *options],
            check=False,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    told = run()
    assert told.returncode == 0, told.stderr
    assert "closures" in told.stdout
    failed = run("--json", "--gate", "--source", str(face), KOUBO_CHECK_MIN_R="0.999")
    assert failed.returncode == EXIT_DID_NOT_PASS, failed.stderr
    assert json.loads(failed.stdout)["verdict"] == "failed"


def test_a_face_that_is_none_is_a_usage_error(made: Path) -> None:
    """`--face` takes what `koubo.toml` takes; anything else is refused before anything is read."""
    command = [sys.executable, "-m", "functions.cli", "check", str(made), "--face", "middle"]
    told = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert told.returncode == 2
    assert "names no face" in told.stderr
