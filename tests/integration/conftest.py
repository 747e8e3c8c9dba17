"""Media of a few seconds, and one running `koubo up` that several tests share."""

import re
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from demo import sample_face
from functions.ingest.face_models import FaceModels

from .embedded import Folder, Up
from .in_process import Chain, build

SAMPLES = Path(__file__).parents[2] / "functions" / "samples"


@pytest.fixture(scope="session")
def voice_file() -> Path:
    """10.7 s of a voice that the ear was not trained on."""
    return SAMPLES / "voice.flac"


@pytest.fixture(scope="session")
def short_voice(
    tmp_path_factory: pytest.TempPathFactory, voice_file: Path, ffmpeg: Callable[..., Path]
) -> Path:
    """Its first 3 seconds."""
    return ffmpeg("-i", voice_file, "-t", 3, tmp_path_factory.mktemp("voice") / "voice.wav")


@pytest.fixture(scope="session")
def short_face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 seconds of a moving face, 320 x 240, 25 frames a second."""
    return sample_face.clip(tmp_path_factory.mktemp("face") / "face.mp4", 2.0, (320, 240))


@pytest.fixture(scope="session")
def silence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 seconds of nothing, as WAV."""
    path = tmp_path_factory.mktemp("silence") / "silence.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.zeros(32_000, np.int16).tobytes())
    return path


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory, face_models: FaceModels) -> Iterator[Up]:
    """A `koubo up` for as long as the tests run; inputs may last 30 seconds."""
    folder = Folder(tmp_path_factory.mktemp("data"))
    with Up(folder, {"KOUBO_INGEST_MAX_SECONDS": "30"}) as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, face_models: FaceModels) -> Iterator[Chain]:
    """One chain for a module's runs: voice and face are analysed once, models cached in it."""
    root = tmp_path_factory.mktemp("chain")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KOUBO_CACHE_WEIGHTS", str(root / "weights"))
        patch.setenv("KOUBO_INGEST_SEGMENT_SECONDS", "1")
        yield build(root / "data", face_models)


@pytest.fixture(scope="session")
def cut_voice(tmp_path_factory: pytest.TempPathFactory, voice_file: Path) -> Path:
    """2.2 s, whose last frames a published Wav2Lip drops."""
    path = tmp_path_factory.mktemp("voice") / "voice.wav"
    sound, rate = soundfile.read(voice_file, dtype="int16", frames=35_217)
    soundfile.write(path, sound, rate)
    return path


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Of a test's job and of its model, which no other test has."""
    return re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[-60:].strip("-")
