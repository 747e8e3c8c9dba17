"""The command `koubo`, started as scripts start it: run, status, reconcile, up."""

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import av
import pytest

from functions.ingest.face_models import FaceModels

from .embedded import Folder, Up, koubo, until

FRAMES = 75  # 3 s of voice at 25 frames a second


@pytest.fixture(scope="module")
def batch(
    tmp_path_factory: pytest.TempPathFactory,
    face_models: FaceModels,
    short_voice: Path,
    short_face: Path,
    face_portrait: Path,
) -> tuple[Path, list[str]]:
    """One voice with a video and a portrait: the folder of the outputs, and what was said."""
    out = tmp_path_factory.mktemp("batch")
    data = tmp_path_factory.mktemp("batch-data")
    done = koubo("run", short_voice, short_face, face_portrait, "-o", out, "--data", data)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return out, done.stdout.splitlines()


def test_one_voice_and_two_faces(batch: tuple[Path, list[str]]) -> None:
    """Each face gets its video, poster and report, and their paths are printed, one a line."""
    out, said = batch
    names = [
        f"{stem}{suffix}" for stem in ("face", "portrait") for suffix in (".mp4", ".jpg", ".json")
    ]
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    assert sorted(said[-6:]) == sorted(str(out / name) for name in names)


def test_plain_lines_where_there_is_no_terminal(batch: tuple[Path, list[str]]) -> None:
    """Into a pipe go whole lines only: no colours, no bars that draw over themselves."""
    _, said = batch
    assert not any(control in line for line in said for control in "\x1b\r\b")
    assert all(line.startswith("frames: ") for line in said[:-6])


def test_videos_play(batch: tuple[Path, list[str]]) -> None:
    """Both videos have every frame of the voice's time, H.264 4:2:0, and the sound as AAC."""
    out, _ = batch
    for name, size in (("face", (320, 240)), ("portrait", (512, 512))):
        with av.open(str(out / f"{name}.mp4")) as video:
            picture, sound = video.streams.video[0], video.streams.audio[0]
            assert (picture.codec_context.name, picture.codec_context.pix_fmt) == (
                "h264",
                "yuv420p",
            )
            assert (picture.width, picture.height) == size
            assert sound.codec_context.name == "aac"
            assert sum(1 for _ in video.decode(picture)) == FRAMES
        with av.open(str(out / f"{name}.jpg")) as poster:
            frame = next(poster.decode(video=0))
            assert (frame.width, frame.height) == size


def test_report_says_what_was_made(
    batch: tuple[Path, list[str]], short_voice: Path, short_face: Path
) -> None:
    """Inputs with digests, model, licence, backend, times of each stage, frames and versions."""
    out, _ = batch
    report = json.loads((out / "face.json").read_bytes())
    video = (out / "face.mp4").read_bytes()
    assert report["video"]["sha256"] == sha256(video).hexdigest()
    assert report["video"]["bytes"] == len(video)
    assert (report["video"]["frames"], report["video"]["rate"]) == (FRAMES, "25")
    assert report["voice"]["sha256"] == sha256(short_voice.read_bytes()).hexdigest()
    assert report["face"]["sha256"] == sha256(short_face.read_bytes()).hexdigest()
    assert (report["face"]["kind"], report["face"]["frames"]) == ("video", 50)
    assert report["face"]["frames_with_face"] == 50
    assert report["model"] == {"name": "viseme", "version": "1"}
    assert report["licence"] == "Apache-2.0"
    assert report["label"]["explicit"] == "AI生成"
    assert json.loads(report["label"]["implicit"])["Label"] == "1"
    assert set(report["stages"]) == {"ingest", "infer", "encode", "assemble"}
    assert all(stage["seconds"] > 0 for stage in report["stages"].values())
    assert {"koubo", "ffmpeg", "av", "onnxruntime"} <= set(report["versions"])
    segments = report["segments"]
    assert [segment["first"] for segment in segments] == [0, 25, 50]
    assert {segment["served"]["backend"] for segment in segments} == {
        "onnxruntime/CPUExecutionProvider"
    }


