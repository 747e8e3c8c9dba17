from pathlib import Path

import pytest

from functions import documents, runs
from functions.errors import Code
from functions.ingest.pairing import pair
from functions.ingest.replacement import settle, supersede_earlier
from functions.ingest.settings import IngestSettings
from functions.input_keys import InputFile
from functions.plans import Plan, load_plan
from functions.runs import Done, Failure, Superseded
from functions.storage import Store

from .test_pairing import BUCKETS, analysed, drop

SETTINGS = IngestSettings(segment_seconds=1)
VOICE, FACE = "t/news/one.wav", "t/news/anna.mp4"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A folder, where each upload has a time of its own."""
    return Store.folder(tmp_path)


def handled(store: Store, file: InputFile, *, again: bool = True) -> list[Plan]:
    """What ingest does with a file that is analysed; the plans as they stand then."""
    settle(store, BUCKETS, file, pair(store, BUCKETS, file, SETTINGS), again=again)
    plans = [pairing.plan for pairing in pair(store, BUCKETS, file, SETTINGS)]
    return [load_plan(store, BUCKETS.work, plan.keys) for plan in plans]


def phase(store: Store, plan: Plan) -> str:
    return runs.read_state(store, BUCKETS.work, plan.keys).phase


def finish(store: Store, plan: Plan) -> None:
    """The other functions do their work."""
    names = [plan.group.output(plan.output, suffix) for suffix in (".mp4", ".jpg", ".json")]
    store.put(BUCKETS.output, names[0], b"video")
    done = Done(plan.run, *names, plan.frames, 1.0)
    store.put(BUCKETS.work, plan.keys.done, documents.dump(done))


def upload(store: Store, key: str, role: str, digest: str) -> InputFile:
    """A file comes, and is looked at; what it was before is superseded on the way."""
    file = analysed(store, key, role, digest)
    supersede_earlier(store, BUCKETS, file, store.head(BUCKETS.input, key), digest)
    return file


@pytest.fixture
def first(store: Store) -> Plan:
    """The run of the first voice and face."""
    upload(store, VOICE, "voice", "voice-a")
    (plan,) = handled(store, upload(store, FACE, "face", "face-a"))
    return plan


@pytest.mark.parametrize(("key", "role"), [(VOICE, "voice"), (FACE, "face")])
def test_a_replaced_input_ends_its_run_at_once(
    store: Store, first: Plan, key: str, role: str
) -> None:
    """As soon as the content is known to be another, and before anything is analysed."""
    file = upload(store, key, role, f"{role}-b")
    assert phase(store, first) == "superseded"
    end = documents.load(Superseded, store.get(BUCKETS.work, first.keys.superseded))
    assert (end.key, end.by) == (key, None)
    (second,) = handled(store, file)
    assert second.run != first.run
    assert phase(store, second) == "waiting"


def test_what_can_not_be_used_replaces_as_well(store: Store, first: Plan) -> None:
    """A file that is refused took the place of the one that was planned."""
    file = drop(store, FACE, b"no media at all")
    supersede_earlier(store, BUCKETS, file, store.head(BUCKETS.input, FACE), None)
    assert phase(store, first) == "superseded"


def test_the_same_content_again_disturbs_nothing(store: Store, first: Plan) -> None:
    """A file that was only touched leaves its run alone."""
    upload(store, FACE, "face", "face-a")
    assert phase(store, first) == "waiting"


def test_the_first_upload_reads_no_plans(store: Store, first: Plan) -> None:
    """A name that is new can't replace anything, so other runs of the job go on."""
    upload(store, "t/news/bea.mp4", "face", "face-b")
    assert phase(store, first) == "waiting"


def test_other_options_supersede(store: Store, first: Plan) -> None:
    """A job whose options change has its earlier run ended, in favour of the one that is named."""
    options = drop(store, "t/news/koubo.toml", b'loop = "restart"')
    (second,) = handled(store, options, again=False)
    assert phase(store, first) == "superseded"
    end = documents.load(Superseded, store.get(BUCKETS.work, first.keys.superseded))
    assert (end.key, end.by) == (None, second.run)


