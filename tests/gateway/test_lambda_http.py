import base64
import json
from pathlib import Path
from typing import Any

import pytest

from functions.errors import NotSetUpError
from functions.gateway import main
from functions.gateway.desk import Desk
from functions.gateway.lambda_http import LambdaHandler, lambda_for
from functions.gateway.settings import GatewaySettings
from functions.request_keys import upload_key
from functions.settings import BucketSettings, StoreSettings
from functions.storage import Store

BUCKETS = BucketSettings()
TOKEN = "secret"


def request(
    method: str, path: str, body: bytes = b"", token: str | None = TOKEN, **headers: str
) -> dict[str, Any]:
    """What a function URL and API Gateway v2 send."""
    route, _, query = path.partition("?")
    told = {"host": "abc.lambda-url.eu-central-1.on.aws", **headers}
    if body and "content-type" not in told:
        told["content-type"] = "application/json"
    if token is not None:
        told["authorization"] = f"Bearer {token}"
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": route,
        "rawQueryString": query,
        "headers": told,
        "requestContext": {
            "accountId": "anonymous",
            "domainName": told["host"],
            "http": {
                "method": method,
                "path": route,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "curl",
            },
            "requestId": "1",
            "stage": "$default",
        },
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


def content(answer: dict[str, Any]) -> bytes:
    body = answer["body"]
    return base64.b64decode(body) if answer["isBase64Encoded"] else body.encode()


@pytest.fixture
def store() -> Store:
    return Store.memory()


@pytest.fixture
def handler(store: Store, monkeypatch: pytest.MonkeyPatch) -> LambdaHandler:
    monkeypatch.setenv("KOUBO_GATEWAY_TOKEN", TOKEN)
    return lambda_for(lambda settings: Desk.open(store, BUCKETS, settings, store))


def test_a_request_from_anywhere(handler: LambdaHandler, store: Store) -> None:
    """With the token, files of a form become a request, and its run is told of."""
    bound = "x"
    parts = [("voice", "v.wav"), ("faces", "脸.mp4")]
    form = b"".join(
        f'--{bound}\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n\r\n'
        f"\x00\xff{name}\r\n".encode()
        for name, file in parts
    )
    kind = {"content-type": f"multipart/form-data; boundary={bound}"}
    made = handler(request("POST", "/v1/runs", form + f"--{bound}--\r\n".encode(), **kind), None)
    assert made["statusCode"] == 201, made
    run = json.loads(content(made))["runs"][0]
    assert store.get(BUCKETS.input, run["inputs"]["face"]) == "\x00\xfffaces".encode()
    listed = handler(request("GET", "/v1/runs?phase=ingesting&limit=5"), None)
    assert [one["id"] for one in json.loads(content(listed))["runs"]] == [run["id"]]


@pytest.mark.parametrize("token", [None, "wrong"])
def test_no_request_without_the_token(handler: LambdaHandler, token: str | None) -> None:
    """Everybody can reach a function URL, so nobody gets in without the token."""
    answer = handler(request("GET", "/v1/runs", token=token), None)
    assert answer["statusCode"] == 401
    assert json.loads(content(answer))["code"] == "unauthorized"


def test_it_needs_a_token(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none is set, nothing is answered at all."""
    monkeypatch.delenv("KOUBO_GATEWAY_TOKEN", raising=False)
    open_to_all = lambda_for(lambda settings: Desk.open(store, BUCKETS, settings, store))
    with pytest.raises(NotSetUpError, match="KOUBO_GATEWAY_TOKEN"):
        open_to_all(request("GET", "/v1/runs"), None)


def test_files_and_results_go_by_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """On S3 an upload is told its place in the store, since Lambda takes 6 MB at most."""
    monkeypatch.setenv("KOUBO_GATEWAY_TOKEN", TOKEN)
    s3 = StoreSettings(kind="s3", access_key="a", secret_key="b", region="eu-central-1")

    def open_desk(settings: GatewaySettings) -> Desk:
        return Desk.open(s3.open(), BUCKETS, settings, settings.public_store(s3).open())

    body = json.dumps({"file": "big.mp4", "size": 5 << 30}).encode()
    asked = request("POST", "/v1/uploads", body)
    place = json.loads(content(lambda_for(open_desk)(asked, None)))
    assert place["presigned"]
    assert f"{BUCKETS.input}/default/{place['upload']}/.big.mp4" in place["url"]
    assert "X-Amz-Signature" in place["url"]


def test_a_stream_of_events_comes_to_an_end(
    handler: LambdaHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer is given when it is whole, so who follows a run comes back for the rest."""
    monkeypatch.setenv("KOUBO_GATEWAY_FOLLOW_SECONDS", "0.1")
    monkeypatch.setenv("KOUBO_GATEWAY_POLL_SECONDS", "0.05")
    form = (
        b'--x\r\nContent-Disposition: form-data; name="voice"; filename="v.wav"\r\n\r\nv\r\n'
        b'--x\r\nContent-Disposition: form-data; name="faces"; filename="f.mp4"\r\n\r\nf\r\n'
        b"--x--\r\n"
    )
    kind = {"content-type": "multipart/form-data; boundary=x"}
    run = json.loads(content(handler(request("POST", "/v1/runs", form, **kind), None)))["runs"][0]
    answer = handler(request("GET", f"/v1/runs/{run['id']}/events"), None)
    assert answer["headers"]["content-type"].startswith("text/event-stream")
    assert b"event: progress" in content(answer)
    assert b"event: end" not in content(answer)


def test_a_schedule_tidies_up(
    handler: LambdaHandler, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Called by EventBridge's schedule, it removes uploads that nobody used in time."""
    monkeypatch.setenv("KOUBO_GATEWAY_UPLOAD_HOURS", "1e-9")
    key = upload_key("default", "u0123456789abcdef0123", "v.wav")
    store.put(BUCKETS.input, key, b"v")
    scheduled = {"version": "0", "detail-type": "Scheduled Event", "source": "aws.events"}
    assert handler(scheduled, None) == {"tidied": 1}
    assert not store.exists(BUCKETS.input, key)


def test_it_works_in_a_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The composition root gives Lambda what it gives a server, by the same environment."""
    monkeypatch.setenv("KOUBO_STORE_ROOT", str(tmp_path))
    monkeypatch.setenv("KOUBO_GATEWAY_TOKEN", TOKEN)
    answer = main.lambda_handler(request("GET", "/v1/runs"), None)
    assert answer["statusCode"] == 200
    assert json.loads(content(answer)) == {"runs": [], "cursor": None}
