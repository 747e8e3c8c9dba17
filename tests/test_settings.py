from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from functions.gateway.settings import GatewaySettings
from functions.settings import (
    BucketSettings,
    CacheSettings,
    EventSettings,
    LogSettings,
    StoreSettings,
    wrong_setting,
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


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("KOUBO_LOG_LEVEL", LogSettings),
        ("KOUBO_EVENTS_WORKERS", EventSettings),
        ("KOUBO_GATEWAY_PORT", GatewaySettings),
    ],
)
def test_people_are_told_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, kind: type[LogSettings]
) -> None:
    """Whoever set it knows the variable, not the class that reads it."""
    monkeypatch.setenv(name, "-1")
    with pytest.raises(ValidationError) as raised:
        kind()
    assert (wrong_setting(raised.value) or "").startswith(f"{name}: Input should be ")


def test_other_faults_are_no_settings() -> None:
    """What fails to validate anywhere else is not taken for a setting."""
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(int).validate_python("many")
    assert wrong_setting(raised.value) is None


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
