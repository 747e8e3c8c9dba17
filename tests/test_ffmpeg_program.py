import pytest

from functions.errors import NotSetUpError
from functions.ffmpeg_program import ffmpeg_path
from functions.process import Limits, run_supervised


def test_ffmpeg_is_found() -> None:
    """The program that is found runs."""
    run_supervised([ffmpeg_path(), "-version"], limits=Limits(seconds=20))


def test_chosen_ffmpeg_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that points nowhere is an error that says so, not another ffmpeg."""
    monkeypatch.setenv("KOUBO_FFMPEG_PATH", "/nowhere/ffmpeg")
    ffmpeg_path.cache_clear()
    try:
        with pytest.raises(NotSetUpError, match="/nowhere/ffmpeg"):
            ffmpeg_path()
    finally:
        ffmpeg_path.cache_clear()
