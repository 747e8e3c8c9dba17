import dataclasses
import itertools
import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions import documents
from functions.analysis import Footage, Voice
from functions.layout import Group, InputFile, RunKeys
from functions.options import Options
from functions.picture import Colour
from functions.runs import (
    Model,
    Plan,
    Segment,
    load_plan,
    make_plan,
    read_state,
    run_id,
    source_frames,
    start,
)
from functions.storage import Store

WORK = "work"
GROUP = Group("t", "news")
VOICE, FACE = InputFile("t", "news", "a.wav"), InputFile("t", "news", "b.mp4")
MODEL = Model("viseme", "1")
RATES = [Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(60), Fraction(59, 2)]


def footage(rate: Fraction, kind: str = "video") -> Footage:
    return Footage(
        digest="f-1",
        sha256="f",
        kind=kind,  # type: ignore[arg-type]
        width=64,
        height=48,
        rate_numerator=rate.numerator,
        rate_denominator=rate.denominator,
        frames=100,
        colour=Colour(),
        rotation=0,
        faces=100,
        chunks=(),
        poster_frame=0,
        container="mov",
        decoder="",
    )


def plan(
    seconds: float = 20.0,
    rate: Fraction = RATES[0],
    kind: str = "video",
    options: Options = Options(),  # noqa: B008 -- frozen
    segment_seconds: float = 8.0,
    made_at: float = 1.7e9,
) -> Plan:
    return make_plan(
        GROUP,
        (VOICE, Voice("v-1", "v", seconds, 0.1, "wav")),
        (FACE, footage(rate, kind)),
        MODEL,
        options,
        segment_seconds=segment_seconds,
        portrait_rate=25,
        output="a-b",
        made_at=made_at,
    )


@given(st.floats(0.001, 7200), st.sampled_from(RATES), st.floats(1, 60))
def test_frames_are_the_voice_times_the_rate(
    seconds: float, rate: Fraction, segment_seconds: float
) -> None:
    """An output has round(seconds x rate) frames, at least one, each in exactly one segment."""
    made = plan(seconds, rate, segment_seconds=segment_seconds)
    assert made.rate == rate
    assert abs(made.frames - Fraction(seconds) * rate) <= Fraction(1, 2) or made.frames == 1
    assert made.frames >= 1
    segments = [made.segment(index) for index in range(made.segments)]
    assert segments[0].start == 0
    assert segments[-1].stop == made.frames
    assert all(len(segment) > 0 for segment in segments)
    assert all(one.stop == other.start for one, other in itertools.pairwise(segments))
    assert all(len(segment) == made.segment_frames for segment in segments[:-1])


def test_portraits_get_the_rate_of_portraits() -> None:
    """A portrait, whose own rate means nothing, becomes video of the configured rate."""
    made = plan(4.0, Fraction(1), "portrait")
    assert (made.rate, made.frames) == (25, 100)


def naive_pingpong(frames: int, count: int) -> list[int]:
    place, step, shown = 0, 1, []
    for _ in range(count):
        shown.append(place)
        if frames > 1:
            if not 0 <= place + step < frames:
                step = -step
            place += step
    return shown


@given(st.integers(1, 12), st.integers(0, 60), st.integers(0, 60))
def test_pingpong_walks_forth_and_back(frames: int, first: int, count: int) -> None:
    """Footage is walked frame by frame, turning at its ends; any segment sees its own part."""
    shown = list(source_frames(range(first, first + count), frames, "pingpong"))
    assert shown == naive_pingpong(frames, first + count)[first:]


@given(st.integers(1, 12), st.integers(0, 60), st.integers(0, 60))
def test_restart_begins_again(frames: int, first: int, count: int) -> None:
    """Footage is played from its start again and again."""
    shown = list(source_frames(range(first, first + count), frames, "restart"))
    played = [frame for _ in range(first + count) for frame in range(frames)]
    assert shown == played[first : first + count]


def test_the_same_inputs_are_the_same_run() -> None:
    """The id tells voice, footage, job, model, options and cut; the time is no part of it."""
    base = plan()
    assert plan(made_at=1.0).run == base.run
    others = [
        plan(options=Options(loop="restart")),
        plan(segment_seconds=4.0),
        dataclasses.replace(
            base, run=run_id(Group("u", "news"), ("v-1", "f-1"), MODEL, Options(), 200)
        ),
        dataclasses.replace(base, run=run_id(GROUP, ("w-1", "f-1"), MODEL, Options(), 200)),
        dataclasses.replace(base, run=run_id(GROUP, ("f-1", "v-1"), MODEL, Options(), 200)),
        dataclasses.replace(
            base, run=run_id(GROUP, ("v-1", "f-1"), Model("viseme", "2"), Options(), 200)
        ),
    ]
    assert len({base.run, *(other.run for other in others)}) == len(others) + 1


