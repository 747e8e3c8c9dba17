"""The lip-sync check of a finished video, ours or anybody's: `koubo check`."""

import wave
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from functions.check import FARTHEST, Check, Tally, closures, judge, tally_closures, tally_sync
from functions.check_evidence import evidence, margin
from functions.check_sights import Seen, rate_of, sights
from functions.errors import Code, RejectedInput
from functions.infer.ear import Ear, reach
from functions.ingest.faces import FaceFinder
from functions.ingest.voice import SAMPLE_RATE, analyse_voice
from functions.media import open_container, open_video
from functions.options import FaceChoice
from functions.progress import Progress, silent
from functions.settings import CheckSettings
from functions.stills import is_portrait

_LONGEST_VOICE = 24 * 3600.0
_SPAN = 250  # frames that are heard at once
_AT_ONCE = Fraction(0)


@dataclass(frozen=True)
class Asked:
    """What to check.

    Args:
        video: in which a face talks.
        voice: what it should say; the video's own sound without it.
        source: the footage or portrait that the video was made of, shown from its start on. A
            video that was made is held to all limits, see `functions.check.judge`.
        seconds: of the video, at most.
        face: which one talks, where several are seen; as the run's option said.
    """

    video: Path
    voice: Path | None
    source: Path | None
    seconds: float
    face: FaceChoice = "largest"


def check_video(
    asked: Asked,
    *,
    finder: FaceFinder,
    ear: Ear,
    limits: CheckSettings,
    scratch: Path,
    progress: Progress,
) -> Check:
    """Measures a video's mouth against its voice.

    Args:
        asked: what to check.
        finder: finds faces; one is followed, see `functions.check_sights.sights`.
        ear: says what the mouth should do.
        limits: what passes.
        scratch: an empty folder.
        progress: told in frames.

    Raises:
        RejectedInput: the video, the voice or the source can't be read, the video has no face, or
            the source's pictures are of another size.
    """
    listened = listen(asked.voice or asked.video, ear, scratch)
    with open_video(asked.video) as video:
        rate = rate_of(video)
        most = max(1, round(asked.seconds * rate))
        total = min(most, round(video.stated_seconds * rate))
    still = asked.source is not None and is_portrait(asked.source)
    seen, began = Seen(still), Fraction(0)
    found = sights(asked.video, asked.source, finder, asked.face)
    for sight in islice(found, most):
        if not seen.apertures:
            began = sight.seconds
        seen.take(sight)
        progress(len(seen.apertures), total)
    apertures, widths = np.array(seen.apertures), np.array(seen.widths)
    if not np.isfinite(apertures).any():
        raise RejectedInput(Code.NO_FACE, "The video shows no face.")
    late = Fraction(0) if asked.voice else _sound_begins(asked.video) - began
    beyond = margin(rate, len(apertures))
    stands_out = evidence(
        apertures, widths, listened.tracks(rate, len(apertures), late, beyond), rate
    )
    tally = compare(apertures, listened.tracks(rate, len(apertures), late)) + seen.looks
    return judge(tally, limits, stands_out, made=asked.source is not None)


@dataclass(frozen=True)
class Listened:
    """A voice that was made ready to be heard.

    Args:
        wav: 16 kHz mono.
        level: of its speech, see `functions.loudness`.
        ear: hears it.
    """

    wav: Path
    level: float
    ear: Ear

    def tracks(
        self, rate: Fraction, frames: int, late: Fraction = _AT_ONCE, beyond: int = FARTHEST
    ) -> NDArray[np.float32]:
        """The ear's tracks of frames -`beyond` to `frames` + `beyond`.

        Args:
            rate: frames a second.
            frames: of the video.
            late: seconds by which the sound begins after the pictures.
            beyond: frames before the first and after the last one.
        """
        shift = round(late * SAMPLE_RATE)
        spans = []
        with wave.open(str(self.wav)) as file:
            for first in range(-beyond, frames + beyond, _SPAN):
                last = min(first + _SPAN, frames + beyond)
                low, high = (place - shift for place in reach(rate, first, last))
                samples, begin = _samples(file, low, high)
                heard = self.ear.hear(
                    samples, rate, first, last, level=self.level, offset=begin + shift
                )
                spans.append(heard)
        return np.concatenate(spans)


def listen(voice: Path, ear: Ear, scratch: Path) -> Listened:
    """Makes a recording, or a video's sound, ready to be heard; `scratch` is an empty folder.

    Raises:
        RejectedInput: it can't be read, or is silent.
    """
    voiced = analyse_voice(voice, "", scratch, max_seconds=_LONGEST_VOICE, progress=silent)
    return Listened(scratch / "voice.wav", voiced.level, ear)


def compare(apertures: NDArray[np.float64], mouth: NDArray[np.float32]) -> Tally:
    """Apertures against what the mouth should do.

    Args:
        apertures: (n,), one a frame, NaN where there is none.
        mouth: (n + 2 x `FARTHEST`, 4) open, width, close, lipteeth; from frame -`FARTHEST` on.
    """
    found = np.flatnonzero(np.isfinite(apertures))
    opening, close = mouth[:, 0], mouth[FARTHEST : FARTHEST + len(apertures), 2]
    sync = tally_sync(apertures[found], found + FARTHEST, opening)
    return sync + tally_closures(apertures, closures(close))


def _sound_begins(path: Path) -> Fraction:
    """When a file's own sound begins, in seconds of its own clock."""
    with open_container(path) as container:
        stream = container.streams.audio[0]
        if stream.start_time is None or stream.time_base is None:
            return Fraction(0)
        return stream.start_time * stream.time_base


def _samples(file: wave.Wave_read, first: int, last: int) -> tuple[NDArray[np.float32], int]:
    """Samples [first, last) as far as the file has them, and the number of the first one."""
    first, last = (min(max(place, 0), file.getnframes()) for place in (first, last))
    file.setpos(first)
    data = np.frombuffer(file.readframes(last - first), "<i2")
    return data.astype(np.float32) * np.float32(1 / 32768), first
