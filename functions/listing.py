"""What there is: runs, newest first, and files that wait for a partner."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice

from rich.console import Group as Rows
from rich.markup import escape
from rich.table import Table

from functions import documents
from functions import runs as runs_of
from functions.board import keys_of
from functions.errors import RejectedInput
from functions.ingest.pairing import looked_at
from functions.input_keys import (
    InputFile,
    error_key,
    is_unfinished,
    parse_input,
)
from functions.layout import (
    PART_SUFFIX,
    RunKeys,
    recent_prefix,
    run_of_recent,
)
from functions.plans import find_plan
from functions.pool import Outcome
from functions.runs import Done, Failure, RunState, Superseded
from functions.settings import BucketSettings
from functions.storage import Store


@dataclass(frozen=True)
class RunLine:
    """A run as `koubo status` shows it."""

    state: RunState
    tenant: str
    made_at: float
    voice: str
    face: str
    output: str
    why: str

    def as_json(self) -> str:
        """One line of JSON."""
        flat = asdict(self)
        return json.dumps({**flat.pop("state"), **flat}, ensure_ascii=False)


@dataclass(frozen=True)
class WaitingLine:
    """A file without a run, and what it waits for."""

    key: str
    waits_for: str

    def as_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


def runs(store: Store, buckets: BucketSettings, limit: int) -> list[RunLine]:
    """The newest runs of every tenant."""
    found = []
    for tenant in store.folders(buckets.work, ""):
        for entry in islice(store.entries(buckets.work, recent_prefix(tenant)), limit):
            keys = RunKeys(tenant, run_of_recent(entry.key))
            plan = find_plan(store, buckets.work, keys)
            if plan is None:
                continue
            state = runs_of.read_state(store, buckets.work, keys)
            why = ""
            if state.phase == "failed":
                why = documents.load(Failure, store.get(buckets.work, keys.failed)).what
            if state.phase == "superseded":
                why = _why_superseded(store, buckets, keys)
            output = plan.group.output(plan.output, ".mp4")
            ends = (plan.made_at, plan.voice.key, plan.face.key)
            found.append(RunLine(state, tenant, *ends, output, why))
    return sorted(found, key=lambda line: -line.made_at)


def unpaired(store: Store, buckets: BucketSettings) -> list[WaitingLine]:
    """Files that have no run: not looked at yet, or without a partner in their group."""
    found = []
    groups: dict[object, list[InputFile]] = {}
    for entry in store.entries(buckets.input, ""):
        try:
            file = None if is_unfinished(entry.key) else parse_input(entry.key)
        except RejectedInput:
            continue  # its error document says so
        if file is not None and not file.is_options:
            groups.setdefault(file.group, []).append(file)
    for files in groups.values():
        roles = {file.file: upload.role for file, upload in looked_at(store, buckets, files[0])}
        for file in files:
            role = roles.get(file.file)
            partner = {"voice": "face", "face": "voice"}.get(role or "")
            if role is None:
                found.append(WaitingLine(file.key, "its analysis"))
            elif partner and partner not in roles.values():
                named = f" named {file.stem}.*" if file.job is None else ""
                found.append(WaitingLine(file.key, f"a {partner}{named}"))
    return found


def table(rows: list[RunLine], waiting: list[WaitingLine], now: datetime) -> Rows:
    """Both, for a terminal."""
    shown = Table("run", "age", "state", "infer", "encode", "output", box=None)
    for row in rows:
        made = datetime.fromtimestamp(row.made_at, UTC)
        age = str(now - made).partition(".")[0]
        state = row.state
        shown.add_row(
            state.run[:8],
            age,
            # Brackets in names and messages are no markup.
            escape(state.phase if not row.why else f"{state.phase}: {row.why}"),
            f"{state.inferred}/{state.segments}" if not state.ended else "",
            f"{state.encoded}/{state.segments}" if not state.ended else "",
            escape(row.output),
        )
    missing = Table("waiting", "for", box=None)
    for line in waiting:
        missing.add_row(escape(line.key), escape(line.waits_for))
    return Rows(shown, missing) if waiting else Rows(shown)


def ends(store: Store, buckets: BucketSettings, outcome: Outcome, place: str) -> list[str]:
    """What there is to say when a job ended: a finished or failed run, or a refused file."""
    keys, event = keys_of(outcome.job), outcome.job.event
    if keys is None:
        error = error_key(event.key)
        refused = store.exists(buckets.output, error)
        return [f"refused: {event.key}, see {place}{buckets.output}/{error}"] if refused else []
    # Only a part completes a run; failing, it can anywhere.
    if event.key.endswith(PART_SUFFIX) and store.exists(buckets.work, keys.done):
        done = documents.load(Done, store.get(buckets.work, keys.done))
        return [f"done: {place}{buckets.output}/{done.video}"]
    if store.exists(buckets.work, keys.failed):
        failure = documents.load(Failure, store.get(buckets.work, keys.failed))
        return [f"failed: {failure.run}: {failure.what} {failure.fix}"]
    if store.exists(buckets.work, keys.superseded):
        return [f"superseded: {keys.run}: {_why_superseded(store, buckets, keys)}"]
    return []


def _why_superseded(store: Store, buckets: BucketSettings, keys: RunKeys) -> str:
    """What took a run's place, for people."""
    end = documents.load(Superseded, store.get(buckets.work, keys.superseded))
    if end.by is not None:
        return f"the run {end.by} was planned later for the same files and makes the video"
    return f"{end.key} was replaced; the run of what lies there now makes the video"
