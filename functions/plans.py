"""Plans: all that is decided of a run before its first segment is rendered."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from functions import documents
from functions.analysis import Footage, Voice
from functions.errors import RetryableError
from functions.input_keys import Group, InputFile
from functions.layout import RunKeys
from functions.logs import logger
from functions.options import Options
from functions.storage import Store

log = logger()


_LEEWAY = 1 / 3  # of a segment's length, either way


@dataclass(frozen=True)
class Source:
    """An input of a run.

    Args:
        key: in the input bucket.
        sha256: of its content when it was analysed.
        digest: names its analysis.
    """

    key: str
    sha256: str
    digest: str


@dataclass(frozen=True)
class Model:
    """Which model a run uses."""

    name: str
    version: str


@dataclass(frozen=True)
class Plan:
    """All that is decided before the first segment is rendered.

    Args:
        run: the run's id, see `run_id`.
        group: what the files were paired within.
        made_at: seconds since 1970; no part of the id.
        voice: what is said.
        face: who says it.
        model: what moves the mouth.
        options: what the job asked for.
        seconds: of the voice.
        rate_numerator: frames a second of the output.
        rate_denominator: see `rate_numerator`.
        frames: of the output: round(seconds x rate), at least 1.
        segment_frames: frames of each segment but the last.
        output: the stem of the output's keys, see `Group.output`.
    """

    run: str
    group: Group
    made_at: float
    voice: Source
    face: Source
    model: Model
    options: Options
    seconds: float
    rate_numerator: int
    rate_denominator: int
    frames: int
    segment_frames: int
    output: str

    @property
    def rate(self) -> Fraction:
        """Frames a second."""
        return Fraction(self.rate_numerator, self.rate_denominator)

    @property
    def segments(self) -> int:
        """How many there are."""
        return -(-self.frames // self.segment_frames)

    def segment(self, index: int) -> range:
        """The output frames of a segment."""
        first = index * self.segment_frames
        return range(first, min(first + self.segment_frames, self.frames))

    def segment_document(self, index: int) -> "Segment":
        """The content of a segment's object."""
        frames = self.segment(index)
        return Segment(self.run, index, frames.start, frames.stop)

    @property
    def planned_pair(self) -> str:
        """The prefix of the names of all runs that were planned for the same two files."""
        return self.group.planned_pair(self.voice.key, self.face.key)

    @property
    def keys(self) -> RunKeys:
        """Where this run's objects lie."""
        return RunKeys(self.group.tenant, self.run)


@dataclass(frozen=True)
class Segment:
    """The content of a segment object: the output frames [first, last) of a run."""

    run: str
    index: int
    first: int
    last: int


def run_id(
    group: Group, digests: tuple[str, str], model: Model, options: Options, segment_frames: int
) -> str:
    """The run's id: the same voice and footage for the same job always give the same one."""
    identity = (group, digests, model, options, segment_frames)
    return hashlib.sha256(repr(identity).encode()).hexdigest()[:20]


def make_plan(
    group: Group,
    voice: tuple[InputFile, Voice],
    face: tuple[InputFile, Footage],
    model: Model,
    options: Options,
    *,
    segment_seconds: float,
    portrait_rate: int,
    output: str,
    made_at: float,
) -> Plan:
    """Plans a run. Portraits, which have no rate, get `portrait_rate`."""
    (voice_file, heard), (face_file, seen) = voice, face
    rate = seen.rate if seen.kind == "video" else Fraction(portrait_rate)
    frames = max(1, round(Fraction(heard.seconds) * rate))
    segment_frames = _whole_distances(max(1, round(segment_seconds * rate)), seen.keyframe_distance)
    voice_source = Source(voice_file.key, heard.sha256, heard.digest)
    face_source = Source(face_file.key, seen.sha256, seen.digest)
    return Plan(
        run=run_id(group, (heard.digest, seen.digest), model, options, segment_frames),
        group=group,
        made_at=made_at,
        voice=voice_source,
        face=face_source,
        model=model,
        options=options,
        seconds=heard.seconds,
        rate_numerator=rate.numerator,
        rate_denominator=rate.denominator,
        frames=frames,
        segment_frames=segment_frames,
        output=output,
    )


def _whole_distances(frames: int, distance: int) -> int:
    """The multiple of a distance that is nearest to a number of frames, if it is near enough.

    What begins at a keyframe needs no frame decoded before it.
    """
    whole = max(1, round(frames / distance)) * distance
    return whole if abs(whole - frames) <= frames * _LEEWAY else frames


def load_plan(store: Store, work: str, keys: RunKeys) -> Plan:
    """Reads a run's plan; FileNotFoundError where there is none."""
    return documents.load(Plan, store.get(work, keys.plan))


def find_plan(store: Store, work: str, keys: RunKeys) -> Plan | None:
    """A run's plan for those who only look on; None where there is none that can be read.

    That is so for the remains of a deleted run, and for one that another version planned.
    """
    try:
        data = store.get(work, keys.plan)
    except FileNotFoundError:
        return None
    try:
        return documents.load(Plan, data)
    except RetryableError as error:
        log.warning("runs.unreadable_plan", run=keys.run, error=str(error))
        return None


def source_frames(output: range, frames: int, loop: str) -> Iterator[int]:
    """Which footage frame each output frame shows.

    Ping-pong plays 0 1 2 3 2 1 0 1 ..., so that no frame is shown twice in a row; restart plays
    0 1 2 3 0 1 ...

    Args:
        output: output frames.
        frames: of the footage, at least 1.
        loop: `pingpong` or `restart`.
    """
    if loop == "restart" or frames == 1:
        yield from (index % frames for index in output)
        return
    period = 2 * frames - 2
    for index in output:
        place = index % period
        yield place if place < frames else period - place
