import dataclasses
import json

import pytest

from functions import documents
from functions.analysis import Upload, Voice
from functions.errors import Code, RejectedInput
from functions.ingest.pairing import looked_at, pair
from functions.ingest.settings import IngestSettings
from functions.input_keys import InputFile, parse_input
from functions.layout import FootageKeys, VoiceKeys
from functions.options import Options
from functions.plans import Plan
from functions.request_keys import RequestKeys
from functions.runs import read_state
from functions.settings import BucketSettings
from functions.storage import Store
from tests.sample_documents import FOOTAGE

BUCKETS = BucketSettings()
SETTINGS = IngestSettings()


@pytest.fixture
def store() -> Store:
    return Store.memory()


def drop(store: Store, key: str, content: bytes = b"x") -> InputFile:
    """Somebody uploads a file."""
    store.put(BUCKETS.input, key, content)
    return parse_input(key)


def analysed(store: Store, key: str, role: str, digest: str | None = None) -> InputFile:
    """A file that ingest has looked at."""
    file = drop(store, key, key.encode())
    name = digest or f"{role}-{file.file}"
    entry = store.head(BUCKETS.input, key)
    refusal = "no_face" if role == "refused" else None
    upload = Upload(file.file, role, "" if refusal else name, refusal)  # type: ignore[arg-type]
    store.put(BUCKETS.work, file.upload(entry.identity), documents.dump(upload))
    if role == "voice":
        voice = Voice(name, name, 4.0, 0.1, "wav")
        keys = VoiceKeys(file.tenant, name).document
        store.put(BUCKETS.work, keys, documents.dump(voice))
    elif role == "face":
        footage = dataclasses.replace(FOOTAGE, digest=name, sha256=name)
        keys = FootageKeys(file.tenant, name).document
        store.put(BUCKETS.work, keys, documents.dump(footage))
    return file


def planned(store: Store, file: InputFile) -> list[Plan]:
    """The plans of a file's group, as they stand."""
    return [pairing.plan for pairing in pair(store, BUCKETS, file, SETTINGS)]


def ends(plans: list[Plan]) -> set[tuple[str, str, str]]:
    return {(plan.voice.key, plan.face.key, plan.output) for plan in plans}


def test_every_voice_meets_every_face(store: Store) -> None:
    """Each voice of a job with each of its faces is a run, whichever file completed the pair."""
    files = [
        *(analysed(store, "t/news/one.wav", "voice"), analysed(store, "t/news/two.wav", "voice")),
        *(analysed(store, "t/news/anna.mp4", "face"), analysed(store, "t/news/bea.png", "face")),
    ]
    wanted = {
        (f"t/news/{voice}.wav", f"t/news/{face}", f"{voice}-{face.split('.')[0]}")
        for voice in ("one", "two")
        for face in ("anna.mp4", "bea.png")
    }
    first = [planned(store, file) for file in files]
    assert [ends(plans) for plans in first] == [wanted] * 4
    assert len({plan.run for plans in first for plan in plans}) == 4
    assert len({plan for plans in first for plan in plans}) == 4, "a plan never changes"


def test_a_lonely_file_waits(store: Store) -> None:
    """Without a partner there is no run, and no complaint."""
    file = analysed(store, "t/news/one.wav", "voice")
    assert pair(store, BUCKETS, file, SETTINGS) == []
    analysed(store, "t/sports/anna.mp4", "face")
    analysed(store, "u/news/anna.mp4", "face")
    analysed(store, "t/anna.mp4", "face")
    analysed(store, "t/newsroom/anna.mp4", "face")
    assert pair(store, BUCKETS, file, SETTINGS) == [], "other jobs and tenants are no partners"


def test_what_is_not_ready_is_left_out(store: Store) -> None:
    """Refused files, files not looked at yet and unfinished ones are in no run."""
    file = analysed(store, "t/news/one.wav", "voice")
    analysed(store, "t/news/no.mp4", "refused")
    drop(store, "t/news/new.mp4")
    drop(store, "t/news/half.mp4.part")
    store.put(BUCKETS.input, "t/news/deep/er.mp4", b"x")
    assert pair(store, BUCKETS, file, SETTINGS) == []
    assert {seen.file for seen, _ in looked_at(store, BUCKETS, file)} == {"one.wav", "no.mp4"}


