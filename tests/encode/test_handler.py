import dataclasses
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest

from functions import documents, runs
from functions.analysis import Upload, Voice, content_digest
from functions.encode.handler import Encode
from functions.encode.report import Report
from functions.encode.settings import EncodeSettings, LabelSettings
from functions.errors import RejectedInput
from functions.events import ObjectCreated
from functions.input_cache import InputCache
from functions.input_keys import InputFile, parse_input
from functions.layout import FootageKeys, VoiceKeys
from functions.options import Options
from functions.picture import Picture
from functions.plans import Model, Plan, make_plan, source_frames
from functions.progress import silent
from functions.runs import Done, Superseded
from functions.settings import BucketSettings
from functions.storage import Store

from .clips import Clip, write_patches_file

BUCKETS = BucketSettings()
VOICE_SECONDS = 7.3


@dataclass(frozen=True)
class Job:
    """A planned run whose segments are all inferred."""

    encode: Encode
    plan: Plan

    @property
    def store(self) -> Store:
        return self.encode.store

    def names(self, bucket: str, prefix: str = "") -> set[str]:
        return {entry.key.rpartition("/")[2] for entry in self.store.entries(bucket, prefix)}

    def patches(self, index: int) -> ObjectCreated:
        return ObjectCreated(BUCKETS.work, self.plan.keys.patches(index))

    def part(self, index: int) -> ObjectCreated:
        return ObjectCreated(BUCKETS.work, self.plan.keys.part(index))

    def run(self) -> None:
        for index in range(self.plan.segments):
            self.encode.handle(self.patches(index))
        self.encode.handle(self.part(0))

    def video(self, to: Path) -> Path:
        self.store.download(BUCKETS.output, self.plan.group.output(self.plan.output, ".mp4"), to)
        return to

    def report(self) -> Report:
        key = self.plan.group.output(self.plan.output, ".json")
        return documents.load(Report, self.store.get(BUCKETS.output, key))


def prepare(root: Path, clip: Clip, sound: Path, options: Options, labels: LabelSettings) -> Job:
    store = Store.folder(root / "store")
    scratch = root / "scratch"
    scratch.mkdir()
    face_file, voice_file = InputFile("t", "job", "face.mp4"), InputFile("t", "job", "voice.wav")
    store.put(BUCKETS.input, face_file.key, clip.path)
    store.put(BUCKETS.input, voice_file.key, b"the voice")
    sha256 = store.download(BUCKETS.input, face_file.key, root / "copy")
    footage = dataclasses.replace(clip.footage, sha256=sha256, digest=content_digest(sha256))
    voice = Voice(content_digest("1" * 64), "1" * 64, VOICE_SECONDS, 0.5, "wav")
    plan = make_plan(
        voice_file.group,
        (voice_file, voice),
        (face_file, footage),
        Model("viseme", "1"),
        options,
        segment_seconds=2.5,
        portrait_rate=25,
        output="voice-face",
        made_at=1000.0,
    )
    footage_keys = FootageKeys("t", footage.digest)
    store.put(BUCKETS.work, footage_keys.document, documents.dump(footage))
    store.put(BUCKETS.work, footage_keys.frames, clip.frame_map.dump())
    voice_keys = VoiceKeys("t", voice.digest)
    store.put(BUCKETS.work, voice_keys.document, documents.dump(voice))
    store.put(BUCKETS.work, voice_keys.sound, sound)
    runs.start(store, BUCKETS.work, plan)
    for index in range(plan.segments):
        patches = write_patches_file(root, footage, plan.segment(index))
        store.put(BUCKETS.work, plan.keys.patches(index), patches)
    encode = Encode(
        store=store,
        buckets=BUCKETS,
        cache=InputCache(root / "cache", 1 << 30),
        settings=EncodeSettings(seconds=120),
        labels=labels,
        scratch=scratch,
        progress=silent,
    )
    return Job(encode, plan)


@pytest.fixture
def prepared(clips, voice: Path, tmp_path: Path) -> Callable[..., Job]:
    def make(
        kind: str = "cfr", options: Options | None = None, labels: LabelSettings | None = None
    ) -> Job:
        return prepare(
            tmp_path, clips[kind], voice, options or Options(), labels or LabelSettings()
        )

    return make


def decode(path: Path) -> list[Picture]:
    with av.open(str(path)) as file:
        return [Picture.unpack(frame.to_ndarray()) for frame in file.decode(video=0)]


def test_patches_become_a_video(prepared, tmp_path: Path) -> None:
    """From patches to video, poster and report; what only the making needed is gone."""
    job = prepared()
    job.run()
    assert job.names(BUCKETS.output) == {"voice-face.mp4", "voice-face.jpg", "voice-face.json"}
    left = job.names(BUCKETS.work, job.plan.keys.prefix)
    segments = {f"{index:04d}.segment.json" for index in range(3)}
    assert left == {"plan.json", "done.json", *segments}
    done = documents.load(Done, job.store.get(BUCKETS.work, job.plan.keys.done))
    assert (done.frames, done.video) == (182, "t/job/voice-face.mp4")
    assert len(decode(job.video(tmp_path / "out.mp4"))) == round(VOICE_SECONDS * 25) == 182
    assert list(job.encode.scratch.iterdir()) == []


