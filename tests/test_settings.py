from pathlib import Path

import pytest
from pydantic import ValidationError

from functions.settings import (
    BucketSettings,
    CacheSettings,
    EventSettings,
    LogSettings,
    StoreSettings,
)


def test_each_concern_has_its_prefix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings come from the environment, under the prefix of what they concern."""
    for name, value in {
        "KOUBO_BUCKET_INPUT": "incoming",
        "KOUBO_STORE_ROOT": str(tmp_path),
        "KOUBO_CACHE_ROOT": str(tmp_path / "cache"),
        "KOUBO_LOG_LEVEL": "DEBUG",
        "KOUBO_EVENTS_QUEUE": "7",
    }.items():
        monkeypatch.setenv(name, value)
    assert BucketSettings().input == "incoming"
    assert CacheSettings().models == tmp_path / "cache" / "models"
    assert CacheSettings().input_files == tmp_path / "cache" / "inputs"
    assert LogSettings().level == "DEBUG"
    assert EventSettings().queue == 7
    store = StoreSettings().open()
    store.put("incoming", "t/a", b"1")
    assert (tmp_path / "incoming" / "t" / "a").read_bytes() == b"1"


@pytest.mark.parametrize(
    ("name", "value"), [("KOUBO_LOG_LEVEL", "LOUD"), ("KOUBO_LOG_FORMAT", "xml")]
)
def test_wrong_values_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A value that can't be is an error that names it, at the start."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=value):
        LogSettings()


def test_secrets_stay_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Printing settings shows no token and no key."""
    monkeypatch.setenv("KOUBO_EVENTS_TOKEN", "hunter2")
    monkeypatch.setenv("KOUBO_STORE_SECRET_KEY", "hunter2")
    assert "hunter2" not in f"{EventSettings()!r} {StoreSettings()!r}"


def test_empty_variables_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable left empty, as a compose file leaves it, is as good as none."""
    monkeypatch.setenv("KOUBO_EVENTS_TOKEN", "")
    assert EventSettings().token is None


def test_s3_is_opened_without_asking_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a remote store contacts nobody; that is for the first request."""
    monkeypatch.setenv("KOUBO_STORE_KIND", "s3")
    monkeypatch.setenv("KOUBO_STORE_ENDPOINT", "http://127.0.0.1:9")
    store = StoreSettings().open()
    assert store.root is None
