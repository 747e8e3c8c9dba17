import base64
import hashlib
from typing import Any
from urllib.parse import unquote

import pytest

from functions.storage import Store

from .conftest import BUCKETS, Gateway

CONTENT = b"a voice"
SHA256 = hashlib.sha256(CONTENT)
UPLOAD = "u0123456789abcdef0123"


def digest(data: bytes) -> dict[str, str]:
    word = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return {"Content-Digest": f"sha-256=:{word}:"}


@pytest.mark.parametrize("name", ["voice.wav", "新闻 1+1=2 100%.wav", "../../x.wav", ".hidden"])
def test_an_upload_becomes_an_input(gateway: Gateway, name: str) -> None:
    """A file that is announced, sent and named in a request is a run's input; no upload is left."""
    place = gateway.client.post("/v1/uploads", json={"file": name, "size": 7})
    assert place.status_code == 201
    sent = gateway.client.put(place.json()["url"], content=CONTENT, headers=digest(CONTENT))
    assert sent.status_code == 201, sent.text
    upload = place.json()["upload"]
    assert sent.json()["sha256"] == SHA256.hexdigest()
    assert sent.json()["size"] == len(CONTENT)
    # Nobody looks at it yet: its name is hidden.
    assert [key.rpartition("/")[2][0] for key in gateway.keys(BUCKETS.input)] == ["."]
    body = {"voice": {"upload": upload}, "faces": [{"upload": upload}]}
    answer = gateway.client.post("/v1/runs", json=body)
    assert answer.status_code == 201, answer.text
    inputs = answer.json()["runs"][0]["inputs"]
    assert gateway.store.get(BUCKETS.input, inputs["voice"]) == CONTENT
    assert gateway.store.get(BUCKETS.input, inputs["face"]) == CONTENT
    assert inputs["voice"].rpartition("/")[2] == unquote(place.json()["url"]).rpartition("/")[2]
    assert not any(f"/{upload}/" in key for key in gateway.keys(BUCKETS.input))


def test_what_was_damaged_on_its_way_is_refused(gateway: Gateway) -> None:
    """A file with another digest than its sender says leaves nothing behind."""
    url = f"/v1/uploads/{UPLOAD}/voice.wav"
    answer = gateway.client.put(url, content=CONTENT, headers=digest(b"another"))
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_digest")
    assert gateway.keys(BUCKETS.input) == []


@pytest.mark.parametrize("word", ["md5=:AAAA:", "sha-256=:AAAA:", "sha-256=:@@:", "nonsense", ""])
def test_other_digests_are_refused(gateway: Gateway, word: str) -> None:
    """A digest that can't be checked is said to be so, and not passed over."""
    url = f"/v1/uploads/{UPLOAD}/voice.wav"
    answer = gateway.client.put(url, content=CONTENT, headers={"Content-Digest": word})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_body")


def test_too_large(open_gateway: Any, store: Store) -> None:
    """A file over the limit is refused as soon as that can be known, and nothing of it is left."""
    gateway = open_gateway(store, max_upload_bytes=10)
    url = f"/v1/uploads/{UPLOAD}/voice.wav"
    announced = gateway.client.post("/v1/uploads", json={"file": "v.wav", "size": 11})
    stated = gateway.client.put(url, content=b"x" * 11)
    streamed = gateway.client.put(url, content=iter([b"x" * 6, b"x" * 6]))
    form = gateway.client.post("/v1/runs", files=[("voice", ("v.wav", b"x" * 11))])
    for answer in (announced, stated, streamed, form):
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert gateway.keys(BUCKETS.input) == []
    assert gateway.client.put(url, content=iter([b"x" * 5, b"x" * 5])).status_code == 201


def test_uploads_at_a_time_are_bounded(open_gateway: Any) -> None:
    """When as many files come in as may, the next sender is told when to come again."""
    gateway = open_gateway(Store.memory(), uploads=1)
    url = f"/v1/uploads/{UPLOAD}/voice.wav"
    desk = gateway.client.app.state.desk
    with desk.uploads.one():
        answer = gateway.client.put(url, content=b"y")
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert int(answer.headers["Retry-After"]) > 0
    assert gateway.client.put(url, content=b"y").status_code == 201


def test_a_store_with_links_takes_files_itself(open_gateway: Any) -> None:
    """On S3 the place is in the store, signed; for what S3 takes only in parts it is here."""
    store = Store.s3(
        {
            "endpoint": "http://store.test:9000",
            "access_key_id": "key",
            "secret_access_key": "secret",
            "region": "us-east-1",
            "virtual_hosted_style_request": False,
        },
        {"allow_http": True},
    )
    client = open_gateway(store).client
    place = client.post("/v1/uploads", json={"file": "v oice.wav"}).json()
    assert place["presigned"]
    path = f"/{BUCKETS.input}/default/{place['upload']}/.v%20oice.wav?"
    assert place["url"].startswith(f"http://store.test:9000{path}")
    assert "X-Amz-Expires=3600" in place["url"]
    huge = client.post("/v1/uploads", json={"file": "v.mp4", "size": 6 << 30}).json()
    assert not huge["presigned"]
    assert huge["url"].startswith("/v1/uploads/")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "bad_body"),
        (b"\xff\xfe", 400, "bad_body"),
        (b"[]", 422, "invalid"),
        (b"{}", 422, "invalid"),
        (b'{"file": "a", "other": 1}', 422, "invalid"),
        (b'{"file": "' + b"x" * (1 << 20) + b'"}', 413, "too_large"),
    ],
)
def test_bad_announcements(gateway: Gateway, body: bytes, status: int, code: str) -> None:
    """What is no announcement is refused with the reason."""
    headers = {"Content-Type": "application/json"}
    answer = gateway.client.post("/v1/uploads", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
