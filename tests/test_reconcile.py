import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import pytest

from functions import documents, runs
from functions.input_keys import parse_input
from functions.layout import RunKeys
from functions.reconcile import Sweep, due
from functions.settings import BucketSettings
from functions.storage import Store

from .test_chain import KEYS, PLAN

BUCKETS = BucketSettings()


@pytest.fixture
def store() -> Store:
    return Store.memory()


def test_due_finds_what_was_missed(store: Store) -> None:
    """An unseen upload, a segment without patches and patches without a part are due."""
    store.put(BUCKETS.input, "t/news/new.wav", b"x")
    for name in ("koubo.toml", ".hidden", "half.part"):
        store.put(BUCKETS.input, f"t/news/{name}", b"")
    runs.start(store, BUCKETS.work, PLAN)
    store.put(BUCKETS.work, KEYS.patches(1), b"")
    store.put(BUCKETS.work, KEYS.patches(2), b"")
    store.put(BUCKETS.work, KEYS.part(2), b"")
    assert {(event.bucket, event.key) for event in due(store, BUCKETS)} == {
        (BUCKETS.input, "t/news/new.wav"),
        (BUCKETS.input, "t/news/koubo.toml"),
        (BUCKETS.work, KEYS.segment(0)),
        (BUCKETS.work, KEYS.patches(1)),
    }


def test_due_finds_an_assembly_that_was_missed(store: Store) -> None:
    """With all parts there and no output, one part is fired again; once done, nothing is."""
    runs.start(store, BUCKETS.work, PLAN)
    for index in range(3):
        store.put(BUCKETS.work, KEYS.part(index), b"")
    assert [event.key for event in due(store, BUCKETS)] == [KEYS.part(0)]
    store.put(BUCKETS.work, KEYS.done, b"")
    assert due(store, BUCKETS) == []


def test_due_completes_a_start_that_was_killed(store: Store) -> None:
    """A plan without its segments gets them, and they are due."""
    store.put(BUCKETS.work, KEYS.active, b"")
    store.put(BUCKETS.work, KEYS.plan, documents.dump(PLAN))
    assert [event.key for event in due(store, BUCKETS)] == [KEYS.segment(n) for n in range(3)]
    assert store.exists(BUCKETS.work, KEYS.segment(2))


def test_due_passes_over_runs_without_a_plan(store: Store) -> None:
    """What a deletion or another version left is due for nothing, and hides nothing else."""
    for run in ("gone", "older"):
        store.put(BUCKETS.work, RunKeys("t", run).active, b"")
    store.put(BUCKETS.work, RunKeys("t", "gone").segment(0), b"")
    store.put(BUCKETS.work, RunKeys("t", "older").plan, b'{"of": "another version"}')
    store.put(BUCKETS.input, "u/a.wav", b"x")
    assert [event.key for event in due(store, BUCKETS)] == ["u/a.wav"]


def handled(store: Store, key: str) -> None:
    entry = store.head(BUCKETS.input, key)
    store.put(BUCKETS.work, parse_input(key).handled(entry.identity), b"")


def test_ended_runs_are_not_looked_at(store: Store) -> None:
    """The index forgets a run when it has ended: a thousand finished runs cost nothing."""
    runs.start(store, BUCKETS.work, PLAN)
    store.put(BUCKETS.work, KEYS.done, b"")
    assert store.exists(BUCKETS.work, KEYS.active)
    assert due(store, BUCKETS) == []
    assert not store.exists(BUCKETS.work, KEYS.active)
    runs.start(store, BUCKETS.work, PLAN)
    assert not store.exists(BUCKETS.work, KEYS.active), "planned again, it has ended still"


def test_a_failed_run_comes_back_with_its_retry(store: Store) -> None:
    """A run that gets another chance is in the index again."""
    runs.start(store, BUCKETS.work, PLAN)
    store.put(BUCKETS.work, KEYS.failed, b"")
    assert due(store, BUCKETS) == []
    runs.retry(store, BUCKETS.work, PLAN)
    assert len(due(store, BUCKETS)) == PLAN.segments


def test_a_look_is_bounded_and_goes_on(store: Store) -> None:
    """Each look takes some inputs and runs; together the looks find everything, then start over."""
    for number in range(25):
        store.put(BUCKETS.input, f"t/news/{number:02d}.wav", b"x")
        plan = replace(PLAN, run=f"run-{number:02d}")
        store.put(BUCKETS.work, plan.keys.active, b"")
        runs.start(store, BUCKETS.work, plan)
    for number in range(0, 25, 2):
        handled(store, f"t/news/{number:02d}.wav")
    sweep = Sweep(store, BUCKETS, requests=10)
    found: Counter[str] = Counter()
    looks = 0
    while len(found) < 12 + 25 * PLAN.segments:
        events = sweep.look()
        assert len(events) <= 10 + 5 * PLAN.segments
        found.update(event.key for event in events)
        looks += 1
        assert looks < 20
    assert looks >= 5
    assert {key for key in found if key.endswith(".wav")} == {
        f"t/news/{number:02d}.wav" for number in range(1, 25, 2)
    }


def test_several_tenants(store: Store) -> None:
    """A look that ends within one tenant's runs goes on there, and reaches every tenant."""
    for tenant in ("a", "b", "c"):
        group = replace(PLAN.group, tenant=tenant)
        for number in range(3):
            plan = replace(PLAN, group=group, run=f"run-{number}")
            runs.start(store, BUCKETS.work, plan)
    sweep = Sweep(store, BUCKETS, ("runs",), requests=4)
    found: set[str] = set()
    for _ in range(12):
        found |= {event.key for event in sweep.look()}
    assert len(found) == 9 * PLAN.segments


def test_what_somebody_works_on_is_left_alone(store: Store) -> None:
    """Young objects may be in somebody's hands; they are due when they have lain long enough."""
    store.put(BUCKETS.input, "t/news/new.wav", b"x")
    runs.start(store, BUCKETS.work, PLAN)
    assert Sweep(store, BUCKETS, stale=60).look() == []
    sweep = Sweep(store, BUCKETS, stale=0.05)
    deadline = time.monotonic() + 10
    while len(sweep.look()) < 1 + PLAN.segments:
        assert time.monotonic() < deadline


@dataclass
class Counting:
    """A store that counts what is asked of it."""

    store: Store
    asked: int = 0

    def __getattr__(self, name: str) -> Any:
        self.asked += 1
        return getattr(self.store, name)


def test_requests_are_counted(store: Store) -> None:
    """However much there is, a look asks about as often as it may."""
    for number in range(300):
        store.put(BUCKETS.input, f"t/news/{number:03d}.wav", b"x")
        plan = replace(PLAN, run=f"run-{number:03d}")
        store.put(BUCKETS.work, plan.keys.plan, documents.dump(plan))
        store.put(BUCKETS.work, plan.keys.active, b"")
        for index in range(plan.segments):
            store.put(BUCKETS.work, plan.keys.segment(index), b"")
    counting = Counting(store)
    Sweep(counting, BUCKETS, requests=50).look()  # type: ignore[arg-type]
    assert counting.asked <= 110
