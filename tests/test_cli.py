import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from functions.commands import app
from functions.data_folder import DataFolder, lock
from functions.ingest.face_models import FaceModels
from functions.settings import BucketSettings
from functions.storage import Store

BUCKETS = BucketSettings()
ROOT = Path(__file__).parents[1]


def koubo(*arguments: object, **environment: object) -> subprocess.CompletedProcess[str]:
    """Runs the command as a shell would."""
    return subprocess.run(
        [sys.executable, "-m", "functions.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
        | {name: str(value) for name, value in environment.items()},
    )


def test_without_a_command_there_is_help() -> None:
    """The command alone lists what it can do."""
    said = CliRunner().invoke(app, []).output
    for command in ("up", "run", "status", "reconcile", "doctor", "setup"):
        assert command in said


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["run"], ["run", "no-such.wav", "no-such.mp4"], ["status", "--limit", "many"]],
)
def test_wrong_usage(arguments: list[str]) -> None:
    """A wrong command, a missing argument and a missing file are usage errors: code 2."""
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_several_faces_need_a_folder(tmp_path: Path) -> None:
    """Two outputs can't be one file."""
    for name in ("v.wav", "a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"x")
    arguments = ["run", *(str(tmp_path / name) for name in ("v.wav", "a.mp4", "b.mp4"))]
    said = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "out.mp4")])
    assert said.exit_code == 2


@pytest.mark.parametrize(
    ("faces", "output", "said"),
    [
        (["a.mp4"], "v.wav/out.mp4", "nothing can be written into"),
        (["a.mp4"], "/proc/out.mp4", "nothing can be written into /proc"),
        (["a.mp4"], "out.mov", "call it out.mp4"),
        (["a.mp4"], "a.mp4", "a.mp4 is one of the inputs"),
        (["b.jpg"], "b.mp4", "b.jpg is one of the inputs"),
        (["a.mp4", "b.jpg"], ".", "a.mp4 is one of the inputs"),
    ],
)
def test_a_bad_place_for_the_output_is_told_before_the_work(
    faces: list[str], output: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place that can't be written, isn't a video's, or is an input's: code 2, nothing touched."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("v.wav", "a.mp4", "b.jpg"):
        Path(name).write_text(name)
    done = CliRunner().invoke(app, ["run", "v.wav", *faces, "-o", output])
    assert done.exit_code == 2
    assert said in done.output
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        name: name for name in ("v.wav", "a.mp4", "b.jpg")
    }


