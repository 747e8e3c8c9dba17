import numpy as np
import pytest

from functions.errors import RetryableError
from functions.infer.readers import StoredFootage, StoredVoice
from functions.layout import FootageKeys, VoiceKeys
from functions.storage import Store

WORK = "work"
MODEL = ("some", "1")


@pytest.fixture(params=["memory", "folder"])
def store(request, tmp_path):
    return Store.memory() if request.param == "memory" else Store.folder(tmp_path / "store")


@pytest.mark.parametrize(("first", "last"), [(0, 160), (1000, 1001), (15990, 16050), (-50, 20)])
def test_a_slice_of_the_voice(store, recording, first, last):
    """Any slice is what was recorded; nothing comes from before or after the recording."""
    voice = recording(1.0)
    opened = StoredVoice.open(store, WORK, voice.store(store, WORK), 16000)
    expected = voice.sound[max(first, 0) : max(last, 0)]
    assert opened.count == 16000
    assert opened.samples(first, last) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("first", "last"), [(20000, 30000), (-30, -2), (5, 5)])
def test_a_slice_outside_the_voice_is_empty(store, recording, first, last):
    """Before the recording and after it there are no samples."""
    opened = StoredVoice.open(store, WORK, recording(1.0).store(store, WORK), 16000)
    assert opened.samples(first, last).shape == (0,)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"x" * 5000])
def test_samples_that_are_no_wav_come_again(store, recording, content):
    """A damaged object is another try's business, not silence."""
    keys = recording(0.1).store(store, WORK)
    store.put(WORK, keys.samples, content)
    with pytest.raises(RetryableError, match="no WAV"):
        StoredVoice.open(store, WORK, keys, 16000)


def test_another_rate_is_not_taken_for_ours(store, recording):
    """A model that hears another rate doesn't get sound at the wrong speed."""
    keys = recording(0.1).store(store, WORK)
    with pytest.raises(RetryableError, match="16000"):
        StoredVoice.open(store, WORK, keys, 22050)


def test_windows_come_from_any_place_in_a_chunk(store, studio, tmp_path):
    """Frames are found by number, side by side or apart, in later chunks too, bit for bit."""
    made = studio([60, 4])
    reader = StoredFootage.open(store, WORK, made.store(store, WORK, tmp_path), MODEL)
    for chunk, frames in [(0, [0, 1]), (0, [3, 24, 26]), (0, [57, 58, 59]), (1, [61, 63])]:
        read = list(reader.windows(reader.footage.chunks[chunk], frames))
        expected = list(made.windows(made.footage.chunks[chunk], frames))
        assert len(read) == len(frames)
        for one, other in zip(read, expected, strict=True):
            assert np.array_equal(one.packed(), other.packed())


def test_a_track_comes_back(store, studio, tmp_path):
    """Landmarks, confidences and origins are as they were stored."""
    made = studio([3, 4], faceless=[4])
    reader = StoredFootage.open(store, WORK, made.store(store, WORK, tmp_path), MODEL)
    track = reader.track(reader.footage.chunks[1])
    assert np.array_equal(track.landmarks, made.tracks[1].landmarks)
    assert track.confidence.tolist() == [1, 0, 1, 1]


def test_what_was_not_analysed_is_not_found(store):
    """Callers decide what a missing analysis means."""
    with pytest.raises(FileNotFoundError):
        StoredVoice.open(store, WORK, VoiceKeys("default", "none"), 16000)
    with pytest.raises(FileNotFoundError):
        StoredFootage.open(store, WORK, FootageKeys("default", "none"), MODEL)


def test_what_a_model_keeps_is_made_once(store, studio, tmp_path):
    """The first to ask makes it; later ones, of this model, read it beside the windows."""
    keys = studio([3]).store(store, WORK, tmp_path)
    reader = StoredFootage.open(store, WORK, keys, MODEL)
    asked = []

    def make():
        asked.append(1)
        return b"latents"

    assert [reader.kept("0000.npz", make) for _ in range(3)] == [b"latents"] * 3
    assert len(asked) == 1
    assert store.get(WORK, keys.prepared("some", "1", "0000.npz")) == b"latents"
    other = StoredFootage.open(store, WORK, keys, ("some", "2"))
    assert other.kept("0000.npz", lambda: b"others") == b"others"


def test_of_two_that_make_it_the_first_is_kept(store, studio, tmp_path):
    """Who comes second goes on with what is stored, so that all runs use the same."""
    keys = studio([3]).store(store, WORK, tmp_path)
    reader = StoredFootage.open(store, WORK, keys, MODEL)

    def make():
        store.put(WORK, keys.prepared("some", "1", "x"), b"first")
        return b"second"

    assert reader.kept("x", make) == b"first"
