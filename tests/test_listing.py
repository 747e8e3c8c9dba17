import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from functions import documents, runs
from functions.analysis import Upload, Voice
from functions.events import ObjectCreated
from functions.input_keys import Group, InputFile, parse_input
from functions.layout import RunKeys
from functions.listing import ends, table, unpaired
from functions.listing import runs as listed
from functions.options import Options
from functions.plans import Model, Plan, make_plan
from functions.pool import Job, Outcome
from functions.runs import Done, Failure
from functions.settings import BucketSettings
from functions.storage import Store
from tests.sample_documents import FOOTAGE

BUCKETS = BucketSettings()
NOW = 1.7e9


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store.memory() if request.param == "memory" else Store.folder(tmp_path)


def plan(name: str, made_at: float = NOW, tenant: str = "t") -> Plan:
    return make_plan(
        Group(tenant, "news"),
        (InputFile(tenant, "news", f"{name}.wav"), Voice(name, name, 20.0, 0.1, "wav")),
        (InputFile(tenant, "news", "anna.mp4"), FOOTAGE),
        Model("viseme", "1"),
        Options(),
        segment_seconds=8.0,
        portrait_rate=25,
        output=f"{name}-anna",
        made_at=made_at,
    )


def started(store: Store, name: str, made_at: float = NOW, tenant: str = "t") -> RunKeys:
    return runs.start(store, BUCKETS.work, plan(name, made_at, tenant)).keys


def looked_at(store: Store, key: str, role: str) -> None:
    store.put(BUCKETS.input, key, b"x")
    file, entry = parse_input(key), store.head(BUCKETS.input, key)
    upload = Upload(file.file, role, role, None)  # type: ignore[arg-type]
    store.put(BUCKETS.work, file.upload(entry.identity), documents.dump(upload))


def failed(keys: RunKeys, why: str) -> bytes:
    return documents.dump(Failure(keys.run, "gave_up", why, "Look into the log.", ()))


def test_runs_come_newest_first(store: Store) -> None:
    """The newest runs of every tenant are listed, no more than asked for, in order of time."""
    for number in range(7):
        started(store, f"voice{number}", NOW + (number * 37 % 7) * 60)
    started(store, "other", NOW + 1000, tenant="u")
    times = [line.made_at - NOW for line in listed(store, BUCKETS, 3)]
    assert times == [1000, 360, 300, 240]
    assert listed(store, BUCKETS, 3)[0].tenant == "u"


def test_each_run_says_where_it_is(store: Store) -> None:
    """A line has the run's counts, its inputs, its output and, where it failed, why."""
    keys = started(store, "hello")
    store.put(BUCKETS.work, keys.patches(0), b"")
    (line,) = listed(store, BUCKETS, 9)
    assert (line.voice, line.face) == ("t/news/hello.wav", "t/news/anna.mp4")
    assert (line.output, line.why) == ("t/news/hello-anna.mp4", "")
    flat = json.loads(line.as_json())
    assert (flat["phase"], flat["segments"], flat["inferred"]) == ("inferring", 3, 1)
    store.put(BUCKETS.work, keys.failed, failed(keys, "The disk is full."))
    (line,) = listed(store, BUCKETS, 9)
    assert (line.state.phase, line.why) == ("failed", "The disk is full.")


def test_unreadable_plans_hide_no_others(store: Store) -> None:
    """A run without a plan that can be read is left out, and the others are shown."""
    started(store, "hello")
    gone, older = started(store, "gone"), started(store, "older")
    store.delete(BUCKETS.work, gone.plan)
    store.put(BUCKETS.work, older.plan, b"{}")
    assert [line.voice for line in listed(store, BUCKETS, 9)] == ["t/news/hello.wav"]