def test_refused_input_ends_with_3(tmp_path: Path, silence: Path, short_face: Path) -> None:
    """A silent voice: exit code 3, a reason and a remedy in words, and no output."""
    done = koubo("run", silence, short_face, "-o", tmp_path / "out.mp4", "--data", tmp_path / "d")
    assert done.returncode == 3
    said = [line for line in done.stdout.splitlines() if line.startswith(f"{silence}: ")]
    assert len(said) == 1
    assert "microphone" in said[0]
    assert not list(tmp_path.glob("out*"))


def test_one_bad_face_does_not_keep_the_other(
    tmp_path: Path, short_voice: Path, face_portrait: Path
) -> None:
    """Of two faces the good one gets its video though the other is refused; the code is 3."""
    bad = tmp_path / "bad [1].mp4"
    bad.write_bytes(b"no video at all")
    out = tmp_path / "out"
    done = koubo("run", short_voice, bad, face_portrait, "-o", out, "--data", tmp_path / "d")
    assert done.returncode == 3
    assert f"{bad}: " in done.stdout
    assert sorted(path.suffix for path in out.iterdir()) == [".jpg", ".json", ".mp4"]


def test_wrong_options_end_with_3(tmp_path: Path, short_voice: Path, short_face: Path) -> None:
    """A koubo.toml with a wrong key is refused before any work, with the nearest right key."""
    options = tmp_path / "koubo.toml"
    options.write_text('qualty = "speed"\n')
    done = koubo("run", short_voice, short_face, "--options", options, "-o", tmp_path / "o.mp4")
    assert done.returncode == 3
    assert "'quality'" in done.stderr
    assert not (tmp_path / "o.mp4").exists()


def test_missing_file_is_a_usage_error(tmp_path: Path, short_voice: Path) -> None:
    """A file that isn't there ends with 2, as command lines do."""
    assert koubo("run", short_voice, tmp_path / "none.mp4").returncode == 2


def test_reconcile_finishes_what_was_dropped_while_nothing_ran(
    tmp_path: Path, short_voice: Path, face_portrait: Path, ffmpeg: Callable[..., Path]
) -> None:
    """Dropped with nobody there: status says so, reconcile makes it and ends, status says done."""
    folder = Folder(tmp_path / "data")
    folder.drop("job", "voice.wav", short_voice)
    folder.drop(
        "job", "face.png", ffmpeg("-i", face_portrait, "-vf", "scale=256:256", tmp_path / "f.png")
    )
    assert _status(folder) == [
        {"key": "default/job/face.png", "waits_for": "its analysis"},
        {"key": "default/job/voice.wav", "waits_for": "its analysis"},
    ]
    done = koubo("reconcile", "--data", folder.root)
    assert done.returncode == 0, done.stderr
    [line] = _status(folder)
    assert (line["phase"], line["segments"]) == ("done", 3)
    assert line["output"] == "default/job/voice-face.mp4"
    assert folder.output("job", "voice-face.mp4").is_file()
    again = koubo("reconcile", "--data", folder.root)
    assert (again.returncode, again.stdout) == (0, "")


def test_status_names_what_is_missing(tmp_path: Path, up: Up, short_voice: Path) -> None:
    """A voice without a face waits for a face."""
    up.folder.drop("lonely", "voice.wav", short_voice)
    key = "default/lonely/voice.wav"
    assert until(lambda: {"key": key, "waits_for": "a face"} in _status(up.folder), 30)


def test_two_on_one_folder(up: Up) -> None:
    """A second `koubo up` on a folder says that it is taken, and the first goes on."""
    done = koubo("up", "--data", up.folder.root)
    assert done.returncode == 4
    assert "another koubo works in" in done.stderr
    assert up.still_runs(0)


def test_nothing_is_kept_without_a_data_folder(
    tmp_path: Path, short_voice: Path, face_portrait: Path
) -> None:
    """Without --data only the outputs stay on the disk."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    shutil.copy(short_voice, tmp_path / "v.wav")
    out = tmp_path / "o.mp4"
    done = koubo(
        "run", tmp_path / "v.wav", face_portrait, "-o", out, settings={"TMPDIR": str(temporary)}
    )
    assert done.returncode == 0, done.stderr
    assert list(temporary.iterdir()) == []


def _status(folder: Folder) -> list[dict[str, object]]:
    done = koubo("status", "--json", "--data", folder.root)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
