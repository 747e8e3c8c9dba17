import itertools
import wave
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import correlate

from functions.errors import Code, RejectedInput
from functions.ingest.voice import SAMPLE_RATE, analyse_voice
from functions.loudness import block_levels, speech_level
from functions.progress import silent

Ffmpeg = Callable[..., Path]
SECONDS = 2.3
# Bursts of noise at uneven times: nothing in it looks like itself a little later.
SPEECH = (
    "anoisesrc=duration={seconds}:color=pink:seed=7:sample_rate={rate}:amplitude=0.5,"
    "volume='0.1+0.9*gt(sin(11*t*t+1),0)':eval=frame"
)


def speech(rate: int = 44_100, seconds: float = SECONDS) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", SPEECH.format(rate=rate, seconds=seconds))


def analyse(path: Path, to: Path, limit: float = 60.0):  # type: ignore[no-untyped-def]
    to.mkdir(exist_ok=True)
    return analyse_voice(path, "ab" * 32, to, max_seconds=limit, progress=silent)


def heard(folder: Path) -> NDArray[np.float32]:
    """`voice.wav`'s samples."""
    with wave.open(str(folder / "voice.wav")) as file:
        assert file.getparams()[:3] == (1, 2, SAMPLE_RATE)
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return samples.astype(np.float32) / 32768


def played(path: Path) -> NDArray[np.float32]:
    """A file as a player plays it: 16 kHz mono from its very start, edit lists followed."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
        frames = itertools.chain(container.decode(audio=0), [None])
        parts = [part.to_ndarray() for f in frames for part in resampler.resample(f)]
    return np.concatenate(parts, axis=1)[0]


def lag(one: NDArray[np.float32], other: NDArray[np.float32]) -> int:
    """By how many samples `one` comes later than `other`."""
    return int(np.argmax(correlate(one, other, "full"))) - (len(other) - 1)


# Lossy codecs pad their ends; what they add is no more than two of their frames.
KINDS = {
    "wav": ((), 44_100, 0.0),
    "wav-8k": ((), 8_000, 0.0),
    "wav-24bit-96k": (("-c:a", "pcm_s24le"), 96_000, 0.0),
    "flac": ((), 48_000, 0.0),
    "stereo": (("-ac", "2"), 44_100, 0.0),
    "5.1": (("-ac", "6"), 48_000, 0.0),
    "mp3": ((), 44_100, 0.06),
    "m4a": ((), 44_100, 0.06),
    "ogg": (("-c:a", "libopus"), 48_000, 0.06),
    "aac": ((), 44_100, 0.08),
    "wma": ((), 44_100, 0.12),
}
SUFFIX = {"wav-8k": "wav", "wav-24bit-96k": "wav", "stereo": "wav", "5.1": "wav"}


@pytest.mark.parametrize("kind", KINDS)
def test_length_level_and_lag(ffmpeg: Ffmpeg, tmp_path: Path, kind: str) -> None:
    """Each kind of recording is as long as it was, and what is played lags not one sample."""
    options, rate, padding = KINDS[kind]
    path = ffmpeg(*speech(rate), *options, tmp_path / f"in.{SUFFIX.get(kind, kind)}")
    voice = analyse(path, tmp_path / "out")
    samples = heard(tmp_path / "out")
    lost = 2048 / rate if kind == "wma" else 0  # its encoder drops the last piece
    assert SECONDS - lost - 1 / rate <= voice.seconds <= SECONDS + padding + 1 / rate
    assert len(samples) == pytest.approx(voice.seconds * SAMPLE_RATE, abs=2)
    assert voice.level == pytest.approx(speech_level(block_levels(samples)), rel=1e-6)
    assert 0.02 < voice.level < 1
    sound = played(tmp_path / "out" / "voice.m4a")
    assert abs(lag(sound, samples)) <= 1
    assert len(sound) == pytest.approx(len(samples), abs=2 * 1024 * SAMPLE_RATE / 48_000)


def test_lossless_recordings_are_heard_exactly(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """A recording that is 16 kHz mono already reaches the model sample by sample."""
    path = ffmpeg(*speech(SAMPLE_RATE), tmp_path / "in.wav")
    analyse(path, tmp_path / "out")
    assert np.array_equal(heard(tmp_path / "out"), played(path))


def test_the_recordings_own_start_is_kept(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """Resampling moves nothing: the samples lie where ffmpeg's resampler puts them."""
    path = ffmpeg(*speech(), tmp_path / "in.wav")
    analyse(path, tmp_path / "out")
    reference = ffmpeg("-i", path, "-ac", 1, "-ar", SAMPLE_RATE, tmp_path / "reference.wav")
    assert lag(heard(tmp_path / "out"), played(reference)) == 0