def test_lonely_files_say_what_they_wait_for(store: Store) -> None:
    """A voice waits for a face, a face for a voice, a loose one for its name, a new one for us."""
    looked_at(store, "t/one/voice.wav", "voice")
    looked_at(store, "t/two/anna.mp4", "face")
    looked_at(store, "t/three/voice.wav", "voice")
    looked_at(store, "t/three/anna.mp4", "face")
    looked_at(store, "t/loose.wav", "voice")
    looked_at(store, "t/four/no.mp4", "refused")
    for key in ("t/five/new.mp4", "t/five/koubo.toml", "t/five/half.part", "t/a/b/deep.wav"):
        store.put(BUCKETS.input, key, b"x")
    assert {line.key: line.waits_for for line in unpaired(store, BUCKETS)} == {
        "t/one/voice.wav": "a face",
        "t/two/anna.mp4": "a voice",
        "t/loose.wav": "a face named loose.*",
        "t/five/new.mp4": "its analysis",
    }


def test_the_table_is_readable(store: Store) -> None:
    """On a terminal stand the runs with their counts, and below them what waits."""
    keys = started(store, "hello")
    store.put(BUCKETS.work, keys.patches(0), b"")
    looked_at(store, "t/one/[voice].wav", "voice")
    console = Console(width=150, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    now = datetime.fromtimestamp(NOW + 3725, UTC)
    console.print(table(listed(store, BUCKETS, 9), unpaired(store, BUCKETS), now))
    text = console.export_text()
    for shown in (keys.run[:8], "1:02:05", "inferring", "1/3", "0/3", "t/news/hello-anna.mp4"):
        assert shown in text
    assert "t/one/[voice].wav" in text
    assert "a face" in text


def test_ends_are_told(tmp_path: Path) -> None:
    """A finished run, a failed one and a refused file are worth a line; the rest isn't."""
    store = Store.folder(tmp_path)
    keys = started(store, "hello")

    def said(key: str, bucket: str = BUCKETS.work) -> list[str]:
        job = Job("encode", ObjectCreated(bucket, key))
        return ends(store, BUCKETS, Outcome(job, None, 1.0, 1.0), f"{tmp_path}/")

    assert said(keys.part(0)) == []
    store.put(BUCKETS.work, keys.done, documents.dump(Done(keys.run, "t/v.mp4", "", "", 1, NOW)))
    assert said(keys.part(0)) == [f"done: {tmp_path / BUCKETS.output / 't/v.mp4'}"]
    assert said("t/news/no.mp4", BUCKETS.input) == []
    store.put(BUCKETS.output, "t/news/no.mp4.error.json", b"{}")
    (line,) = said("t/news/no.mp4", BUCKETS.input)
    assert line.startswith("refused: t/news/no.mp4")


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (None, "t/news/anna.mp4 was replaced; the run of what lies there now makes the video"),
        ("abc", "the run abc was planned later for the same files and makes the video"),
    ],
)
def test_superseded_runs_are_told(tmp_path: Path, by: str | None, said: str) -> None:
    """A run that was overtaken is shown as that, with what took its place, and not as failed."""
    store = Store.folder(tmp_path)
    keys = started(store, "hello")
    runs.supersede(store, BUCKETS.work, keys, NOW, key="t/news/anna.mp4", by=by)
    (line,) = listed(store, BUCKETS, 9)
    assert (line.state.phase, line.why) == ("superseded", said)
    job = Job("encode", ObjectCreated(BUCKETS.work, keys.patches(0)))
    (told,) = ends(store, BUCKETS, Outcome(job, None, 1.0, 1.0), f"{tmp_path}/")
    assert told == f"superseded: {keys.run}: {said}"


@pytest.mark.parametrize("kind", ["segment", "patches", "part"])
def test_failed_runs_are_told_wherever_they_failed(tmp_path: Path, kind: str) -> None:
    """A run that failed says so with the job that it failed in, be it the first segment."""
    store = Store.folder(tmp_path)
    keys = started(store, "hello")
    store.put(BUCKETS.work, keys.failed, failed(keys, "The disk is full."))
    job = Job("infer", ObjectCreated(BUCKETS.work, getattr(keys, kind)(0)))
    (line,) = ends(store, BUCKETS, Outcome(job, None, 1.0, 1.0), f"{tmp_path}/")
    assert line == f"failed: {keys.run}: The disk is full. Look into the log."
