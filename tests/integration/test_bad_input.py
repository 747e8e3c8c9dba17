"""Bad input beside good jobs, in one running `koubo up`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from demo import sample_face
from functions import reconcile
from functions.errors import Code
from functions.settings import BucketSettings
from functions.storage import Store

from .embedded import Folder, Up, until

Make = Callable[[Path], Path | bytes]
Ffmpeg = Callable[..., Path]

CUT_AT = 0.6


def _cut(path: Path) -> bytes:
    data = path.read_bytes()
    return data[: int(len(data) * CUT_AT)]


@pytest.fixture(scope="session")
def bad_files(
    tmp_path_factory: pytest.TempPathFactory, ffmpeg: Ffmpeg, silence: Path
) -> dict[str, tuple[str, Path | bytes, str]]:
    """What is wrong with them -> name, content and the code that they get."""
    folder = tmp_path_factory.mktemp("bad")
    clip = sample_face.clip(folder / "clip.mp4", 2.0, (320, 240))
    faststart = ffmpeg("-i", clip, "-c", "copy", "-movflags", "+faststart", folder / "fast.mp4")
    bars = ffmpeg("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=2", folder / "b.mp4")
    seldom = _seldom(folder, clip, bars, ffmpeg)
    tone = ("-f", "lavfi", "-i", "sine=frequency=300:sample_rate=8000:duration=40")
    still = ("-f", "lavfi", "-i", "color=size=32x32:rate=1/60:duration=14400")
    late = ("-vf", "setpts=PTS+gte(N\\,25)*72000/TB", "-fps_mode", "vfr", "-live", 1)
    secret = ffmpeg("-f", "lavfi", "-i", "sine=duration=2", folder / "secret.wav")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{secret}\n#EXT-X-ENDLIST\n"
    concat = f"ffconcat version 1.0\nfile '{secret}'\n"
    return {
        "empty": ("empty.mp4", b"", "empty_file"),
        "text": ("text.mp4", b"This is no video.\n" * 100, "not_media"),
        "index cut off": ("moov-last.mp4", _cut(clip), "damaged_media"),
        "pictures cut off": ("moov-first.mp4", _cut(faststart), "damaged_media"),
        "silent": ("silent.wav", silence, "no_sound"),
        "no face": ("bars.mp4", bars, "no_face"),
        "seldom a face": ("seldom.mp4", seldom, "no_face"),
        "40 s of sound": ("long.wav", ffmpeg(*tone, folder / "long.wav"), "too_long"),
        "4 h of video": ("four-hours.mp4", ffmpeg(*still, folder / "4h.mp4"), "too_long"),
        # The times stand in no header: only reading shows them.
        "a gap of 20 h": ("gap.mkv", ffmpeg("-i", clip, *late, folder / "gap.mkv"), "too_long"),
        "playlist": ("playlist.mp4", playlist.encode(), "not_media"),
        "playlist by name": ("playlist.m3u8", playlist.encode(), "not_media"),
        "concat script": ("concat.mp4", concat.encode(), "not_media"),
        "empty with a dash": ("-i.mp4", b"", "empty_file"),
        "wrong key": ("koubo.toml", b'qualitty = "speed"\n', "bad_options"),
        "no TOML": ("koubo.toml", b"quality = \n", "bad_options"),
        "no such model": ("koubo.toml", b'model = "nobody"\n', "bad_options"),
    }


def _seldom(folder: Path, clip: Path, bars: Path, ffmpeg: Ffmpeg) -> Path:
    """A face for 2 of 6 seconds."""
    joined = "[1:v][0:v][1:v]concat=n=3:v=1,format=yuv420p"
    return ffmpeg("-i", clip, "-i", bars, "-filter_complex", joined, folder / "seldom.mp4")


def _check(folder: Folder, job: str, name: str, code: str) -> None:
    """The refusal says what and how, once, and there is nothing else."""
    key = f"default/{job}/{name}"
    error = folder.error(job, name)
    assert error.keys() == {"file", "code", "what", "fix"}
    assert (error["file"], error["code"]) == (key, code)
    assert len(error["what"]) > 10
    assert error["fix"] == Code[code.upper()].value.fix
    assert {path.name for path in folder.output(job).iterdir()} == {f"{name}.error.json"}
    assert len(folder.log("local.handled", key=key)) == 1
    assert len(folder.log("ingest.refused", key=key)) == 1
    assert not folder.log("chain.failed", key=key)


def test_each_is_refused_while_good_jobs_go_on(
    up: Up,
    bad_files: dict[str, tuple[str, Path | bytes, str]],
    short_voice: Path,
    short_face: Path,
) -> None:
    """Every bad file is refused once with a reason; a good job finishes."""
    folder = up.folder
    for index, (name, content, _) in enumerate(bad_files.values()):
        folder.drop(f"bad-{index}", name, content)
    folder.drop("good", "voice.wav", short_voice)
    folder.drop("good", "face.mp4", short_face)
    for index, (name, _, _) in enumerate(bad_files.values()):
        up.wait_for("refused: ", f"default/bad-{index}/{name}", seconds=90)
    up.wait_done("good")
    assert {path.name for path in folder.output("good").iterdir()} == {
        "voice-face.mp4",
        "voice-face.jpg",
        "voice-face.json",
    }
    for index, (name, _, code) in enumerate(bad_files.values()):
        _check(folder, f"bad-{index}", name, code)
    assert not any("bad-" in file for file in _runs(folder))
    assert _scratch(folder) == []


def test_nothing_refused_is_due_again(up: Up) -> None:
    """What was refused is not brought back by whoever looks for lost events."""
    buckets = BucketSettings()
    due = reconcile.due(Store.folder(up.folder.root), buckets)
    assert [event.key for event in due if "/bad-" in event.key] == []


def test_options_are_mended(up: Up, short_voice: Path, short_face: Path) -> None:
    """With a wrong key a job waits and says why; with the key corrected it is made."""
    folder = up.folder
    folder.drop("mended", "koubo.toml", b'label_langauge = "en"\n')
    folder.drop("mended", "voice.wav", short_voice)
    folder.drop("mended", "face.mp4", short_face)
    up.wait_for("refused: ", "default/mended/koubo.toml")
    assert "'label_language'" in folder.error("mended", "koubo.toml")["what"]
    assert "mended" not in _runs(folder)
    folder.drop("mended", "koubo.toml", b'label_language = "en"\n')
    up.wait_done("mended")
    assert {path.suffix for path in folder.output("mended").iterdir()} == {".mp4", ".jpg", ".json"}
    report = json.loads(folder.output("mended", "voice-face.json").read_bytes())
    assert report["label"]["explicit"] == "AI-generated"


NAMES = ("-i.wav", "a b+c%20d%.wav", "口播 稿（一）.wav", "what's [this] & {that}.wav")


def test_any_name_will_do(up: Up, ffmpeg: Ffmpeg, short_voice: Path, tmp_path: Path) -> None:
    """Dashes, spaces, plus, percent, Chinese and brackets in names of files and jobs."""
    folder = up.folder
    picture = sample_face.portrait(tmp_path / "p.png")
    small = ffmpeg("-i", picture, "-vf", "scale=192:192", tmp_path / "small.png")
    voice = ffmpeg("-i", short_voice, "-t", "0.6", tmp_path / "v.wav")
    for name in NAMES:
        folder.drop("-任务 50%+", name, voice.read_bytes() + name.encode())
    folder.drop("-任务 50%+", "脸 +%41.png", small)
    stems = [name.removesuffix(".wav") for name in NAMES]
    for stem in stems:
        up.wait_for("done: ", f"-任务 50%+/{stem}-脸 +%41.mp4")
    assert {path.name for path in folder.output("-任务 50%+").iterdir()} == {
        f"{stem}-脸 +%41{suffix}" for stem in stems for suffix in (".mp4", ".jpg", ".json")
    }


def test_file_is_left_alone_while_it_grows(up: Up, short_voice: Path, short_face: Path) -> None:
    """A file that is copied in slowly under its own name is not looked at before it is whole."""
    folder = up.folder
    folder.drop("slow", "voice.wav", short_voice)
    data, to = short_face.read_bytes(), folder.root / "koubo-input/default/slow/face.mp4"
    with to.open("wb", buffering=0) as file:
        for start in range(0, len(data), len(data) // 8):
            file.write(data[start : start + len(data) // 8])
            until(lambda: False, 0.1)
    up.wait_done("slow")
    assert not folder.log("ingest.refused", key="default/slow/face.mp4")


def _runs(folder: Folder) -> list[str]:
    plans = folder.root.glob("koubo-work/default/runs/*/plan.json")
    return [json.loads(plan.read_bytes())["group"]["name"] for plan in plans]


def _scratch(folder: Folder) -> list[str]:
    own = folder.root / ".koubo"
    files = [path for path in (own / "scratch").rglob("*") if path.is_file()]
    return [str(path) for path in (*files, *own.glob("inputs/held-*"))]
