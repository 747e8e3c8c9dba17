from pathlib import Path

import pytest

from functions import documents, runs
from functions.analysis import Footage
from functions.layout import RunKeys
from functions.plans import Plan, load_plan
from functions.runs import Failure

from .rig import BUCKETS, Rig


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
        for suffix in ("avi", "track.npz"):
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
