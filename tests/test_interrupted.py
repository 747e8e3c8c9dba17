import dataclasses

from functions.events import ObjectCreated
from functions.interrupted import Interruptions
from functions.settings import BucketSettings
from functions.storage import Store

BUCKETS = BucketSettings()
EVENT = ObjectCreated(BUCKETS.input, "t/news/a b.wav", etag="one")
OTHER = ObjectCreated(BUCKETS.work, "t/news/a b.wav")


def test_deaths_add_up_until_somebody_lives() -> None:
    """Each beginning without an end is an attempt of its own; one end takes all of them away."""
    marks = Interruptions(Store.memory(), BUCKETS.work, "ingest")
    assert marks.before(EVENT) == ()
    for count in range(1, 4):
        marks.begin(EVENT, marks.before(EVENT))
        assert len(marks.before(EVENT)) == count
    times = [attempt.at for attempt in marks.before(EVENT)]
    assert times == sorted(times)
    assert {attempt.function for attempt in marks.before(EVENT)} == {"ingest"}
    marks.end(EVENT)
    assert marks.before(EVENT) == ()
    marks.end(EVENT)


def test_events_are_told_apart() -> None:
    """Deaths count for the object, whatever else the event says, and for one function."""
    store = Store.memory()
    marks = Interruptions(store, BUCKETS.work, "ingest")
    marks.begin(EVENT, ())
    assert marks.before(dataclasses.replace(EVENT, etag="two", sequencer="9"))
    assert not marks.before(OTHER)
    assert not Interruptions(store, BUCKETS.work, "infer").before(EVENT)
