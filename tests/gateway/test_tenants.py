from typing import Any

import pytest

from functions.gateway.desk import Desk
from functions.storage import Store

from .conftest import BUCKETS

TOKENS = '{"of-news": "news", "of-studio": "studio"}'
NEWS = {"Authorization": "Bearer of-news"}
STUDIO = {"Authorization": "bearer of-studio"}


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Bearer wrong", "of-news", "Basic of-news"]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/runs"),
        ("POST", "/v1/runs"),
        ("POST", "/v1/uploads"),
        ("PUT", "/v1/uploads/u0123456789abcdef0123/a.wav"),
        ("GET", "/v1/runs/0123456789abcdef0123/events"),
        ("HEAD", "/v1/runs/0123456789abcdef0123/result"),
        ("DELETE", "/v1/runs/0123456789abcdef0123"),
    ],
)
def test_no_token_no_answer(open_gateway: Any, authorization: str, method: str, path: str) -> None:
    """With tokens set, on loopback too, every route wants one that it knows, before all else."""
    client = open_gateway(Store.memory(), tokens=TOKENS).client
    answer = client.request(method, path, headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_what_is_anothers_does_not_exist(open_gateway: Any, store: Store) -> None:
    """A tenant sees, names, cancels and removes nothing of another's."""
    gateway = open_gateway(store, tokens=TOKENS)
    run = gateway.ask("a.mp4", **NEWS)["runs"][0]
    upload = gateway.client.post("/v1/uploads", json={"file": "x.wav"}, headers=NEWS).json()
    assert gateway.client.put(upload["url"], content=b"x", headers=NEWS).status_code == 201
    assert gateway.client.get("/v1/runs", headers=STUDIO).json()["runs"] == []
    base = f"/v1/runs/{run['id']}"
    for method, path in [
        ("GET", base),
        ("DELETE", base),
        ("POST", f"{base}/cancel"),
        ("POST", f"{base}/retry"),
        ("GET", f"{base}/result"),
        ("GET", f"{base}/events"),
    ]:
        assert gateway.client.request(method, path, headers=STUDIO).status_code == 404
    for stolen in ({"key": run["inputs"]["voice"]}, {"upload": upload["upload"]}):
        body = {"voice": stolen, "faces": [stolen]}
        answer = gateway.client.post("/v1/runs", json=body, headers=STUDIO)
        assert answer.json()["code"] == "unknown_input"
    assert gateway.client.get(base, headers=NEWS).json()["phase"] == "ingesting"


def test_equal_idempotency_keys_of_two_tenants(open_gateway: Any, store: Store) -> None:
    """The same key of two tenants names two requests."""
    gateway = open_gateway(store, tokens=TOKENS)
    key = {"Idempotency-Key": "today"}
    first = gateway.ask("a.mp4", **NEWS, **key)
    second = gateway.ask("a.mp4", **STUDIO, **key)
    assert first["request"] != second["request"]
    assert second["runs"][0]["inputs"]["face"].startswith("studio/")


@pytest.mark.parametrize(
    ("client", "headers"),
    [
        (("192.168.1.7", 1), {}),
        (("127.0.0.1", 1), {"Host": "evil.example.org"}),
        (("127.0.0.1", 1), {"Origin": "https://evil.example.org"}),
        (("127.0.0.1", 1), {"Origin": "http://127.0.0.1.evil.example.org"}),
    ],
)
def test_without_tokens_only_this_machine(
    open_gateway: Any, client: tuple[str, int], headers: dict[str, str]
) -> None:
    """Without a token neither another machine nor a page in a browser gets anything."""
    gateway = open_gateway(Store.memory(), client=client)
    files = [("voice", ("v.wav", b"v")), ("faces", ("f.mp4", b"f"))]
    answer = gateway.client.post("/v1/runs", files=files, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["code"] == "forbidden"
    assert gateway.keys(BUCKETS.input) == []


def test_a_page_of_our_own_may_ask(open_gateway: Any) -> None:
    """The documentation page, served from loopback, can try requests out."""
    gateway = open_gateway(Store.memory())
    answer = gateway.client.get("/v1/runs", headers={"Origin": "http://127.0.0.1:8008"})
    assert answer.status_code == 200


def test_a_desk_beyond_loopback_does_not_open() -> None:
    """Opening the gateway to all without a token fails before anything is served."""
    from functions.errors import NotSetUpError
    from functions.gateway.settings import GatewaySettings

    store = Store.memory()
    with pytest.raises(NotSetUpError):
        Desk.open(store, BUCKETS, GatewaySettings(host="0.0.0.0"), store)
