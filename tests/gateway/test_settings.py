from pathlib import Path

import pytest

from functions.errors import NotSetUpError
from functions.gateway.settings import GatewaySettings, is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "koubo.example.org"])
def test_no_token_beyond_loopback_is_refused(host: str) -> None:
    """A gateway that everybody could reach doesn't start without a token; with one it does."""
    with pytest.raises(NotSetUpError, match="KOUBO_GATEWAY_TOKEN"):
        GatewaySettings(host=host).tenants()
    assert GatewaySettings(host=host, token="secret").tenants() == {"secret": "default"}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.9.1"])
def test_loopback_needs_no_token(host: str) -> None:
    """On the machine itself there may be no token at all."""
    assert is_loopback(host)
    assert GatewaySettings(host=host).tenants() == {}


def test_uvicorns_own_host_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that uvicorn was told to open to all is held to the same."""
    monkeypatch.setenv("UVICORN_HOST", "0.0.0.0")
    with pytest.raises(NotSetUpError, match=r"0\.0\.0\.0"):
        GatewaySettings().tenants()
    monkeypatch.setenv("KOUBO_GATEWAY_HOST", "127.0.0.1")
    assert GatewaySettings().tenants() == {}


def test_tokens_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One token or many, from the environment or from files, all hold."""
    (tmp_path / "one").write_text("in-a-file\n")
    (tmp_path / "many").write_text('{"of-studio": "studio"}')
    monkeypatch.setenv("KOUBO_GATEWAY_TOKEN", "plain")
    monkeypatch.setenv("KOUBO_GATEWAY_TOKEN_FILE", str(tmp_path / "one"))
    monkeypatch.setenv("KOUBO_GATEWAY_TOKENS", '{"of-news": "news"}')
    monkeypatch.setenv("KOUBO_GATEWAY_TOKENS_FILE", str(tmp_path / "many"))
    settings = GatewaySettings()
    assert settings.tenants() == {
        "plain": "default",
        "in-a-file": "default",
        "of-news": "news",
        "of-studio": "studio",
    }
    assert "of-news" not in repr(settings)
    assert "plain" not in repr(settings)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tokens": "no json"},
        {"tokens": "[]"},
        {"tokens": '{"t": 1}'},
        {"tokens": '{"t": "a/b"}'},
        {"tokens": '{"t": ""}'},
        {"token": ""},
        {"token": "two words"},
        {"token": "密码"},
        {"token_file": Path("not-there")},
    ],
)
def test_tokens_that_can_not_be_are_refused(wrong: dict[str, object]) -> None:
    """A slip in the tokens keeps the gateway from starting, and says which setting."""
    with pytest.raises(NotSetUpError, match=r"KOUBO_GATEWAY|secret"):
        GatewaySettings(**wrong).tenants()