def test_an_output_folder_may_have_a_dot(tmp_path: Path) -> None:
    """A folder that is there is one, whatever its name; a model that isn't is told next."""
    folder = tmp_path / "out.d"
    folder.mkdir()
    for name in ("v.wav", "a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"x")
    files = [str(tmp_path / name) for name in ("v.wav", "a.mp4", "b.mp4")]
    done = koubo("run", *files, "-o", folder, "--model", "nobody")
    assert done.returncode == 2
    assert "there is no model 'nobody'" in done.stderr


@pytest.mark.parametrize(
    "command", [["up"], ["status"], ["reconcile"], ["doctor"], ["dead", "list"]]
)
def test_a_file_is_no_data_folder(command: list[str], tmp_path: Path) -> None:
    """Where a file lies no folder can be: code 2."""
    path = tmp_path / "data"
    path.write_bytes(b"x")
    assert CliRunner().invoke(app, [*command, "--data", str(path)]).exit_code == 2


def test_what_the_machine_refuses_is_one_line(tmp_path: Path) -> None:
    """A folder that can't be made is told by its name, without a traceback: code 5."""
    path = tmp_path / "file"
    path.write_bytes(b"x")
    done = koubo("up", "--data", path / "data", "--http", "off")
    assert done.returncode == 5
    assert done.stderr == f"koubo: {path}/data/.koubo: Not a directory\n"


def test_a_wrong_place_for_http_is_wrong_usage(face_models: FaceModels, tmp_path: Path) -> None:
    """What is no host and port ends `koubo up` at once."""
    done = koubo("up", "--data", tmp_path, "--http", "nonsense")
    assert done.returncode == 2
    assert done.stderr.endswith("'nonsense' is no host:port, such as 127.0.0.1:8008\n")


def test_a_footage_that_is_none_is_refused(face_models: FaceModels, tmp_path: Path) -> None:
    """The doctor's code for a file that can't be used is that of a refusal."""
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    done = koubo("doctor", path)
    assert done.returncode == 3
    assert done.stderr.startswith("koubo: text.mp4: The file is no audio, video or picture")
    assert done.stderr.count("\n") == 1


def test_a_wrong_setting_is_named() -> None:
    """A setting that can't be is wrong usage, told in one line by the variable's name."""
    done = koubo("status", KOUBO_STORE_KIND="tape")
    assert done.returncode == 2
    assert done.stderr == "koubo: KOUBO_STORE_KIND: Input should be 'folder' or 's3'\n"


@pytest.mark.timeout(120)
def test_workers_tell_a_wrong_setting(face_portrait: Path) -> None:
    """So is one that only workers read."""
    done = koubo("run", face_portrait, face_portrait, KOUBO_INFER_BATCH="many")
    assert done.returncode == 2
    assert "can't start: KOUBO_INFER_BATCH: Input should be" in done.stderr


def test_workers_import_no_command() -> None:
    """Every worker imports the program's main module once more, and needs none of its commands."""
    code = "import sys, functions.cli; print([m for m in ('typer', 'numpy') if m in sys.modules])"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.strip() == "[]"


def test_a_function_alone_has_no_command() -> None:
    """Where the extra of the command isn't installed it says so, instead of a traceback."""
    code = "import sys; sys.modules['typer'] = None; from functions.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 5
    assert done.stderr == "koubo: the command needs typer: pip install 'koubo[local]'\n"


def test_status_of_nothing(tmp_path: Path) -> None:
    """A folder in which nothing happened yet has no runs; one that isn't there is a mistake."""
    done = koubo("status", "--data", tmp_path)
    assert done.returncode == 0, done.stderr
    assert koubo("status", "--json", "--data", tmp_path).stdout == ""
    missing = tmp_path / "data"
    assert koubo("status", "--data", missing).returncode == 2
    assert not missing.exists()


def test_status_for_programs(tmp_path: Path) -> None:
    """Each line of the status is a JSON object; the folder may come from the environment."""
    store = Store.folder(tmp_path)
    store.put(BUCKETS.input, "default/news/口播.wav", b"x")
    said = koubo("status", "--json", KOUBO_STORE_ROOT=tmp_path).stdout
    assert [json.loads(line) for line in said.splitlines()] == [
        {"key": "default/news/口播.wav", "waits_for": "its analysis"}
    ]


def test_doctor_finds_nothing_wrong(face_models: FaceModels, tmp_path: Path) -> None:
    """On a machine that is set up the doctor's code is 0."""
    done = koubo("doctor", "--data", tmp_path)
    assert done.returncode == 0, done.stdout
    assert "libx264" in done.stdout


def test_doctor_says_what_is_missing(tmp_path: Path) -> None:
    """What lacks is named with its cure, and scripts see another code."""
    done = koubo("doctor", "--data", tmp_path, KOUBO_CACHE_ROOT=tmp_path / "empty")
    assert done.returncode == 5
    assert "koubo setup" in done.stdout


@pytest.mark.timeout(120)
def test_run_without_models_says_so(face_portrait: Path, tmp_path: Path) -> None:
    """Before set-up a run ends with the code and the command for that, and soon."""
    voice = tmp_path / "voice.wav"
    voice.write_bytes(b"x")
    done = koubo("run", voice, face_portrait, KOUBO_CACHE_ROOT=tmp_path / "empty")
    assert done.returncode == 5, done.stderr
    assert "koubo setup" in done.stderr


def test_brackets_are_no_markup(face_portrait: Path, tmp_path: Path) -> None:
    """Names and messages with brackets are printed as they are."""
    options = tmp_path / "[bold].toml"
    options.write_text("[/red]")
    done = koubo("run", face_portrait, face_portrait, "--options", options)
    assert done.returncode == 3
    assert "koubo.toml is not TOML" in done.stderr
    (tmp_path / BUCKETS.input / "t" / "[bold]").mkdir(parents=True)
    (tmp_path / BUCKETS.input / "t" / "[bold]" / "[x].wav").write_bytes(b"x")
    assert "t/[bold]/[x].wav" in koubo("status", "--data", tmp_path).stdout


def test_run_refuses_bad_options(face_portrait: Path, tmp_path: Path) -> None:
    """A wrong `koubo.toml` ends the run before it begins, with the code of a refusal."""
    options = tmp_path / "koubo.toml"
    options.write_text("lop = 1")
    done = koubo("run", face_portrait, face_portrait, "--options", options)
    assert done.returncode == 3
    assert "'loop'" in done.stderr


@pytest.mark.timeout(120)
def test_run_refuses_bad_files(
    face_models: FaceModels, face_portrait: Path, tmp_path: Path
) -> None:
    """A voice that is none ends with the code of a refusal and a way out; nothing is left."""
    voice, out = tmp_path / "voice.wav", tmp_path / "new" / "out.mp4"
    voice.write_bytes(b"text, not sound")
    done = koubo("run", voice, face_portrait, "-o", out, "--workers", 1, TMPDIR=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "can be read" in done.stdout
    assert not out.exists()
    assert not list(tmp_path.glob("koubo*"))


def test_two_can_not_work_in_one_folder(face_models: FaceModels, tmp_path: Path) -> None:
    """A second one on the same folder says that another works there: code 4."""
    held = lock(DataFolder(tmp_path))
    try:
        done = koubo("up", "--data", tmp_path)
    finally:
        held.release()
    assert done.returncode == 4
    assert "another koubo" in done.stderr


@pytest.mark.timeout(120)
def test_reconcile_does_what_is_due(face_models: FaceModels, tmp_path: Path) -> None:
    """What was dropped while nothing ran is named, handled, and then nothing is due."""
    store = Store.folder(tmp_path)
    store.put(BUCKETS.input, "default/news/voice.wav", b"text, not sound")
    done = koubo("reconcile", "--data", tmp_path, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"{BUCKETS.input}/default/news/voice.wav"
    assert store.exists(BUCKETS.output, "default/news/voice.wav.error.json")
    again = koubo("reconcile", "--data", tmp_path, "--workers", 1)
    assert (again.returncode, again.stdout) == (0, "")


def test_reconcile_beside_another(tmp_path: Path) -> None:
    """Where another koubo works, the files that are due are touched, so that it sees them."""
    path = tmp_path / BUCKETS.input / "default" / "news" / "voice.wav"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    os.utime(path, (1e9, 1e9))
    held = lock(DataFolder(tmp_path))
    try:
        done = koubo("reconcile", "--data", tmp_path)
    finally:
        held.release()
    assert done.returncode == 0, done.stderr
    assert "voice.wav" in done.stdout
    assert path.stat().st_mtime > 1e9
