import dataclasses
import json
from pathlib import Path

import pytest

from functions import documents, runs
from functions.analysis import Voice
from functions.chain import DeadLetter, Delivery, fired_by, give_up
from functions.errors import Code, ErrorDocument, RejectedInput, RetryableError
from functions.events import ObjectCreated
from functions.input_keys import Group, InputFile
from functions.layout import dead_letter
from functions.options import Options
from functions.plans import Model, make_plan
from functions.reconcile import due
from functions.runs import Attempt, Failure
from functions.settings import BucketSettings
from functions.storage import Store
from tests.sample_documents import FOOTAGE

BUCKETS = BucketSettings()
INPUT = ObjectCreated(BUCKETS.input, "t/news/a b.wav")
PLAN = make_plan(
    Group("t", "news"),
    (InputFile("t", "news", "a.wav"), Voice("v-1", "v", 20.0, 0.1, "wav")),
    (InputFile("t", "news", "b.mp4"), FOOTAGE),
    Model("viseme", "1"),
    Options(),
    segment_seconds=8.0,
    portrait_rate=25,
    output="a-b",
    made_at=1.7e9,
)
KEYS = PLAN.keys
SEGMENT = ObjectCreated(BUCKETS.work, KEYS.segment(1))


@pytest.fixture
def store() -> Store:
    return Store.memory()


class Handler:
    """Raises what it is given, one error after the other, then handles."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.handled: list[ObjectCreated] = []

    def __call__(self, event: ObjectCreated) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.handled.append(event)


def delivery(store: Store, handler: Handler, attempts: int = 3) -> Delivery:
    return Delivery("infer", handler, store, BUCKETS, attempts)


@pytest.mark.parametrize(
    ("bucket", "key", "function"),
    [
        (BUCKETS.input, "t/news/a.wav", "ingest"),
        (BUCKETS.input, "t/a.wav", "ingest"),
        (BUCKETS.input, "t/news/koubo.toml", "ingest"),
        (BUCKETS.input, "t/news/.a.wav", None),
        (BUCKETS.input, "t/news/a.wav.part", None),
        (BUCKETS.work, KEYS.segment(0), "infer"),
        (BUCKETS.work, KEYS.patches(0), "encode"),
        (BUCKETS.work, KEYS.part(12_345), "encode"),
        (BUCKETS.work, KEYS.plan, None),
        (BUCKETS.work, KEYS.part_report(0), None),
        (BUCKETS.work, KEYS.done, None),
        (BUCKETS.output, "t/news/a-b.mp4", None),
        (BUCKETS.output, KEYS.segment(0), None),
        ("another", "t/news/a.wav", None),
    ],
)
def test_what_fires_what(bucket: str, key: str, function: str | None) -> None:
    """Uploads fire ingest, segments infer, patches and parts encode; nothing else fires."""
    assert fired_by(ObjectCreated(bucket, key), BUCKETS) == function


def test_success_leaves_no_trace(store: Store) -> None:
    """A handled event is settled, and nothing is written about it."""
    handler = Handler()
    assert delivery(store, handler).deliver(SEGMENT) is None
    assert handler.handled == [SEGMENT]
    assert not list(store.entries(BUCKETS.work, ""))


@pytest.mark.parametrize("error", [RetryableError("disk"), ZeroDivisionError("odd"), OSError(5)])
def test_other_errors_come_again(store: Store, error: Exception) -> None:
    """A failure, expected or not, gives the attempt to whoever delivers; the next may succeed."""
    handler = Handler(error)
    wanted = delivery(store, handler)
    failed = wanted.deliver(SEGMENT)
    assert failed is not None
    assert failed.function == "infer"
    assert type(error).__name__ in failed.error
    assert wanted.deliver(SEGMENT, (failed,)) is None
    assert handler.handled == [SEGMENT]
    assert not list(store.entries(BUCKETS.work, ""))


def test_a_refused_upload_is_answered_at_the_output(store: Store) -> None:
    """An input that no retry can mend is settled at once, with a word to who sent it."""
    handler = Handler(RejectedInput(Code.NO_FACE, "No face was found."))
    assert delivery(store, handler).deliver(INPUT) is None
    error = documents.load(ErrorDocument, store.get(BUCKETS.output, f"{INPUT.key}.error.json"))
    assert error == ErrorDocument(
        INPUT.key, "no_face", "No face was found.", Code.NO_FACE.value.fix
    )
    assert not list(store.entries(BUCKETS.work, ""))


def test_a_refused_segment_fails_its_run(store: Store) -> None:
    """A segment that can't be made ends its run, and the output says why."""
    runs.start(store, BUCKETS.work, PLAN)
    handler = Handler(RejectedInput(Code.UNSUPPORTED, "No such model."))
    assert delivery(store, handler).deliver(SEGMENT) is None
    failure = documents.load(Failure, store.get(BUCKETS.work, KEYS.failed))
    assert (failure.run, failure.code, failure.attempts) == (PLAN.run, "unsupported", ())
    written = json.loads(store.get(BUCKETS.output, "t/news/a-b.error.json"))
    assert written["what"] == "No such model."
    assert runs.read_state(store, BUCKETS.work, KEYS).phase == "failed"


