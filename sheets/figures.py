"""What is measured of a finished video: `koubo check`'s figures, and some that need more."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from functions.check import FARTHEST, Check, judge, tally_sync
from functions.check_sights import Seen, sights
from functions.check_video import Listened, compare
from functions.ingest.faces import FaceFinder
from functions.settings import CheckSettings
from functions.stills import is_portrait
from sheets.outside import Outside
from training.mouth_tracks import Segment, tracks


@dataclass(frozen=True)
class Figures:
    """A video's figures.

    Args:
        face: whose video it is.
        voice: what is said.
        by: what moved the mouth: `ear`, or `told` where it was told the phones.
        against: what was measured against: `phones`, or what the `ear` hears where none are known.
        check: what `koubo check` measures, of every frame of the decoded video.
        r_width: correlation of the mouth's width with the wanted one; None where it can't be told.
        outside: mean difference from the source beyond the mouth, grey levels of luma.
        outside_worst: the same of the worst block of 16 x 16 pixels in any frame.
    """

    face: str
    voice: str
    by: str
    against: str
    check: Check
    r_width: float | None
    outside: float | None
    outside_worst: float

    @property
    def cells(self) -> tuple[str, ...]:
        """For a row of a table with the columns `COLUMNS`."""
        check = self.check
        numbers = (check.r, self.r_width, check.lag, check.flicker, check.sharpness, self.outside)
        r, width, lag, flicker, sharpness, outside = (_text(number) for number in numbers)
        closures = f"{check.closures_made} of {check.closures_due}"
        worst = f"{self.outside_worst:.1f}"
        names = (self.face, self.voice, self.by, self.against, str(check.frames))
        looks = (flicker, sharpness, outside, worst)
        return (*names, r, width, lag, closures, *looks, check.verdict)


COLUMNS = (
    *("face", "voice", "by", "against", "frames", "r open", "r width", "lag", "closures"),
    *("flicker", "sharpness", "outside", "worst block", "check"),
)


def truth(phones: list[Segment], seconds: float, rate: Fraction, frames: int) -> "Mouth":
    """What the phones ask of the mouth, from frame -`FARTHEST` on; rest around the recording."""
    said = tracks(phones, seconds, rate)[:frames]
    after = frames - len(said) + FARTHEST
    return np.pad(said, ((FARTHEST, after), (0, 0))).astype(np.float32)


Mouth = NDArray[np.float32]


@dataclass(frozen=True)
class Subject:
    """A finished video and what it was made of.

    Args:
        video: the file.
        source: the face.
        labelled: frames from the start that carry a label.
        names: face, voice, and what moved the mouth.
    """

    video: Path
    source: Path
    labelled: int
    names: tuple[str, str, str]


def measure(
    subject: Subject,
    rate: Fraction,
    wanted: Listened | tuple[list[Segment], float],
    finder: FaceFinder,
    limits: CheckSettings,
) -> Figures:
    """Looks at every frame of a video.

    Args:
        subject: what to measure.
        rate: its frames a second.
        wanted: the voice, or its phones and how many seconds it lasts.
        finder: finds the face.
        limits: by which the check judges.
    """
    seen, outside = Seen(is_portrait(subject.source)), Outside(subject.labelled)
    for sight in sights(subject.video, subject.source, finder):
        seen.take(sight)
        outside.take(sight)
    if isinstance(wanted, Listened):
        mouth, against = wanted.tracks(rate, len(seen.widths)), "ear"
    else:
        mouth, against = truth(*wanted, rate, len(seen.widths)), "phones"
    check = judge(compare(np.array(seen.apertures), mouth) + seen.looks, limits)
    r_width = _r_width(np.array(seen.widths), mouth, limits)
    mean = outside.mean
    rounded = None if mean is None else round(mean, 3)
    return Figures(*subject.names, against, check, r_width, rounded, round(outside.worst, 2))


def _r_width(widths: NDArray[np.float64], mouth: Mouth, limits: CheckSettings) -> float | None:
    found = np.flatnonzero(np.isfinite(widths))
    return judge(tally_sync(widths[found], found + FARTHEST, mouth[:, 1]), limits).r


def _text(number: float | None) -> str:
    return "–" if number is None else f"{number:.3f}".replace("0.", ".", 1)