def test_ids_are_the_same_in_every_process() -> None:
    """Two processes, with other hash seeds, give a run the same id."""
    code = (
        "from functions.runs import *; from functions.layout import Group\n"
        "from functions.options import Options\n"
        "print(run_id(Group('t','news'),('v-1','f-1'),Model('viseme','1'),Options(),200))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()
    assert said == plan().run


def snapshot(store: Store) -> dict[str, bytes]:
    return {entry.key: store.get(WORK, entry.key) for entry in store.entries(WORK, "")}


def test_start_writes_the_plan_and_its_segments() -> None:
    """A started run has its plan, one object for each segment, and a place among the recent."""
    store, made = Store.memory(), plan(20.0)
    assert start(store, WORK, made) == made
    assert load_plan(store, WORK, made.keys) == made
    keys = made.keys
    assert set(snapshot(store)) == {
        *(keys.plan, keys.active, keys.recent(made.made_at)),
        f"{made.group.planned_pair(made.voice.key, made.face.key)}{made.run}",
        *(keys.segment(0), keys.segment(1), keys.segment(2)),
    }
    last = documents.load(Segment, store.get(WORK, keys.segment(2)))
    assert last == Segment(made.run, 2, 400, 500)


@pytest.mark.parametrize("survivors", range(6))
def test_start_goes_on_where_it_was_killed(survivors: int) -> None:
    """However little was written before a kill, starting again, later, completes the first plan."""
    whole = Store.memory()
    first = start(whole, WORK, plan(20.0))
    wanted = snapshot(whole)
    keys = first.keys
    order = [keys.plan, keys.recent(first.made_at), *(keys.segment(index) for index in range(3))]
    store = Store.memory()
    for key in order[:survivors]:
        store.put(WORK, key, wanted[key])
    later = plan(20.0, made_at=1.8e9)
    held = start(store, WORK, later)
    if survivors:
        assert held == first
        assert snapshot(store) == wanted
    else:
        assert held == later
    before = snapshot(store)
    start(store, WORK, plan(20.0, made_at=1.9e9))
    assert snapshot(store) == before


def test_ended_runs_stay_ended() -> None:
    """A run that is done and cleared of its segments is not begun again."""
    store, made = Store.memory(), plan()
    start(store, WORK, made)
    store.put(WORK, made.keys.done, b"{}")
    for index in range(made.segments):
        store.delete(WORK, made.keys.segment(index))
    start(store, WORK, made)
    assert not store.exists(WORK, made.keys.segment(0))


def test_state_is_counted() -> None:
    """Waiting, inferring k of n, encoding k of n, done: read off what exists."""
    store, keys = Store.memory(), RunKeys("t", "abc")

    def state() -> tuple[str, int, int, int]:
        read = read_state(store, WORK, keys)
        return (read.phase, read.segments, read.inferred, read.encoded)

    for index in range(3):
        store.put(WORK, keys.segment(index), b"")
    assert state() == ("waiting", 3, 0, 0)
    store.put(WORK, keys.patches(1), b"")
    assert state() == ("inferring", 3, 1, 0)
    store.put(WORK, keys.part_report(1), b"")
    store.put(WORK, keys.part(1), b"")
    store.delete(WORK, keys.patches(1))
    assert state() == ("inferring", 3, 1, 1)
    for index in (0, 2):
        store.put(WORK, keys.patches(index), b"")
    assert state() == ("encoding", 3, 3, 1)
    for index in (0, 2):
        store.put(WORK, keys.part(index), b"")
    assert state() == ("encoding", 3, 3, 3)
    assert not read_state(store, WORK, keys).ended
    store.put(WORK, keys.done, b"")
    assert state() == ("done", 3, 3, 3)


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_other_ends(end: str) -> None:
    """A failed or cancelled run has ended, whatever else is there; a neighbour's end is its own."""
    store, keys, neighbour = Store.memory(), RunKeys("t", "abc"), RunKeys("t", "abcd")
    store.put(WORK, keys.segment(0), b"")
    store.put(WORK, getattr(neighbour, end), b"")
    assert read_state(store, WORK, keys).phase == "waiting"
    store.put(WORK, getattr(keys, end), b"")
    state = read_state(store, WORK, keys)
    assert state.phase == end
    assert state.ended
