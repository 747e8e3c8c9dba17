import socket

import httpx
import pytest

from functions.errors import KouboError, NotSetUpError, WrongSettingError
from functions.gateway.beside import beside
from functions.settings import StoreSettings
from functions.storage import Store


def test_served_where_asked() -> None:
    """The line for people names where runs are served, and they are."""
    store = Store.memory()
    with beside(store, None, "127.0.0.1:0") as line:
        url = line.removeprefix("Runs over HTTP at ").removesuffix("/docs")
        assert httpx.get(f"{url}/v1/runs", trust_env=False).json()["runs"] == []


def test_off() -> None:
    """Nothing is served where that is wished."""
    store = Store.memory()
    with beside(store, None, "off") as line:
        assert line.endswith("off")


def test_the_usual_port_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second `koubo up` goes without HTTP, and says so; one that was told where fails."""
    store = Store.memory()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("KOUBO_GATEWAY_PORT", str(port))
        with beside(store, None, None) as line:
            assert "--http" in line
        with pytest.raises(KouboError), beside(store, None, f"127.0.0.1:{port}"):
            pass


@pytest.mark.parametrize("where", ["8008", ":8008", "127.0.0.1:", "127.0.0.1:99999", "x", ""])
def test_places_that_are_none(where: str) -> None:
    """What is no host and port is said to be none."""
    store = Store.memory()
    with pytest.raises(WrongSettingError, match="host:port"), beside(store, None, where):
        pass


def test_everybody_only_with_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond loopback it is served with a token alone."""
    store = Store.memory()
    with pytest.raises(NotSetUpError), beside(store, None, "0.0.0.0:0"):
        pass
    monkeypatch.setenv("KOUBO_GATEWAY_TOKEN", "secret")
    with beside(store, None, "0.0.0.0:0") as line:
        port = line.removesuffix("/docs").rpartition(":")[2]
        url = f"http://127.0.0.1:{port}/v1/runs"
        assert httpx.get(url, trust_env=False).status_code == 401
        headers = {"Authorization": "Bearer secret"}
        assert httpx.get(url, headers=headers, trust_env=False).status_code == 200


def test_links_lead_where_clients_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """On an object store, uploads are told the store's public address, where there is another."""
    monkeypatch.setenv("KOUBO_GATEWAY_PUBLIC_ENDPOINT", "https://media.example.org")
    remote = StoreSettings(kind="s3", endpoint="http://127.0.0.1:9", access_key="a", secret_key="b")
    with beside(remote.open(), remote, "127.0.0.1:0") as line:
        url = line.removeprefix("Runs over HTTP at ").removesuffix("/docs")
        with httpx.Client(base_url=url, trust_env=False) as client:
            place = client.post("/v1/uploads", json={"file": "v.wav"}).json()
    assert place["presigned"]
    assert place["url"].startswith("https://media.example.org/koubo-input/")
