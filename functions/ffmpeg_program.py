"""Which ffmpeg runs."""

import shutil
import subprocess
from functools import cache

from functions.errors import NotSetUpError
from functions.settings import FfmpegSettings


@cache
def ffmpeg_path() -> str:
    """The ffmpeg program: KOUBO_FFMPEG_PATH, the one in the imageio-ffmpeg wheel, or PATH's.

    Raises:
        NotSetUpError: there is none.
    """
    chosen = FfmpegSettings().path
    if chosen is not None:
        if not chosen.is_file():
            raise NotSetUpError(f"KOUBO_FFMPEG_PATH names {chosen}, which is no file")
        return str(chosen.absolute())
    try:
        import imageio_ffmpeg  # noqa: PLC0415 -- an image may bring ffmpeg without the wheel

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        found = shutil.which("ffmpeg")
    if found is None:
        raise NotSetUpError("no ffmpeg: `pip install imageio-ffmpeg`, or set KOUBO_FFMPEG_PATH")
    return found


@cache
def ffmpeg_version() -> str:
    """What the ffmpeg program says it is, such as `5.1.9-0+deb12u1`."""
    command = [ffmpeg_path(), "-version"]
    said = subprocess.run(command, capture_output=True, timeout=60, check=True, text=True).stdout
    return said.removeprefix("ffmpeg version ").split(" ", 1)[0]