def test_a_replaced_file_is_another(store: Store) -> None:
    """Once a file was overwritten, what was known of its old content counts no more."""
    file = analysed(store, "t/news/one.wav", "voice")
    analysed(store, "t/news/anna.mp4", "face")
    drop(store, "t/news/anna.mp4", b"another content")
    assert pair(store, BUCKETS, file, SETTINGS) == []


def test_loose_files_pair_by_stem(store: Store) -> None:
    """Files straight under the tenant meet those of the same stem, and are called like it."""
    voice = analysed(store, "t/hello.wav", "voice")
    analysed(store, "t/hello.mp4", "face")
    analysed(store, "t/other.mp4", "face")
    analysed(store, "t/hello/third.mp4", "face")
    (plan,) = planned(store, voice)
    assert (plan.face.key, plan.output) == ("t/hello.mp4", "hello")
    assert plan.group.output(plan.output, ".mp4") == "t/hello.mp4"


def test_the_options_of_the_job_count(store: Store) -> None:
    """`koubo.toml` decides for its own job; mending it clears its error."""
    voice = analysed(store, "t/news/one.wav", "voice")
    analysed(store, "t/news/anna.mp4", "face")
    options = drop(store, "t/news/koubo.toml", b'loop = "restart"')
    store.put(BUCKETS.output, options.error, b"{}")
    (plan,) = planned(store, voice)
    assert plan.options == Options(loop="restart")
    assert not store.exists(BUCKETS.output, options.error)


@pytest.mark.parametrize(
    "text", [b"lop = 1", b"loop = 1", b"loop", b"model = 'none'", b"# " + b"x" * 100_000]
)
def test_bad_options_stop_the_job(store: Store, text: bytes) -> None:
    """Options that can't be (another key, value or model, or endless) start nothing."""
    voice = analysed(store, "t/news/one.wav", "voice")
    analysed(store, "t/news/anna.mp4", "face")
    drop(store, "t/news/koubo.toml", text)
    with pytest.raises(RejectedInput) as caught:
        pair(store, BUCKETS, voice, SETTINGS)
    assert caught.value.code is Code.BAD_OPTIONS
    assert not list(store.entries(BUCKETS.work, "t/runs"))


def test_equal_content_under_two_names_is_one_run(store: Store) -> None:
    """The same footage twice in a job gives one output, not two of the same."""
    voice = analysed(store, "t/news/one.wav", "voice")
    analysed(store, "t/news/anna.mp4", "face", digest="same")
    analysed(store, "t/news/copy.mp4", "face", digest="same")
    plans = planned(store, voice)
    assert len({plan.run for plan in plans}) == 1
    assert {plan.output for plan in plans} == {"one-anna"}


def test_plans_are_for_people_too(store: Store) -> None:
    """A plan on disk says what goes into a run in words and numbers."""
    voice = analysed(store, "t/news/口播.wav", "voice")
    analysed(store, "t/news/anna.mp4", "face")
    (plan,) = planned(store, voice)
    written = json.loads(store.get(BUCKETS.work, plan.keys.plan))
    assert written["voice"]["key"] == "t/news/口播.wav"
    assert (written["frames"], written["seconds"]) == (100, 4.0)


def test_a_cancelled_face_is_planned_and_stopped(store: Store) -> None:
    """A face of a request that was cancelled before its plan gets one that is cancelled."""
    keys = RequestKeys("t", "r0123456789abcdef0123")
    voice = analysed(store, keys.input("voice.wav").key, "voice")
    for name in ("anna.mp4", "bea.mp4"):
        analysed(store, keys.input(name).key, "face")
    store.put(BUCKETS.work, keys.cancelled("anna.mp4"), b"")
    phases = {
        plan.face.key.rpartition("/")[2]: read_state(store, BUCKETS.work, plan.keys).phase
        for plan in planned(store, voice)
    }
    assert phases == {"anna.mp4": "cancelled", "bea.mp4": "waiting"}
