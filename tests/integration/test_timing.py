"""Length and sync in time: every frame there, none too many, picture and sound together."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from demo import sample_face
from functions.infer.backends import OnnxRuntime
from functions.infer.ear import Ear
from functions.infer.manifest import find_model
from functions.ingest.face_models import FaceModels
from functions.ingest.faces import FaceFinder
from functions.loudness import BLOCK, block_levels, speech_level

from .embedded import koubo
from .in_process import Chain, build
from .lip_sync import aperture, frame_times, match

RATES = ("24", "25", "30000/1001")
SAMPLE_RATE = 16_000
LOOK = 6.0
"""Seconds that are looked at, at each of the three places."""

Ffmpeg = Callable[..., Path]
Report = Callable[[str, object], None]


def _at_rate(clip: Path, rate: str, to: Path, ffmpeg: Ffmpeg) -> Path:
    """The same pictures with times at another rate."""
    again = ("-vf", f"setpts=N/({rate})/TB", "-r", rate)
    return ffmpeg("-i", clip, *again, "-c:v", "libx264", "-preset", "ultrafast", "-crf", 14, to)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Ffmpeg) -> dict[tuple[str, int], Path]:
    """The face at each rate, for 1 and for 3 seconds."""
    folder = tmp_path_factory.mktemp("rates")
    found = {}
    for seconds in (1, 3):
        clip = sample_face.clip(folder / f"{seconds}.mp4", seconds, (256, 256))
        for rate in RATES:
            to = folder / f"{rate.replace('/', '-')}-{seconds}.mp4"
            found[rate, seconds] = _at_rate(clip, rate, to, ffmpeg)
    return found


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, face_models: FaceModels) -> Chain:
    """One chain for all lengths and rates, so that each footage is analysed once."""
    return build(tmp_path_factory.mktemp("timing"), face_models)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("footage", [1, 3], ids=["shorter", "longer"])
@pytest.mark.parametrize("samples", [32_000, 35_217], ids=["2 s", "2.2 s"])
def test_frames_are_the_voices_length(
    rate: str,
    footage: int,
    samples: int,
    faces: dict[tuple[str, int], Path],
    voice_file: Path,
    chain: Chain,
    tmp_path: Path,
) -> None:
    """Round(seconds x rate) frames, whether the footage is shorter or longer than the voice."""
    voice = tmp_path / "voice.wav"
    sound, _ = soundfile.read(voice_file, dtype="int16", stop=samples)
    soundfile.write(voice, sound, SAMPLE_RATE)
    face = faces[rate, footage]
    plan = chain.make(f"{face.stem}-{samples}", voice, face)
    times = list(frame_times(chain.video(plan)))
    assert len(times) == round(Fraction(samples, SAMPLE_RATE) * Fraction(rate))
    assert times == [index / Fraction(rate) for index in range(len(times))]


def _looped(voice: Path, seconds: int, to: Path) -> NDArray[np.float32]:
    sound, rate = soundfile.read(voice, dtype="float32")
    assert rate == SAMPLE_RATE
    looped = np.resize(sound, seconds * rate)
    soundfile.write(to, looped, rate, subtype="PCM_16")
    return looped


def _sound(video: Path) -> NDArray[np.float32]:
    """The video's sound at 16 kHz mono, placed where its time stamps say."""
    resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
    pieces = []
    with av.open(str(video)) as file:
        stream = file.streams.audio[0]
        start: float | None = None
        for frame in file.decode(stream):
            if start is None:
                start = float(frame.time)
            pieces += [part.to_ndarray()[0] for part in resampler.resample(frame)]
    pieces += [part.to_ndarray()[0] for part in resampler.resample(None)]
    sound = np.concatenate(pieces)
    first = round((start or 0.0) * SAMPLE_RATE)
    return np.pad(sound, (first, 0)) if first >= 0 else sound[-first:]


def _delay(heard: NDArray[np.float32], said: NDArray[np.float32]) -> float:
    """Seconds by which the first is late, from the peak of their cross-correlation."""
    size = 2 * len(said)
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size))
    peak = int(np.argmax(np.fft.irfft(spectrum, size)))
    return (peak if peak < len(said) else peak - size) / SAMPLE_RATE


@pytest.mark.parametrize("seconds", [20, pytest.param(180, marks=pytest.mark.slow)])
def test_sound_and_picture_stay_together(
    seconds: int,
    voice_file: Path,
    tmp_path: Path,
    face_models: FaceModels,
    finder: FaceFinder,
    ffmpeg: Ffmpeg,
    record_property: Report,
) -> None:
    """At start, middle and end the sound is the voice's and the mouth is the ear's, to a frame."""
    rate = Fraction(30000, 1001)
    voice, face = tmp_path / "voice.wav", tmp_path / "face.mp4"
    said = _looped(voice_file, seconds, voice)
    _at_rate(sample_face.clip(tmp_path / "30.mp4", 4.0, (320, 240), 30), str(rate), face, ffmpeg)
    video = tmp_path / "out.mp4"
    settings = {"KOUBO_INGEST_SEGMENT_SECONDS": "8"}
    done = koubo("run", voice, face, "-o", video, "--data", tmp_path / "d", settings=settings)
    assert done.returncode == 0, done.stdout + done.stderr
    times = list(frame_times(video))
    assert len(times) == round(seconds * rate)
    assert times == [index / rate for index in range(len(times))]
    sound = _sound(video)
    assert abs(len(sound) / SAMPLE_RATE - seconds) < 1 / rate
    ear = _ear(said)
    starts = {"start": 0.0, "middle": seconds / 2 - LOOK / 2, "end": seconds - LOOK}
    for place, start in starts.items():
        low = round(start * SAMPLE_RATE)
        span = slice(low, low + round(LOOK * SAMPLE_RATE))
        delay = _delay(sound[span], said[span])
        record_property(f"sound at the {place}", f"{delay * 1000:+.2f} ms")
        assert abs(delay) < 1 / rate
        first = round(start * rate)
        last = min(first + round(LOOK * rate), len(times))
        seen = aperture(video, finder, first, last)
        found = match(seen, ear(rate, first, last))
        record_property(f"mouth at the {place}", str(found))
        assert found.r > 0.8, (place, found)
        assert abs(found.lag) <= 1, (place, found)


def _ear(said: NDArray[np.float32]) -> Callable[[Fraction, int, int], NDArray[np.float32]]:
    """What the default model's ear hears: how open the mouth is in these frames."""
    manifest = find_model("viseme", "1")
    ear = Ear(OnnxRuntime().load(manifest.file("ear.onnx")))
    level = speech_level(block_levels(said[: len(said) // BLOCK * BLOCK]))
    return lambda rate, first, last: ear.hear(said, rate, first, last, level=level)[:, 0]
