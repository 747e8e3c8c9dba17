"""A voice recording, analysed once: what models hear, what people hear, how long and how loud."""

import wave
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer, OutputContainer
from numpy.typing import NDArray

from functions.analysis import Voice, content_digest
from functions.errors import Code, RejectedInput
from functions.loudness import BLOCK, block_levels, speech_level
from functions.media import open_container
from functions.progress import Progress

SAMPLE_RATE = 16_000
"""Of `voice.wav`, samples a second."""

_SOUND_RATE = 48_000
_PROGRESS_RATE = 25
_SOUND_BITRATE = 160_000
_USUAL_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
# These say no length; what ffmpeg computes from the bit rate can be far off.
_ESTIMATED = ("mp3", "aac")
_SILENT_LEVEL = 10 ** (-60 / 20)


def analyse_voice(
    path: Path, sha256: str, to: Path, *, max_seconds: float, progress: Progress
) -> Voice:
    """Decodes a recording once and writes `voice.wav` and `voice.m4a` into the folder `to`.

    Args:
        path: the recording; the name's suffix says nothing.
        sha256: of its content.
        to: an empty folder.
        max_seconds: a longer recording is refused.
        progress: told in frames, as if of video.

    Raises:
        RejectedInput: `no_sound`, `too_long`, `damaged_media`, or what opening it raises.
    """
    with open_container(path) as container:
        if not container.streams.audio:
            raise RejectedInput(Code.NO_SOUND, "The file has no sound track.")
        known = container.format.name not in _ESTIMATED
        stated = (container.duration or 0) / av.time_base if known else 0.0
        _check_length(stated, max_seconds)
        with ExitStack() as files:
            speech = files.enter_context(_SpeechFile(to / "voice.wav"))
            sound = files.enter_context(_SoundFile(to / "voice.m4a", container))
            seconds = Fraction(0)
            for frame in _decode(container):
                seconds += Fraction(frame.samples, frame.sample_rate)
                _check_length(float(seconds), max_seconds)
                speech.write(frame)
                sound.write(frame)
                progress(int(seconds * _PROGRESS_RATE), int(stated * _PROGRESS_RATE))
        name = container.format.name
    if not seconds or speech.level < _SILENT_LEVEL:
        raise RejectedInput(Code.NO_SOUND, "The recording is silent.")
    if stated and float(seconds) < 0.9 * stated - 0.5:
        raise RejectedInput(
            Code.DAMAGED_MEDIA,
            f"The file says it lasts {stated:.1f} s, but its sound ends after "
            f"{float(seconds):.1f} s.",
        )
    return Voice(content_digest(sha256), sha256, float(seconds), speech.level, name)


def _check_length(seconds: float, limit: float) -> None:
    if seconds > limit:
        raise RejectedInput(
            Code.TOO_LONG,
            f"The recording lasts {seconds / 60:.0f} minutes or more; the limit is "
            f"{limit / 60:.0f}.",
        )


def _decode(container: InputContainer) -> Iterator[AudioFrame]:
    stream = container.streams.audio[0]
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue  # the length is checked in the end
        except av.FFmpegError as error:
            raise RejectedInput(Code.UNSUPPORTED, "The sound can't be decoded.") from error
        for frame in frames:
            if isinstance(frame, AudioFrame) and frame.samples:
                yield _named_layout(frame)


def _named_layout(frame: AudioFrame) -> AudioFrame:
    """The frame without its time, its channels named.

    Times are counted in samples: recorders leave gaps and jumps in the stamps. Where a file only
    numbers its channels, a resampler names them inside the frame, and the next one takes that for
    a change of format.
    """
    usual = _USUAL_LAYOUTS.get(frame.layout.nb_channels)
    if frame.layout.name == f"{frame.layout.nb_channels} channels" and usual:
        rate = frame.sample_rate
        frame = AudioFrame.from_ndarray(frame.to_ndarray(), frame.format.name, usual)
        frame.sample_rate = rate
    frame.pts = None
    return frame


class _Resampling:
    """Resamples, and goes on when the recording changes its format midway."""

    def __init__(self, sample_format: str, layout: str, rate: int) -> None:
        self._wanted = (sample_format, layout, rate)
        self._resampler = AudioResampler(*self._wanted)
        self._given: tuple[str, str, int] | None = None

    def resample(self, frame: AudioFrame | None) -> list[AudioFrame]:
        """The frames that are due; None flushes."""
        resampled = []
        given = None if frame is None else (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._given not in (None, given):
            resampled = self._resampler.resample(None)
            self._resampler = AudioResampler(*self._wanted)
        self._given = given
        if frame is not None:
            resampled += self._resampler.resample(frame)
        # One that has nothing to do passes even the None on.
        return [frame for frame in resampled if frame is not None]


class _SpeechFile:
    """Writes 16 kHz mono 16-bit WAV."""

    def __init__(self, path: Path) -> None:
        self._file = wave.open(str(path), "wb")  # noqa: SIM115 -- this class is the context manager
        self._file.setnchannels(1)
        self._file.setsampwidth(2)
        self._file.setframerate(SAMPLE_RATE)
        self._levels: list[NDArray[np.float32]] = []
        self._rest = np.zeros(0, np.int16)
        self._resampler = _Resampling("s16", "mono", SAMPLE_RATE)

    def __enter__(self) -> "_SpeechFile":
        return self

    def write(self, frame: AudioFrame | None) -> None:
        for resampled in self._resampler.resample(frame):
            samples = resampled.to_ndarray().reshape(-1).astype(np.int16, copy=False)
            self._file.writeframesraw(samples.tobytes())
            samples = np.concatenate([self._rest, samples])
            whole = len(samples) // BLOCK * BLOCK
            scaled = samples[:whole].astype(np.float32) / np.float32(32768)
            self._levels.append(block_levels(scaled))
            self._rest = samples[whole:]

    @property
    def level(self) -> float:
        """The level of loud speech so far, see `functions.loudness`."""
        return speech_level(np.concatenate(self._levels)) if self._levels else 0.0

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.write(None)
        self._file.close()


class _SoundFile:
    """Writes AAC in MP4, stereo where the recording is, so that every output can share it."""

    def __init__(self, path: Path, source: InputContainer) -> None:
        layout = "mono" if source.streams.audio[0].channels == 1 else "stereo"
        self._file: OutputContainer = av.open(str(path), "w", format="mp4")
        self._stream = self._file.add_stream("aac", rate=_SOUND_RATE, layout=layout)
        self._stream.bit_rate = _SOUND_BITRATE
        self._resampler = _Resampling("fltp", layout, _SOUND_RATE)
        self._samples = 0

    def __enter__(self) -> "_SoundFile":
        return self

    def write(self, frame: AudioFrame | None) -> None:
        for resampled in self._resampler.resample(frame):
            # Counted times let the encoder mark its priming, which players then leave out.
            resampled.pts, resampled.time_base = self._samples, Fraction(1, _SOUND_RATE)
            self._samples += resampled.samples
            self._file.mux(self._stream.encode(resampled))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.write(None)
            self._file.mux(self._stream.encode(None))
        self._file.close()
