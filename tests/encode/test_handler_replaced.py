import pytest

from functions import documents, runs
from functions.analysis import Upload
from functions.errors import RejectedInput
from functions.input_keys import parse_input
from functions.runs import Superseded

from .jobs import BUCKETS


@pytest.mark.parametrize("which", ["voice", "face"])
def test_an_input_that_was_taken_away_is_named(prepared, which: str) -> None:
    """Nothing is made of what somebody took back; it is refused at once, by its name."""
    job = prepared()
    job.encode.handle(job.patches(0))  # from now on a copy is at hand
    key = getattr(job.plan, which).key
    job.store.delete(BUCKETS.input, key)
    with pytest.raises(RejectedInput, match=f"taken_away: {key} was taken away") as refused:
        job.encode.handle(job.patches(1))
    assert "Upload the file again" in refused.value.code.value.fix
    assert list(job.encode.scratch.iterdir()) == []


def test_an_input_whose_twin_is_there_is_not_missed(prepared) -> None:
    """Another file of the job has the same content: the run is left to ingest, which moves it."""
    job = prepared()
    twin = parse_input("t/job/twin.mp4")
    job.store.put(BUCKETS.input, twin.key, b"the same")
    identity = job.store.head(BUCKETS.input, twin.key).identity
    record = Upload(twin.file, "face", job.plan.face.digest, None)
    job.store.put(BUCKETS.work, twin.upload(identity), documents.dump(record))
    job.store.put(BUCKETS.work, twin.handled(identity), b"")
    job.store.delete(BUCKETS.input, job.plan.face.key)
    job.encode.handle(job.patches(0))
    assert runs.read_state(job.store, BUCKETS.work, job.plan.keys).phase == "superseded"
    assert not job.store.exists(BUCKETS.work, twin.handled(identity)), "reconcile brings it"


def test_footage_that_was_replaced_is_noticed(prepared, clips) -> None:
    """Another file under the same name is never mixed into the run, which ends without a word."""
    job = prepared()
    job.store.put(BUCKETS.input, job.plan.face.key, clips["ntsc"].path)
    job.encode.handle(job.patches(0))
    assert runs.read_state(job.store, BUCKETS.work, job.plan.keys).phase == "superseded"
    assert job.names(BUCKETS.output) == set()
    assert "0000.patches.zip" not in job.names(BUCKETS.work, job.plan.keys.prefix)


@pytest.mark.parametrize("which", ["voice", "face"])
@pytest.mark.parametrize("whole", [False, True])
def test_a_replacement_that_ingest_has_seen(prepared, which: str, whole: bool) -> None:
    """Known by the record of what lies there now, it ends the run, be it before the assembly."""
    job = prepared()
    for index in range(job.plan.segments if whole else 1):
        job.encode.handle(job.patches(index))
    file = parse_input(getattr(job.plan, which).key)
    job.store.put(BUCKETS.input, file.key, b"another one")
    identity = job.store.head(BUCKETS.input, file.key).identity
    record = Upload(file.file, "voice" if which == "voice" else "face", "another", None)
    job.store.put(BUCKETS.work, file.upload(identity), documents.dump(record))
    job.store.put(BUCKETS.work, file.handled(identity), b"")
    job.encode.handle(job.part(0) if whole else job.patches(1))
    end = documents.load(Superseded, job.store.get(BUCKETS.work, job.plan.keys.superseded))
    assert (end.key, end.by) == (file.key, None)
    assert job.names(BUCKETS.output) == set()
    assert not job.store.exists(BUCKETS.work, file.handled(identity)), "reconcile brings it"
