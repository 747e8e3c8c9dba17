import os
import shutil
import time
import zipfile

import pytest

from functions.errors import NotSetUpError
from functions.ingest import face_models as subject

WHEEL = "mediapipe-0.10.18-cp311-cp311-manylinux_2_17_x86_64.whl"


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """An index that has nothing: pip may only look into an empty folder."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    return shelf


def test_finding_before_setup_names_the_command(tmp_path):
    """An empty cache is refused with the command that fills it."""
    with pytest.raises(NotSetUpError, match="koubo setup"):
        subject.find(tmp_path)


def test_a_second_install_downloads_nothing(face_models, tmp_path, offline):
    """What is in place is found again without any index, and quickly."""
    cache = face_models.mesh.parent
    before = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    start = time.monotonic()
    assert subject.install(cache) == face_models
    assert time.monotonic() - start < 1
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == before


@pytest.mark.parametrize("name", ["face_detector.onnx", "face_mesh.onnx", "face_models.json"])
def test_a_damaged_file_is_noticed(face_models, tmp_path, name):
    """A truncated model or record counts as not set up."""
    cache = shutil.copytree(face_models.mesh.parent, tmp_path / "models")
    os.truncate(cache / name, (cache / name).stat().st_size // 2)
    with pytest.raises(NotSetUpError, match="koubo setup"):
        subject.find(cache)


def test_an_index_without_the_wheel_is_explained(tmp_path, offline):
    """The error says what pip could not get and what pip said; nothing is left behind."""
    cache = tmp_path / "models"
    with pytest.raises(NotSetUpError, match=r"(?s)mediapipe==0\.10\.18.*koubo setup.*No matching"):
        subject.install(cache)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("content", [None, b"something else"])
def test_a_wheel_with_other_content_is_refused(tmp_path, offline, content):
    """A wheel of the right name whose models are missing or altered is not converted."""
    with zipfile.ZipFile(offline / WHEEL, "w") as wheel:
        info = "mediapipe-0.10.18.dist-info"
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: mediapipe\nVersion: 0.10.18\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: cp311-cp311-manylinux_2_17_x86_64\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
        if content is not None:
            member = "mediapipe/modules/face_detection/face_detection_short_range.tflite"
            wheel.writestr(member, content)
    cache = tmp_path / "models"
    with pytest.raises(NotSetUpError, match=r"lacks|is not the file"):
        subject.install(cache)
    assert list(cache.iterdir()) == []