def test_a_run_whose_files_are_back_goes_on(store: Store, first: Plan) -> None:
    """First, second and first content again: the first run makes the video, as the newest."""
    store.put(BUCKETS.work, first.keys.part(0), b"part")
    (second,) = handled(store, upload(store, FACE, "face", "face-b"))
    error = first.group.output(first.output, ".error.json")
    store.put(BUCKETS.output, error, b"{}")
    (again,) = handled(store, upload(store, FACE, "face", "face-a"))
    assert again.run == first.run
    assert again.made_at > second.made_at
    assert (phase(store, again), phase(store, second)) == ("inferring", "superseded")
    assert store.exists(BUCKETS.work, first.keys.part(0)), "what it had it has"
    assert not store.exists(BUCKETS.output, error)
    recent = [entry.key for entry in store.entries(BUCKETS.work, "t/recent")]
    assert recent == [again.keys.recent(again.made_at), second.keys.recent(second.made_at)]


def test_a_finished_run_whose_video_was_overwritten_is_made_again(
    store: Store, first: Plan
) -> None:
    """Content that comes back after another video was made of its pair gets its own back."""
    finish(store, first)
    (second,) = handled(store, upload(store, FACE, "face", "face-b"))
    assert phase(store, first) == "done"
    finish(store, second)
    (again,) = handled(store, upload(store, FACE, "face", "face-a"))
    assert (again.run, phase(store, again)) == (first.run, "waiting")
    assert again.made_at > second.made_at


def test_an_event_told_twice_changes_nothing(store: Store, first: Plan) -> None:
    """Whatever the state, a pair that stands as it is planned is left alone."""
    (second,) = handled(store, upload(store, FACE, "face", "face-b"))
    finish(store, second)
    before = {entry.key: entry for entry in store.entries(BUCKETS.work, "")}
    face = InputFile("t", "news", "anna.mp4")
    assert handled(store, face, again=False) == [second]
    assert {entry.key: entry for entry in store.entries(BUCKETS.work, "")} == before


def test_a_run_whose_file_was_taken_away_goes_on_when_it_is_back(store: Store, first: Plan) -> None:
    """The refusal asked for the file; it came."""
    fail(store, first, Code.TAKEN_AWAY)
    file = InputFile("t", "news", "anna.mp4")
    assert handled(store, file, again=False)[0].run == first.run
    assert phase(store, first) == "waiting"


def test_a_failed_run_waits_for_a_new_upload(store: Store, first: Plan) -> None:
    """What failed otherwise is tried again by an upload, not by an event that is told twice."""
    fail(store, first, Code.GAVE_UP)
    error = first.group.output(first.output, ".error.json")
    store.put(BUCKETS.output, error, b"{}")
    file = InputFile("t", "news", "anna.mp4")
    handled(store, file, again=False)
    assert phase(store, first) == "failed"
    handled(store, file, again=True)
    assert phase(store, first) == "waiting"
    assert not store.exists(BUCKETS.output, error)


def test_one_of_two_equal_faces_is_replaced(store: Store) -> None:
    """A run that two names share goes on under the name that still has the content."""
    upload(store, VOICE, "voice", "voice-a")
    upload(store, FACE, "face", "same")
    bea = upload(store, "t/news/bea.mp4", "face", "same")
    (shared, twin) = handled(store, bea)
    assert shared == twin
    assert shared.face.key == FACE
    plans = handled(store, upload(store, FACE, "face", "other"))
    assert {(plan.face.key, plan.output) for plan in plans} == {
        (FACE, "one-anna"),
        (bea.key, "one-bea"),
    }
    assert shared.run in {plan.run for plan in plans}
    assert {phase(store, plan) for plan in plans} == {"waiting"}


def test_one_of_two_equal_faces_is_taken_away(store: Store) -> None:
    """A run that is going moves to the name that is left; a finished one keeps its video."""
    upload(store, VOICE, "voice", "voice-a")
    upload(store, FACE, "face", "same")
    bea = upload(store, "t/news/bea.mp4", "face", "same")
    shared = handled(store, bea)[0]
    finish(store, shared)
    store.delete(BUCKETS.input, FACE)
    assert handled(store, bea, again=False) == [shared]
    assert phase(store, shared) == "done"
    store.delete(BUCKETS.work, shared.keys.done)
    (moved,) = handled(store, bea, again=False)
    assert (moved.run, moved.face.key, moved.output) == (shared.run, bea.key, "one-bea")


def fail(store: Store, plan: Plan, code: Code) -> None:
    failure = Failure(plan.run, code.public, "It can't be made.", code.value.fix, ())
    store.put(BUCKETS.work, plan.keys.failed, documents.dump(failure))
