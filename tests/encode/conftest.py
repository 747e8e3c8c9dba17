"""What the tests of encode share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from functions.encode.settings import LabelSettings
from functions.options import Options

from .clips import X264, Clip, analyse, make, portrait, rotate, run_ffmpeg
from .jobs import Job, prepare


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Clip]:
    """One clip of each kind that is hard to read exactly."""
    folder = tmp_path_factory.mktemp("clips")
    plain = make(folder / "cfr.mp4", "25", 4, *X264, "-g", 12)
    # Frames leave gaps of one to four, and the first comes late.
    uneven = "select='eq(mod(n,7),1)+eq(mod(n,7),2)+eq(mod(n,7),5)'"
    rotated = rotate(plain, folder / "rotated.mp4")
    open_gop = ("-c:v", "libx264", "-preset", "veryfast", "-bf", 3, "-g", 15, "-pix_fmt", "yuv420p")
    # The test source itself has even sizes only.
    odd = ("-c:v", "libx264", "-vf", "format=yuv444p,crop=159:89:0:0:exact=1")
    paths = [
        plain,
        make(folder / "ntsc.mp4", "30000/1001", 3, *X264, "-g", 10),
        make(folder / "vfr.mp4", "25", 6, *X264, "-g", 8, "-vf", uneven, "-fps_mode", "vfr"),
        make(folder / "bframes.mp4", "25", 4, *open_gop, "-x264-params", "open-gop=1"),
        make(folder / "stream.ts", "25", 4, *open_gop, "-x264-params", "open-gop=1"),
        make(folder / "odd.mkv", "24", 2, *odd),
        rotated,
    ]
    found = {path.stem: analyse(path) for path in paths}
    return found | {"portrait": portrait(folder / "portrait.png")}


@pytest.fixture(scope="session")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """7.3 s of sound as ingest keeps it."""
    path = tmp_path_factory.mktemp("voice") / "voice.m4a"
    run_ffmpeg("-f", "lavfi", "-i", "sine=frequency=300:duration=7.3:sample_rate=48000", path)
    return path


@pytest.fixture
def prepared(clips, voice: Path, tmp_path: Path) -> Callable[..., Job]:
    """Plans runs whose segments are all inferred."""

    def make(
        kind: str = "cfr", options: Options | None = None, labels: LabelSettings | None = None
    ) -> Job:
        return prepare(
            tmp_path, clips[kind], voice, options or Options(), labels or LabelSettings()
        )

    return make
