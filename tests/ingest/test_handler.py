import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from functions import documents, runs
from functions.analysis import Footage, Voice
from functions.errors import RetryableError
from functions.events import ObjectCreated
from functions.ingest.faces import FaceFinder
from functions.ingest.handler import Ingest
from functions.ingest.settings import IngestSettings
from functions.input_cache import InputCache
from functions.layout import RunKeys, runs_prefix
from functions.plans import Plan, load_plan
from functions.progress import silent
from functions.reconcile import due
from functions.runs import Failure
from functions.settings import BucketSettings
from functions.storage import Store

BUCKETS = BucketSettings()
Ffmpeg = Callable[..., Path]


@pytest.fixture(scope="module")
def voice(ffmpeg: Ffmpeg, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of noise."""
    noise = ("-f", "lavfi", "-i", "anoisesrc=duration=2:color=pink:seed=3")
    return ffmpeg(*noise, tmp_path_factory.mktemp("voice") / "voice.wav")


@dataclass
class Rig:
    """Ingest on a folder, and how much it has analysed."""

    store: Store
    ingest: Ingest
    scratch: Path

    def drop(self, key: str, content: Path | bytes) -> None:
        """Somebody uploads a file, and its event comes."""
        self.store.put(BUCKETS.input, key, content)
        self.handle(key)

    def handle(self, key: str) -> None:
        self.ingest.handle(ObjectCreated(BUCKETS.input, key))

    def work(self) -> set[str]:
        return {entry.key for entry in self.store.entries(BUCKETS.work, "")}

    def runs(self) -> list[str]:
        return self.store.folders(BUCKETS.work, runs_prefix("t").rstrip("/"))

    def error(self, key: str) -> str | None:
        """The code at the output."""
        try:
            written = json.loads(self.store.get(BUCKETS.output, f"{key}.error.json"))
        except FileNotFoundError:
            return None
        assert written["file"] == key
        assert written["what"]
        assert written["fix"]
        return str(written["code"])

    @contextmanager
    def decoding_nothing(self) -> Iterator[None]:
        """Nothing is analysed meanwhile: there is nowhere to write an analysis to."""
        shutil.rmtree(self.scratch)
        yield
        self.scratch.mkdir()


@pytest.fixture
def rig(tmp_path: Path, finder: FaceFinder) -> Rig:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    store = Store.folder(tmp_path / "data")
    ingest = Ingest(
        store=store,
        buckets=BUCKETS,
        cache=InputCache(tmp_path / "cache", 1 << 30),
        finder=finder,
        settings=IngestSettings(segment_seconds=1.0, max_seconds=30),
        scratch=scratch,
        progress=silent,
    )
    return Rig(store, ingest, scratch)


def test_a_voice_and_a_face_become_a_run(rig: Rig, voice: Path, face_clip: Path) -> None:
    """Dropped one after the other, they are analysed, and the second one starts the run."""
    rig.drop("t/news/voice.wav", voice)
    assert rig.runs() == []
    rig.drop("t/news/anna.mp4", face_clip)
    (run,) = rig.runs()
    plan = load_plan(rig.store, BUCKETS.work, RunKeys("t", run))
    assert (plan.frames, plan.segments, plan.rate) == (50, 2, 25)
    assert plan.output == "voice-anna"
    work = rig.work()
    assert {plan.keys.plan, plan.keys.segment(0), plan.keys.segment(1)} <= work
    for prefix, names in (
        (f"t/voice/{plan.voice.digest}", {"voice.json", "voice.wav", "voice.m4a"}),
        (f"t/footage/{plan.face.digest}", {"footage.json", "frames.npz", "poster.jpg"}),
    ):
        assert {f"{prefix}/{name}" for name in names} <= work
    key = f"t/footage/{plan.face.digest}/footage.json"
    footage = documents.load(Footage, rig.store.get(BUCKETS.work, key))
    for chunk in footage.chunks:
        for suffix in ("mkv", "track.npz"):
            name = f"t/footage/{plan.face.digest}/windows/{chunk.index:04d}.{suffix}"
            assert name in work
    assert list(rig.scratch.iterdir()) == []


def test_any_order_and_any_number_of_events(rig: Rig, voice: Path, face_portrait: Path) -> None:
    """Ten times each event, in whatever order, is one run and one analysis."""
    rig.store.put(BUCKETS.input, "t/news/anna.png", face_portrait)
    rig.store.put(BUCKETS.input, "t/news/voice.wav", voice)
    for key in ("t/news/voice.wav", "t/news/anna.png"):
        rig.handle(key)
    work = rig.work()
    assert len(rig.runs()) == 1
    with rig.decoding_nothing():
        for key in ["t/news/anna.png", "t/news/voice.wav"] * 10:
            rig.handle(key)
    assert rig.work() == work


def test_the_same_footage_is_analysed_once(rig: Rig, voice: Path, face_clip: Path) -> None:
    """The same file under another name, in another job or dropped again decodes nothing."""
    rig.drop("t/news/anna.mp4", face_clip)
    rig.drop("t/news/voice.wav", voice)
    with rig.decoding_nothing():
        rig.drop("t/sports/presenter.mp4", face_clip)
        rig.drop("t/sports/voice.wav", voice)
        rig.drop("t/news/anna.mp4", face_clip)
    assert len(rig.runs()) == 2


def test_another_tenant_shares_nothing(rig: Rig, voice: Path) -> None:
    """Content that one tenant has is analysed again for another: nobody learns who has what."""
    rig.drop("t/news/voice.wav", voice)
    rig.drop("u/news/voice.wav", voice)
    assert len([key for key in rig.work() if key.endswith("voice.json")]) == 2


@pytest.mark.parametrize("number", [1, 3, 5, 7])
def test_a_killed_analysis_is_finished(rig: Rig, face_clip: Path, number: int) -> None:
    """Whatever had been written when it was killed, the next event ends with the same objects."""
    rig.drop("t/news/anna.mp4", face_clip)
    whole = {key: rig.store.get(BUCKETS.work, key) for key in rig.work()}
    # The document and the record come last.
    order = sorted(whole, key=lambda key: ("uploads" in key, "footage.json" in key, key))
    for key in order[number:]:
        rig.store.delete(BUCKETS.work, key)
    rig.handle("t/news/anna.mp4")
    again = {key: rig.store.get(BUCKETS.work, key) for key in rig.work()}
    assert again.keys() == whole.keys()
    for key, content in whole.items():
        if not key.endswith(".json"):  # those carry the time that was spent
            assert again[key] == content


BAD: dict[str, tuple[bytes, str]] = {
    "empty.mp4": (b"", "empty_file"),
    "text.mp4": (b"hello " * 1000, "not_media"),
    "list.mp4": (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "not_media"),
    "concat.wav": (b"ffconcat version 1.0\nfile voice.wav\n", "not_media"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_answered_once(rig: Rig, name: str) -> None:
    """What is no media gets a code and a way out at the output, once, and no run."""
    content, code = BAD[name]
    rig.drop(f"t/news/{name}", content)
    assert rig.error(f"t/news/{name}") == code
    assert rig.runs() == []
    assert list(rig.scratch.iterdir()) == []
    rig.store.delete(BUCKETS.output, f"t/news/{name}.error.json")
    rig.handle(f"t/news/{name}")
    assert rig.error(f"t/news/{name}") is None, "the same upload is not looked at again"
    assert due(rig.store, BUCKETS) == []


def test_bad_media_are_answered(rig: Rig, ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """Silence, footage without a face, and what is too long, are refused by name."""
    silence = ffmpeg("-f", "lavfi", "-i", "anullsrc=duration=1", tmp_path / "s.wav")
    nobody = ffmpeg("-f", "lavfi", "-i", "testsrc2=duration=0.4", tmp_path / "n.mp4")
    long = ffmpeg("-f", "lavfi", "-i", "anoisesrc=duration=40", tmp_path / "l.wav")
    for path, code in ((silence, "no_sound"), (nobody, "no_face"), (long, "too_long")):
        rig.drop(f"t/news/{path.name}", path)
        assert rig.error(f"t/news/{path.name}") == code
    assert rig.runs() == []


def test_a_mended_file_clears_its_error(rig: Rig, voice: Path) -> None:
    """A good file under the name of a refused one takes the refusal away."""
    rig.drop("t/news/voice.wav", b"no sound at all")
    assert rig.error("t/news/voice.wav") == "not_media"
    rig.drop("t/news/voice.wav", voice)
    assert rig.error("t/news/voice.wav") is None


def test_bad_options_wait_for_better_ones(rig: Rig, voice: Path, face_portrait: Path) -> None:
    """A wrong `koubo.toml` holds its job back with a reason; mended, it starts the run."""
    rig.drop("t/news/koubo.toml", b'qualty = "speed"')
    assert rig.error("t/news/koubo.toml") == "bad_options"
    rig.drop("t/news/voice.wav", voice)
    rig.drop("t/news/anna.png", face_portrait)
    assert rig.runs() == []
    rig.drop("t/news/koubo.toml", b'quality = "speed"')
    assert rig.error("t/news/koubo.toml") is None
    assert len(rig.runs()) == 1


def test_files_at_no_place_are_answered(rig: Rig) -> None:
    """A file deeper than a job's folder gets told where files belong."""
    rig.drop("t/news/day/one/voice.wav", b"x")
    assert rig.error("t/news/day/one/voice.wav") == "bad_key"


def test_what_is_none_of_its_business(rig: Rig, voice: Path) -> None:
    """Unfinished files, other buckets and files that are gone again do nothing."""
    rig.drop("t/news/.voice.wav", voice)
    rig.drop("t/news/voice.wav.part", voice)
    rig.handle("t/news/gone.wav")
    rig.ingest.handle(ObjectCreated(BUCKETS.work, "t/news/voice.wav"))
    assert rig.work() == set()


def test_a_file_too_large_is_refused_before_it_is_copied(rig: Rig) -> None:
    """The limit on bytes holds by what the store says."""
    small = Ingest(
        **{**vars(rig.ingest), "settings": IngestSettings(max_bytes=10)}  # type: ignore[arg-type]
    )
    rig.store.put(BUCKETS.input, "t/news/big.mp4", b"x" * 11)
    small.handle(ObjectCreated(BUCKETS.input, "t/news/big.mp4"))
    assert rig.error("t/news/big.mp4") == "too_large"
    assert not rig.ingest.cache.root.exists()


def test_a_failing_disk_is_worth_a_retry(rig: Rig, voice: Path) -> None:
    """Where nothing can be written the event comes again, and nobody is told a falsehood."""
    rig.store.put(BUCKETS.input, "t/news/voice.wav", voice)
    assert rig.store.root is not None
    blocked = rig.store.root / BUCKETS.work
    blocked.write_bytes(b"in the way")
    with pytest.raises(RetryableError):
        rig.handle("t/news/voice.wav")
    assert rig.error("t/news/voice.wav") is None
    blocked.unlink()
    rig.handle("t/news/voice.wav")
    (key,) = [key for key in rig.work() if key.endswith("voice.json")]
    assert documents.load(Voice, rig.store.get(BUCKETS.work, key)).seconds == 2.0


def finish(rig: Rig, end: str) -> Plan:
    """Ends the only run as the other functions would."""
    plan = load_plan(rig.store, BUCKETS.work, RunKeys("t", rig.runs()[0]))
    rig.store.put(BUCKETS.output, plan.group.output(plan.output, ".mp4"), b"video")
    failure = Failure(plan.run, "gave_up", "It crashed.", "Upload it again.", ())
    rig.store.put(BUCKETS.work, getattr(plan.keys, end), documents.dump(failure))
    return plan


def test_a_failed_run_is_due_again_when_its_file_comes_again(
    rig: Rig, voice: Path, face_portrait: Path
) -> None:
    """What the error document advises works: upload the file again."""
    rig.drop("t/job/voice.wav", voice)
    rig.drop("t/job/face.png", face_portrait)
    plan = finish(rig, "failed")
    rig.handle("t/job/voice.wav")
    assert runs.read_state(rig.store, BUCKETS.work, plan.keys).phase == "failed"
    before = rig.store.head(BUCKETS.work, plan.keys.segment(0)).etag
    with rig.decoding_nothing():
        rig.drop("t/job/voice.wav", voice)
    assert runs.read_state(rig.store, BUCKETS.work, plan.keys).phase == "waiting"
    assert rig.store.head(BUCKETS.work, plan.keys.segment(0)).etag != before


def test_a_video_that_was_taken_away_is_made_again(
    rig: Rig, voice: Path, face_portrait: Path
) -> None:
    """Dropping the files again brings it back; as long as it is there, nothing is due."""
    rig.drop("t/job/voice.wav", voice)
    rig.drop("t/job/face.png", face_portrait)
    plan = finish(rig, "done")
    rig.drop("t/job/voice.wav", voice)
    assert runs.read_state(rig.store, BUCKETS.work, plan.keys).phase == "done"
    rig.store.delete(BUCKETS.output, plan.group.output(plan.output, ".mp4"))
    rig.drop("t/job/voice.wav", voice)
    assert runs.read_state(rig.store, BUCKETS.work, plan.keys).phase == "waiting"


def test_an_analysis_that_was_taken_away_is_made_again(rig: Rig, voice: Path) -> None:
    """An operator may delete analyses to make room; the next event brings them back."""
    rig.drop("t/job/voice.wav", voice)
    document = next(key for key in rig.work() if key.endswith("voice.json"))
    rig.store.delete(BUCKETS.work, document)
    rig.handle("t/job/voice.wav")
    assert document in rig.work()


def test_another_face_is_another_analysis(rig: Rig, voice: Path, face_portrait: Path) -> None:
    """`face` in the options decides who is followed, also when they come last; each way is kept."""
    rig.drop("t/job/voice.wav", voice)
    rig.drop("t/job/face.png", face_portrait)
    rig.drop("t/job/koubo.toml", b'face = "left"')
    digests = {
        runs.load_plan(rig.store, BUCKETS.work, RunKeys("t", run)).face.digest for run in rig.runs()
    }
    assert len(digests) == 2
    assert sum(digest.endswith("-left") for digest in digests) == 1
    rig.drop("t/later/koubo.toml", b'face = "left"')
    with rig.decoding_nothing():
        rig.drop("t/later/face.png", face_portrait)
        rig.drop("t/later/voice.wav", voice)
    assert len(rig.runs()) == 3
