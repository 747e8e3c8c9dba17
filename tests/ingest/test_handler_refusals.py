from collections.abc import Callable
from pathlib import Path

import pytest

from functions import documents
from functions.analysis import Voice
from functions.errors import RetryableError
from functions.events import ObjectCreated
from functions.ingest.handler import Ingest
from functions.ingest.settings import IngestSettings
from functions.reconcile import due

from .rig import BUCKETS, Rig

Ffmpeg = Callable[..., Path]

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
