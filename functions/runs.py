"""Runs: one voice on one footage. A plan never changes; a state is read off what exists."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from functions import documents
from functions.analysis import Footage, Voice
from functions.errors import RetryableError
from functions.layout import Group, InputFile, RunKeys, parse_run_object
from functions.logs import logger
from functions.options import Options
from functions.storage import Store

log = logger()


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


@dataclass(frozen=True)
class Attempt:
    """One failed try at an event."""

    at: float
    function: str
    error: str


@dataclass(frozen=True)
class Failure:
    """The content of `failed.json`."""

    run: str
    code: str
    what: str
    fix: str
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True)
class Done:
    """The content of `done.json`: keys in the output bucket."""

    run: str
    video: str
    poster: str
    report: str
    frames: int
    finished_at: float


@dataclass(frozen=True)
class Cancelled:
    """The content of `cancelled.json`."""

    run: str
    at: float


Phase = Literal["waiting", "inferring", "encoding", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class RunState:
    """What one LIST of a run's prefix says.

    Args:
        phase: where the run is; `waiting` until its first segment is inferred.
        segments: planned.
        inferred: segments whose patches are made.
        encoded: segments whose part is made.
    """

    run: str
    phase: Phase
    segments: int
    inferred: int
    encoded: int

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.phase in ("done", "failed", "cancelled")


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
    segment_frames = max(1, round(segment_seconds * rate))
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


def start(store: Store, work: str, plan: Plan) -> Plan:
    """Writes a plan and its segment objects, each only where it is missing.

    Returns:
        The plan that holds: an earlier one of the same run, if there is one. A run that was
        removed stays so, until its files are uploaded again, see `retry`.
    """
    keys = plan.keys
    if _is_removed(store, work, keys):
        return plan
    state = read_state(store, work, keys)
    if not state.ended:
        # Before the plan: reconcile finds unfinished runs by this alone.
        store.put_new(work, keys.active, b"")
    store.put_new(work, f"{_planned_pair(plan)}{plan.run}", b"")
    if not store.put_new(work, keys.plan, documents.dump(plan)):
        plan = documents.load(Plan, store.get(work, keys.plan))
    store.put_new(work, keys.recent(plan.made_at), b"")
    if state.ended:
        return plan
    for index in range(plan.segments):
        store.put_new(work, keys.segment(index), documents.dump(_segment(plan, index)))
    return plan


def retry(store: Store, work: str, plan: Plan) -> None:
    """Gives a run that ended another chance: finished parts stay, the rest is due again."""
    keys = plan.keys
    if not read_state(store, work, keys).ended:
        return
    removed = _is_removed(store, work, keys)
    for end in (keys.failed, keys.cancelled, keys.done):
        store.delete(work, end)
    if removed:
        start(store, work, plan)
        return
    store.put_new(work, keys.active, b"")
    parts = [index for index in range(plan.segments) if store.exists(work, keys.part(index))]
    # With every part there the assembly is what is due, which any part fires.
    due = [index for index in range(plan.segments) if index not in parts] or parts[-1:]
    for index in due:
        store.delete(work, keys.part(index))
        store.delete(work, keys.patches(index))
        # Written again, and not only where missing: a new object is what fires infer.
        store.put(work, keys.segment(index), documents.dump(_segment(plan, index)))


def cancel(store: Store, work: str, keys: RunKeys, at: float) -> None:
    """Has whoever works on the run stop soon, and nobody begin."""
    store.put_new(work, keys.cancelled, documents.dump(Cancelled(keys.run, at)))


def _is_removed(store: Store, work: str, keys: RunKeys) -> bool:
    return store.exists(work, keys.cancelled) and not store.exists(work, keys.plan)


def _planned_pair(plan: Plan) -> str:
    return plan.group.planned_pair(plan.voice.key, plan.face.key)


def _segment(plan: Plan, index: int) -> Segment:
    frames = plan.segment(index)
    return Segment(plan.run, index, frames.start, frames.stop)


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


def read_state(store: Store, work: str, keys: RunKeys) -> RunState:
    """Reads a run's state off one LIST."""
    return state_of(keys, {entry.key for entry in store.entries(work, keys.prefix)})


def state_of(keys: RunKeys, names: set[str]) -> RunState:
    """The state of a run of which these objects exist."""
    found: dict[str, set[int]] = {"segment": set(), "patches": set(), "part": set()}
    for name in names:
        item = parse_run_object(name)
        if item is not None:
            found[item.kind].add(item.index)
    # A part outlives the patches that it was made of.
    inferred = len(found["patches"] | found["part"])
    encoded, segments = len(found["part"]), len(found["segment"])
    return RunState(keys.run, _phase(keys, names, inferred, segments), segments, inferred, encoded)


def _phase(keys: RunKeys, names: set[str], inferred: int, segments: int) -> Phase:
    if keys.done in names:
        return "done"
    if keys.failed in names:
        return "failed"
    if keys.cancelled in names:
        return "cancelled"
    if inferred == 0:
        return "waiting"
    return "encoding" if inferred >= segments else "inferring"


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