def test_attempts_end(store: Store) -> None:
    """After the last attempt a run has failed with its history, and the event is a dead letter."""
    runs.start(store, BUCKETS.work, PLAN)
    wanted = delivery(store, Handler(*(RetryableError(f"try {n}") for n in range(9))))
    before: tuple[Attempt, ...] = ()
    for _ in range(2):
        failed = wanted.deliver(SEGMENT, before)
        assert failed is not None
        before = (*before, failed)
    assert wanted.deliver(SEGMENT, before) is None
    failure = documents.load(Failure, store.get(BUCKETS.work, KEYS.failed))
    assert failure.code == "gave_up"
    assert [attempt.error for attempt in failure.attempts] == [
        f"RetryableError: try {n}" for n in range(3)
    ]
    (letter,) = store.entries(BUCKETS.work, dead_letter("t", "infer", "x").rpartition("/")[0])
    assert documents.load(DeadLetter, store.get(BUCKETS.work, letter.key)) == DeadLetter(
        SEGMENT, "infer", failure.attempts
    )
    written = json.loads(store.get(BUCKETS.output, "t/news/a-b.error.json"))
    assert "3 times" in written["what"]
    assert "try 2" in written["what"]
    assert due(store, BUCKETS) == []


@pytest.mark.parametrize("end", ["done", "cancelled", "superseded"])
def test_a_run_that_is_over_is_not_complained_of(store: Store, end: str) -> None:
    """What fails after its run has ended otherwise is settled: no letter, no failure, no word."""
    runs.start(store, BUCKETS.work, PLAN)
    store.put(BUCKETS.work, getattr(KEYS, end), b"{}")
    before = {entry.key for entry in store.entries(BUCKETS.work, "")}
    for error in (RetryableError("late"), RejectedInput(Code.TAKEN_AWAY, "It is gone.")):
        assert delivery(store, Handler(error), attempts=1).deliver(SEGMENT) is None
    assert {entry.key for entry in store.entries(BUCKETS.work, "")} == before
    assert not list(store.entries(BUCKETS.output, ""))


def test_a_removed_run_is_not_brought_back_by_its_failure(store: Store) -> None:
    """Work that fails because its run was removed leaves nothing of the run behind."""
    refused = Handler(RejectedInput(Code.TAKEN_AWAY, "It is gone."))
    assert delivery(store, refused).deliver(SEGMENT) is None
    assert not list(store.entries(BUCKETS.work, ""))


def test_only_the_newest_run_has_a_word_at_the_output(store: Store) -> None:
    """An older run of the same files fails by itself; its reason would be read as the newer's."""
    runs.start(store, BUCKETS.work, PLAN)
    newer = dataclasses.replace(PLAN, run="newer", made_at=PLAN.made_at + 1)
    runs.start(store, BUCKETS.work, newer)
    handler = Handler(RejectedInput(Code.UNSUPPORTED, "No such model."))
    assert delivery(store, handler).deliver(SEGMENT) is None
    assert runs.read_state(store, BUCKETS.work, KEYS).phase == "failed"
    assert not list(store.entries(BUCKETS.output, ""))


def test_a_given_up_upload_is_not_brought_back(store: Store) -> None:
    """An upload that was given up is answered and left alone, until it is uploaded again."""
    store.put(BUCKETS.input, INPUT.key, b"content")
    assert [event.key for event in due(store, BUCKETS)] == [INPUT.key]
    give_up(store, BUCKETS, "ingest", INPUT, (Attempt(1.0, "ingest", "crashed"),))
    assert store.exists(BUCKETS.output, f"{INPUT.key}.error.json")
    assert due(store, BUCKETS) == []
    store.put(BUCKETS.input, INPUT.key, b"mended content")
    assert [event.key for event in due(store, BUCKETS)] == [INPUT.key]


@pytest.mark.parametrize("key", ["t//a.wav", "../a.wav", "t/x/../../a.wav", "t/a/b/c.wav"])
def test_keys_that_can_not_be_answered(store: Store, key: str) -> None:
    """An event at a place that no store has is settled in the end; delivering never raises."""
    wanted = delivery(store, Handler(*(RetryableError("no") for _ in range(9))))
    event = ObjectCreated(BUCKETS.input, key)
    one = wanted.deliver(event)
    assert one is not None
    two = wanted.deliver(event, (one,))
    assert two is not None
    assert wanted.deliver(event, (one, two)) is None


def test_a_store_that_fails_is_no_crash(tmp_path: Path) -> None:
    """Where not even the failure can be recorded, delivering still comes to an end."""
    (tmp_path / BUCKETS.work).write_bytes(b"in the way")
    (tmp_path / BUCKETS.output).write_bytes(b"in the way")
    store = Store.folder(tmp_path)
    refused = delivery(store, Handler(RejectedInput(Code.NO_FACE, "none")), attempts=2)
    failed = refused.deliver(INPUT)
    assert failed is not None, "the answer could not be written: it comes again"
    lost = delivery(store, Handler(ZeroDivisionError()), attempts=2)
    assert lost.deliver(INPUT, (failed,)) is None
