import pytest

from functions import documents
from functions.layout import RunKeys
from functions.plans import (
    Segment,
    load_plan,
)
from functions.runs import read_state, start
from functions.storage import Store
from tests.test_plans import plan

WORK = "work"


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