@pytest.mark.parametrize("kind", ["ntsc", "rotated"])
def test_video_shows_the_footage_forth_and_back(prepared, clips, kind: str, tmp_path: Path) -> None:
    """Away from mask and label, output frame k looks like the source frame that its time names."""
    job = prepared(kind)
    job.run()
    shown = decode(job.video(tmp_path / "out.mp4"))
    assert len(shown) == job.plan.frames == round(VOICE_SECONDS * clips[kind].footage.rate)
    order = list(source_frames(range(len(shown)), clips[kind].footage.frames, "pingpong"))
    # The lower right of the picture has neither patch nor label.
    truths = np.stack([Picture.unpack(f).y[60:, 60:].astype(np.int16) for f in clips[kind].frames])
    for index in range(0, len(shown), 7):
        picture = shown[index].y[60:, 60:].astype(np.int16)
        error = np.abs(truths - picture).mean(axis=(1, 2))
        # Some frames of the test pattern hardly differ in this corner.
        assert error[order[index]] <= error.min() + 0.5, index
        assert error[order[index]] < np.median(error) / 2


def test_portrait_becomes_a_video(prepared, clips, tmp_path: Path) -> None:
    """A portrait lasts as long as the voice, at the rate that the plan gives it."""
    job = prepared("portrait")
    job.run()
    shown = decode(job.video(tmp_path / "out.mp4"))
    assert len(shown) == 182
    truth = Picture.unpack(clips["portrait"].frames[0])
    for picture in (shown[0], shown[181]):
        error = picture.y[60:, 80:].astype(int) - truth.y[60:, 80:]
        assert np.abs(error).mean() < 2
    assert job.report().face.kind == "portrait"


def test_label_is_shown_for_its_seconds(prepared, tmp_path: Path) -> None:
    """White text stands in the corner for the first 3 seconds, and not after them."""
    job = prepared(options=Options(label_language="en"))
    job.run()
    shown = decode(job.video(tmp_path / "out.mp4"))

    # Footage of 100 frames plays forth and back: frames k and 198 - k show the same.
    def difference(index: int) -> float:
        again = shown[198 - index].y[2:16, 110:156].astype(int)
        return float(np.abs(shown[index].y[2:16, 110:156] - again).mean())

    assert min(difference(index) for index in range(20, 75)) > 10
    assert max(difference(index) for index in range(75, 99)) < 10
    assert job.report().label.explicit == "AI-generated"


def test_events_in_any_order_and_often_make_one_video(prepared, tmp_path: Path) -> None:
    """Ten deliveries of every event, shuffled, end as one quiet run does."""
    job = prepared()
    events = [job.patches(index) for index in range(3)] + [job.part(index) for index in range(3)]
    events *= 10
    random.Random(5).shuffle(events)
    for event in [*events, job.part(1)]:
        job.encode.handle(event)
    first = job.store.head(BUCKETS.output, "t/job/voice-face.mp4")
    for event in events:
        job.encode.handle(event)
    assert job.store.head(BUCKETS.output, "t/job/voice-face.mp4") == first
    assert len(job.names(BUCKETS.output)) == 3


def test_run_that_was_killed_while_tidying_is_tidied(prepared) -> None:
    """Parts and patches that were left behind go with the next event."""
    job = prepared()
    job.run()
    job.store.put(BUCKETS.work, job.plan.keys.part(1), b"left")
    job.store.put(BUCKETS.work, job.plan.keys.part_report(1), b"left")
    job.encode.handle(job.part(1))
    assert not any(".part." in name for name in job.names(BUCKETS.work, job.plan.keys.prefix))


def test_early_part_waits_for_the_others(prepared) -> None:
    """A part makes no video while others are missing."""
    job = prepared()
    job.encode.handle(job.patches(2))
    job.encode.handle(job.part(2))
    assert job.names(BUCKETS.output) == set()
    assert {"0002.part.mp4", "0002.part.json"} <= job.names(BUCKETS.work, job.plan.keys.prefix)


@pytest.mark.parametrize("end", ["failed", "cancelled", "superseded"])
def test_ended_run_is_left_alone(prepared, end: str) -> None:
    """Nothing more is made for a run that failed or was cancelled."""
    job = prepared()
    job.store.put(BUCKETS.work, getattr(job.plan.keys, end), b"{}")
    job.run()
    assert job.names(BUCKETS.output) == set()
    assert "0000.part.mp4" not in job.names(BUCKETS.work, job.plan.keys.prefix)


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


def test_other_objects_are_ignored(prepared) -> None:
    """Objects of other buckets, other kinds and runs that are gone fire nothing."""
    job = prepared()
    before = job.names(BUCKETS.work)
    for bucket, key in (
        (BUCKETS.input, job.plan.keys.patches(0)),
        (BUCKETS.work, job.plan.keys.segment(0)),
        (BUCKETS.work, job.plan.keys.plan),
        (BUCKETS.work, "t/runs/gone/0000.patches.zip"),
    ):
        job.encode.handle(ObjectCreated(bucket, key))
    assert job.names(BUCKETS.work) == before
