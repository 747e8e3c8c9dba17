import io
from pathlib import Path

import pytest
from rich.console import Console

from functions.board import Board
from functions.data_folder import DataFolder
from functions.ingest.face_models import FaceModels
from functions.local import Local, LocalSettings
from functions.logs import LogSettings
from functions.oneshot import Request, Result, fetch, run
from functions.options import Options
from functions.runs import Done
from functions.settings import BucketSettings

BUCKETS = BucketSettings()
SETTINGS = LocalSettings(workers=1, settle_seconds=0, reconcile_seconds=1e9)


def ran(root: Path, voice: Path, *faces: Path, options: Options = Options()) -> list[Result]:  # noqa: B008
    logs = LogSettings(file=root / "log")
    with (
        Local(DataFolder(root / "data"), SETTINGS, logs) as local,
        Board(Console(file=io.StringIO())) as board,
    ):
        return run(local, Request("job", voice, faces, options), board)


def codes(results: list[Result]) -> dict[str, str | None]:
    return {result.file.name: result.error and result.error.code for result in results}


@pytest.mark.timeout(120)
def test_refused_files_come_back_with_their_reason(
    face_models: FaceModels, face_portrait: Path, tmp_path: Path
) -> None:
    """Where every pair lacks a part, each refused file is named, and the work ends."""
    voice, face = tmp_path / "voice.wav", tmp_path / "face.mp4"
    voice.write_bytes(b"no sound")
    face.write_bytes(b"")
    results = ran(tmp_path, voice, face, face_portrait)
    assert codes(results) == {"voice.wav": "not_media", "face.mp4": "empty_file"}
    assert all(result.done is None for result in results)


@pytest.mark.timeout(120)
def test_files_in_the_wrong_place_are_named(
    face_models: FaceModels, face_portrait: Path, tmp_path: Path
) -> None:
    """A face given as the voice is an error that says so, not a success without an output."""
    other = tmp_path / ".hidden.part"  # asked for by name, so no watcher's rule counts
    other.write_bytes(b"text")
    results = ran(tmp_path, face_portrait, other)
    assert codes(results) == {"portrait.png": "misplaced", ".hidden.part": "not_media"}


def test_outputs_are_fetched_side_by_side(face_models: FaceModels, tmp_path: Path) -> None:
    """Video, poster and report of a finished run lie beside each other under the asked name."""
    data = DataFolder(tmp_path / "data")
    with Local(data, SETTINGS, LogSettings(file=tmp_path / "log")) as local:
        done = Done("r", "t/j/v.mp4", "t/j/v.jpg", "t/j/v.json", 1, 1.0)
        for key in (done.video, done.poster, done.report):
            local.store.put(BUCKETS.output, key, key.encode())
        (tmp_path / "out").mkdir()
        to = tmp_path / "out" / "my talk.mp4"
        files = fetch(local, Result(tmp_path, done, None), to)
    assert [path.name for path in files] == ["my talk.mp4", "my talk.jpg", "my talk.json"]
    assert to.read_bytes() == b"t/j/v.mp4"
    assert {path.name for path in to.parent.iterdir()} == {path.name for path in files}
