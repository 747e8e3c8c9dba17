import pytest

from functions import runs
from functions.chain import give_up
from functions.dead import letters, replay
from functions.events import ObjectCreated
from functions.reconcile import due
from functions.runs import Attempt
from functions.settings import BucketSettings
from functions.storage import Store

from .test_chain import KEYS, PLAN

BUCKETS = BucketSettings()
FAILED = (Attempt(1.7e9, "infer", "the disk was full"),)


@pytest.fixture
def store() -> Store:
    return Store.memory()


def test_a_run_is_taken_up_again(store: Store) -> None:
    """A replayed segment makes its run due again, and the letter and the word to people go."""
    runs.start(store, BUCKETS.work, PLAN)
    event = ObjectCreated(BUCKETS.work, KEYS.segment(1))
    give_up(store, BUCKETS, "infer", event, FAILED)
    assert due(store, BUCKETS) == []
    ((key, letter),) = letters(store, BUCKETS)
    assert (letter.event, letter.attempts) == (event, FAILED)
    replay(store, BUCKETS, key, letter)
    assert list(letters(store, BUCKETS)) == []
    assert KEYS.segment(1) in {event.key for event in due(store, BUCKETS)}
    assert runs.read_state(store, BUCKETS.work, KEYS).phase == "waiting"
    assert list(store.entries(BUCKETS.output, "")) == []


def test_an_upload_is_taken_up_again(store: Store) -> None:
    """A replayed upload counts as unseen."""
    event = ObjectCreated(BUCKETS.input, "t/news/a b+c%.wav")
    store.put(BUCKETS.input, event.key, b"content")
    give_up(store, BUCKETS, "ingest", event, FAILED)
    assert due(store, BUCKETS) == []
    ((key, letter),) = letters(store, BUCKETS)
    replay(store, BUCKETS, key, letter)
    assert [found.key for found in due(store, BUCKETS)] == [event.key]
    assert list(store.entries(BUCKETS.output, "")) == []


@pytest.mark.parametrize(
    "event",
    [
        ObjectCreated(BUCKETS.input, "t/news/gone.wav"),
        ObjectCreated(BUCKETS.input, "no-place.wav"),
        ObjectCreated(BUCKETS.work, KEYS.part(0)),
    ],
)
def test_what_is_gone_leaves_only_its_letter(store: Store, event: ObjectCreated) -> None:
    """A letter about something that was removed since can be replayed, which removes it."""
    give_up(store, BUCKETS, "ingest", event, FAILED)
    for key, letter in letters(store, BUCKETS):
        replay(store, BUCKETS, key, letter)
    assert list(letters(store, BUCKETS)) == []
