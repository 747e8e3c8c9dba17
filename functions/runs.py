"""Runs: one voice on one footage. A plan never changes; a state is read off what exists."""

from dataclasses import dataclass
from typing import Literal

from functions import documents
from functions.layout import RunKeys, parse_run_object
from functions.logs import logger
from functions.plans import Model, Plan, Segment, find_plan, load_plan, source_frames
from functions.storage import Store

__all__ = [
    "Attempt",
    "Cancelled",
    "Done",
    "Failure",
    "Model",
    "Phase",
    "Plan",
    "RunState",
    "Segment",
    "Superseded",
    "cancel",
    "find_plan",
    "is_overtaken",
    "load_plan",
    "others_of_pair",
    "plan_again",
    "read_state",
    "retry",
    "source_frames",
    "start",
    "state_of",
    "supersede",
]

log = logger()


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


@dataclass(frozen=True)
class Superseded:
    """The content of `superseded.json`.

    Args:
        run: that ended so.
        at: seconds since 1970.
        key: of the input that was replaced, in the input bucket; None where only options were.
        by: the run that makes the video instead; None where it isn't planned yet.
    """

    run: str
    at: float
    key: str | None
    by: str | None


Phase = Literal["waiting", "inferring", "encoding", "done", "failed", "cancelled", "superseded"]


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
        return self.phase in ("done", "failed", "cancelled", "superseded")


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
    store.put_new(work, f"{plan.planned_pair}{plan.run}", b"")
    if not store.put_new(work, keys.plan, documents.dump(plan)):
        plan = documents.load(Plan, store.get(work, keys.plan))
    store.put_new(work, keys.recent(plan.made_at), b"")
    if state.ended:
        return plan
    for index in range(plan.segments):
        store.put_new(work, keys.segment(index), documents.dump(plan.segment_document(index)))
    return plan


def retry(store: Store, work: str, plan: Plan) -> None:
    """Gives a run that ended another chance: finished parts stay, the rest is due again."""
    keys = plan.keys
    if not read_state(store, work, keys).ended:
        return
    removed = _is_removed(store, work, keys)
    for end in keys.ends:
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
        store.put(work, keys.segment(index), documents.dump(plan.segment_document(index)))


def cancel(store: Store, work: str, keys: RunKeys, at: float) -> None:
    """Has whoever works on the run stop soon, and nobody begin."""
    store.put_new(work, keys.cancelled, documents.dump(Cancelled(keys.run, at)))


def supersede(
    store: Store, work: str, keys: RunKeys, at: float, *, key: str | None, by: str | None = None
) -> None:
    """Ends a run whose video another one makes: quietly, since nothing is wrong."""
    if read_state(store, work, keys).ended:
        return
    log.info("runs.superseded", run=keys.run, key=key, by=by)
    store.put_new(work, keys.superseded, documents.dump(Superseded(keys.run, at, key, by)))


def plan_again(store: Store, work: str, plan: Plan) -> None:
    """Plans a run anew whose files are back: as the newest of its pair, under their names of now.

    Parts that it has already stay, and what is missing is due again.
    """
    keys = plan.keys
    before = find_plan(store, work, keys)
    # First of all: whoever is killed in between leaves a run that is planned again.
    superseded = Superseded(plan.run, plan.made_at, None, plan.run)
    store.put(work, keys.superseded, documents.dump(superseded))
    store.delete(work, keys.done)
    store.put(work, keys.plan, documents.dump(plan))
    store.put(work, f"{plan.planned_pair}{plan.run}", b"")
    store.put(work, keys.recent(plan.made_at), b"")
    if before is not None and before.made_at != plan.made_at:
        store.delete(work, keys.recent(before.made_at))
    retry(store, work, plan)


def others_of_pair(store: Store, work: str, plan: Plan) -> list[Plan]:
    """The other runs that were ever planned for the two files of a run."""
    prefix = plan.planned_pair
    names = [entry.key.removeprefix(prefix) for entry in store.entries(work, prefix)]
    tenant = plan.group.tenant
    found = (find_plan(store, work, RunKeys(tenant, name)) for name in names if name != plan.run)
    return [other for other in found if other is not None]


def is_overtaken(store: Store, work: str, plan: Plan) -> bool:
    """Whether a run was planned for the same two files later, which has the word at the output."""
    return any(other.made_at > plan.made_at for other in others_of_pair(store, work, plan))


def _is_removed(store: Store, work: str, keys: RunKeys) -> bool:
    return store.exists(work, keys.cancelled) and not store.exists(work, keys.plan)


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
    if keys.superseded in names:
        return "superseded"
    if inferred == 0:
        return "waiting"
    return "encoding" if inferred >= segments else "inferring"