def test_stereo_stays_stereo(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """People hear two channels where there are two; a model hears both mixed."""
    left = "aevalsrc=0.5*sin(2*PI*440*t)|0:duration=1:sample_rate=48000:channel_layout=stereo"
    path = ffmpeg("-f", "lavfi", "-i", left, tmp_path / "left.wav")
    analyse(path, tmp_path / "out")
    with av.open(str(tmp_path / "out" / "voice.m4a")) as container:
        assert container.streams.audio[0].channels == 2
        assert container.streams.audio[0].rate == 48_000
        sound = np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], axis=1)
    assert np.abs(sound[0]).max() > 0.4
    assert np.abs(sound[1]).max() < 0.05
    assert 0.1 < np.abs(heard(tmp_path / "out")).max() < 0.5


def test_sound_beside_pictures(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """A recording may have a cover, or lie second in its file."""
    video = ("-f", "lavfi", "-i", "color=size=64x64:duration=1")
    path = ffmpeg(*video, *speech(), "-map", 0, "-map", 1, tmp_path / "both.mkv")
    assert analyse(path, tmp_path / "out").seconds == pytest.approx(SECONDS, abs=0.06)


@pytest.mark.parametrize(
    "source",
    ["anullsrc=duration=1", "aevalsrc=0.0001*sin(900*t):duration=1", "anoisesrc=duration=0.001"],
)
def test_silence_is_refused(ffmpeg: Ffmpeg, tmp_path: Path, source: str) -> None:
    """Nothing, next to nothing, or too short to be anything is no voice."""
    path = ffmpeg("-f", "lavfi", "-i", source, tmp_path / "in.wav")
    with pytest.raises(RejectedInput) as caught:
        analyse(path, tmp_path / "out")
    assert caught.value.code is Code.NO_SOUND


def test_pictures_alone_are_refused(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """A video without a sound track is no voice."""
    path = ffmpeg("-f", "lavfi", "-i", "color=size=64x64:duration=1", tmp_path / "in.mp4")
    with pytest.raises(RejectedInput) as caught:
        analyse(path, tmp_path / "out")
    assert caught.value.code is Code.NO_SOUND


@pytest.mark.parametrize("kind", ["wav", "mp3", "aac"])
def test_long_recordings_are_refused(ffmpeg: Ffmpeg, tmp_path: Path, kind: str) -> None:
    """The limit holds by what the file says, and by what it holds where it says nothing."""
    path = ffmpeg(*speech(), tmp_path / f"in.{kind}")
    with pytest.raises(RejectedInput) as caught:
        analyse(path, tmp_path / "out", limit=1.5)
    assert caught.value.code is Code.TOO_LONG


def test_broken_off_recordings_are_refused(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """A file that says it is longer than it is was cut off on its way."""
    path = ffmpeg(*speech(seconds=4), tmp_path / "in.flac")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 3])
    with pytest.raises(RejectedInput) as caught:
        analyse(path, tmp_path / "out")
    assert caught.value.code is Code.DAMAGED_MEDIA


def test_a_change_of_format_is_followed(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """Recorders that join takes of other rates and channels still give one voice."""
    one = ffmpeg(*speech(44_100), "-ac", 1, tmp_path / "one.mp3")
    other = ffmpeg(*speech(48_000), "-ac", 2, tmp_path / "other.mp3")
    path = tmp_path / "both.mp3"
    path.write_bytes(one.read_bytes() + other.read_bytes())
    voice = analyse(path, tmp_path / "out")
    assert voice.seconds == pytest.approx(2 * SECONDS, abs=0.2)
    samples = heard(tmp_path / "out")
    assert len(samples) == pytest.approx(voice.seconds * SAMPLE_RATE, abs=40)
    assert abs(lag(played(tmp_path / "out" / "voice.m4a"), samples)) <= 1


def test_progress_reaches_the_end(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """Whoever watches sees samples done grow up to all of them."""
    seen: list[tuple[int, int]] = []
    path = ffmpeg(*speech(), tmp_path / "in.wav")
    (tmp_path / "out").mkdir()
    analyse_voice(
        path,
        "ab" * 32,
        tmp_path / "out",
        max_seconds=60,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == pytest.approx(seen[-1][1], abs=1)
