from pathlib import Path

import pytest
from rich.console import Console

from functions.data_folder import DataFolder
from functions.doctor import Finding, examine, table
from functions.ffmpeg_program import ffmpeg_path
from functions.ingest.face_models import FaceModels
from functions.settings import CacheSettings


def findings(root: Path, cache: CacheSettings) -> dict[str, Finding]:
    return {finding.what: finding for finding in examine(DataFolder(root), cache)}


def test_a_good_machine(tmp_path: Path, face_models: FaceModels) -> None:
    """On a machine that is set up everything works, and each line says what was found."""
    found = findings(tmp_path, CacheSettings())
    assert [what for what, finding in found.items() if not finding.is_well] == []
    assert "libx264" in found["ffmpeg"].says
    assert "CPUExecutionProvider" in found["onnxruntime/cpu"].says
    assert found["store"].says == str(tmp_path)


def test_missing_models_are_found(tmp_path: Path) -> None:
    """Without the face models the finding names the command that brings them."""
    finding = findings(tmp_path, CacheSettings(root=tmp_path / "none"))["face models"]
    assert not finding.works
    assert "koubo setup" in finding.fix


def test_a_missing_ffmpeg_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong KOUBO_FFMPEG_PATH is a finding that names the path, not a crash."""
    monkeypatch.setenv("KOUBO_FFMPEG_PATH", str(tmp_path / "nothing"))
    ffmpeg_path.cache_clear()
    try:
        finding = findings(tmp_path, CacheSettings())["ffmpeg"]
    finally:
        monkeypatch.undo()
        ffmpeg_path.cache_clear()
    assert not finding.works
    assert str(tmp_path / "nothing") in finding.says


def test_a_store_that_can_not_be_written_is_found(tmp_path: Path) -> None:
    """A data folder that is a file is a finding, and all else is still looked at."""
    (tmp_path / "data").write_bytes(b"in the way")
    found = findings(tmp_path / "data", CacheSettings())
    assert not found["store"].works
    assert found["python"].works


def test_backends_that_nobody_asked_for_are_no_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could be had is told, too; what the settings ask for has to work."""
    found = findings(tmp_path, CacheSettings())
    assert not found["torch/npu:0"].works
    assert found["torch/npu:0"].is_well
    monkeypatch.setenv("KOUBO_INFER_BACKENDS", "torch/npu:0")
    finding = findings(tmp_path, CacheSettings())["torch/npu:0"]
    assert not finding.is_well
    assert finding.says == "no torch"


def test_settings_that_make_no_sense_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend that doesn't exist is a finding with those that do; nothing is to be installed."""
    for value, says in (("tensorrt/cuda:0", "known are onnxruntime"), ("cpu", "library/device")):
        monkeypatch.setenv("KOUBO_INFER_BACKENDS", value)
        finding = findings(tmp_path, CacheSettings())["backends"]
        assert not finding.is_well
        assert says in finding.says
        assert finding.fix == ""


def test_the_table_marks_what_fails() -> None:
    """What works is marked ok; what doesn't is marked no, with what to do about it.

    What nobody needs is marked by a dash.
    """
    console = Console(width=100, record=True, quiet=False)
    shown = [
        Finding("disk", works=True, says="9 GB"),
        Finding("x", works=False, says="[Errno 2]", fix="Install koubo[encode]."),
        Finding("y", works=False, says="no y", needed=False),
    ]
    with console.capture() as capture:
        console.print(table(shown))
    lines = [line.split() for line in capture.get().splitlines()]
    assert ["ok", "disk", "9", "GB"] in lines
    fails = lines.index(["no", "x", "[Errno", "2]"])
    assert lines[fails + 1] == ["Install", "koubo[encode]."]
    assert ["-", "y", "no", "y"] in lines
    assert "not needed" in capture.get()
    with console.capture() as capture:
        console.print(table(shown[:2]))
    assert "not needed" not in capture.get()
