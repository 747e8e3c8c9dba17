"""Lip sync on finished videos, of a voice that the ear was not trained on."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from demo import sample_face
from functions.ingest.face_models import FaceModels
from functions.ingest.faces import FaceFinder
from training.mouth_tracks import read_segments, tracks

from .in_process import build, infer_with
from .lip_sync import Match, aperture, match

RATE = 25
FIXTURES = Path(__file__).parents[1] / "fixtures"


@dataclass(frozen=True)
class TruthfulEar:
    """Says what the phones say, whatever it hears."""

    truth: NDArray[np.float32]

    def hear(
        self,
        samples: NDArray[np.float32],
        rate: Fraction,
        first: int,
        last: int,
        *,
        level: float,
        offset: int = 0,
    ) -> NDArray[np.float32]:
        assert rate == RATE
        # Beyond the recording there is silence.
        said = np.zeros((last - first, 4), np.float32)
        part = self.truth[first:last]
        said[: len(part)] = part
        return said


def truth_of(voice: Path) -> NDArray[np.float32]:
    """Mouth tracks of a recording whose phones stand beside it."""
    segments = read_segments(voice.with_name(f"{voice.stem}.phones.json"))
    return tracks(segments, soundfile.info(voice).duration, RATE)


@pytest.fixture(scope="module")
def truth(voice_file: Path) -> NDArray[np.float32]:
    return truth_of(voice_file)


@pytest.fixture(scope="module")
def presenter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_face.clip(tmp_path_factory.mktemp("presenter") / "face.mp4", 4.0, (1280, 720))


@pytest.fixture(scope="module")
def seen(
    tmp_path_factory: pytest.TempPathFactory,
    face_models: FaceModels,
    finder: FaceFinder,
    voice_file: Path,
    presenter: Path,
    truth: NDArray[np.float32],
) -> dict[str, NDArray[np.float64]]:
    """What the mouth does in finished videos: heard by the network, and told the truth."""
    chain = build(tmp_path_factory.mktemp("sync"), face_models)
    heard = chain.make("heard", voice_file, presenter)
    mandarin = chain.make("mandarin", FIXTURES / "voice_zh.flac", presenter)
    chain.use("infer", infer_with(chain.around, TruthfulEar(truth)))
    told = chain.make("told", voice_file, presenter)
    plans = {"heard": heard, "mandarin": mandarin, "told": told}
    return {name: aperture(chain.video(plan), finder) for name, plan in plans.items()}


Report = Callable[[str, object], None]


def check(name: str, found: Match, least: float, record_property: Report) -> None:
    record_property(name, str(found))
    assert found.r >= least, found
    assert abs(found.lag) <= 1, found


def test_truth_is_shown(
    seen: dict[str, NDArray[np.float64]], truth: NDArray[np.float32], record_property: Report
) -> None:
    """Told what is said, the renderer shows it: r at least .95, no lag."""
    check("truth-driven", match(seen["told"], truth[:, 0]), 0.95, record_property)


def test_network_is_in_sync(
    seen: dict[str, NDArray[np.float64]], truth: NDArray[np.float32], record_property: Report
) -> None:
    """By ear, on two voices held out from training, one built from recordings: r at least .85."""
    check("network-driven, slt", match(seen["heard"], truth[:, 0]), 0.85, record_property)
    words = truth_of(FIXTURES / "voice_zh.flac")[:, 0]
    check("network-driven, f3", match(seen["mandarin"], words), 0.85, record_property)


@pytest.mark.parametrize("seconds", [1.0, 2.0, 3.0, 4.0])
def test_shifted_words_do_not_fit(
    seconds: float,
    seen: dict[str, NDArray[np.float64]],
    truth: NDArray[np.float32],
    record_property: Report,
) -> None:
    """The same words some seconds later: the measure tells right from wrong."""
    shifted = np.roll(truth[:, 0], round(seconds * RATE))
    found = match(seen["heard"], shifted)
    record_property(f"shifted by {seconds} s", str(found))
    assert found.r < 0.4, found


def test_other_words_do_not_fit(
    seen: dict[str, NDArray[np.float64]], record_property: Report
) -> None:
    """Another recording's words fit badly."""
    found = match(seen["heard"], truth_of(FIXTURES / "voice_zh.flac")[:, 0])
    record_property("other words", str(found))
    assert found.r < 0.4, found


@pytest.mark.parametrize("frames", [-5, -3, 3, 5])
def test_lag_would_be_seen(
    frames: int, seen: dict[str, NDArray[np.float64]], truth: NDArray[np.float32]
) -> None:
    """A video that came late or early by some frames is measured as just that."""
    late = np.roll(seen["heard"], frames)
    assert match(late, truth[:, 0]).lag == pytest.approx(frames, abs=1)
