"""What a footage can show, said before anybody speaks with it."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from demo import sample_face
from functions.doctor_footage import examine_footage
from functions.errors import RejectedInput
from functions.ingest.face_models import FaceModels
from functions.settings import CacheSettings


def write(path: Path, rgb: NDArray[np.uint8]) -> Path:
    cv2.imwrite(str(path), rgb[..., ::-1])
    return path


def test_a_smiling_portrait_lacks_closed_lips(
    tmp_path: Path, astronaut: NDArray[np.uint8], face_models: FaceModels
) -> None:
    """Her teeth are seen; closures, rounding and movement will have to be made up."""
    found = examine_footage(write(tmp_path / "smile.png", astronaut), CacheSettings())
    seen = {finding.what: finding.works for finding in found}
    assert seen["footage"]
    assert seen["teeth"]
    assert seen["in sight"]
    assert not seen["closed mouth"]
    assert not seen["many mouths"]
    lacking = next(finding for finding in found if finding.what == "closed mouth")
    assert "warped" in lacking.fix


def test_a_footage_without_a_face_is_refused_as_a_run_would_refuse_it(
    tmp_path: Path, face_models: FaceModels
) -> None:
    """The reason is ingest's own."""
    grey = write(tmp_path / "wall.png", np.full((256, 256, 3), 127, np.uint8))
    with pytest.raises(RejectedInput, match=r"no_face: wall\.png: No face"):
        examine_footage(grey, CacheSettings())


def test_frames_without_a_mouth_are_counted(
    tmp_path: Path, face_models: FaceModels, ffmpeg: Callable[..., Path]
) -> None:
    """Where the face is away for a third of the footage it says so."""
    clip = sample_face.clip(tmp_path / "face.mp4", 1.2, (320, 240))
    away = "drawbox=t=fill:enable='between(n,10,19)'"
    found = examine_footage(ffmpeg("-i", clip, "-vf", away, tmp_path / "a.mp4"), CacheSettings())
    (sight,) = [finding for finding in found if finding.what == "in sight"]
    assert not sight.works
    assert "20 of 30 frames" in sight.says
