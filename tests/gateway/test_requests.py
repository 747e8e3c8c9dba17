import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from functions import documents
from functions.gateway.requests import RequestDocument, Requests
from functions.input_keys import OPTIONS_FILE
from functions.options import Options, parse_options
from functions.request_keys import RequestKeys
from functions.storage import Store

from .conftest import BUCKETS, Gateway

KEY = {"Idempotency-Key": "monday"}


def post(gateway: Gateway, body: dict[str, Any], **headers: str) -> Any:
    return gateway.client.post("/v1/runs", json=body, headers=headers)


def dropped(gateway: Gateway, *keys: str) -> None:
    for key in keys:
        gateway.store.put(BUCKETS.input, key, key.encode())


BODY = {
    "voice": {"key": "default/news/voice.wav"},
    "faces": [{"key": "default/a.mp4"}, {"key": "default/news/b.mp4"}],
    "options": {"quality": "speed", "label_language": "en", "label_whole": True},
}


@pytest.fixture
def stocked(store: Store, open_gateway: Any) -> Gateway:
    gateway: Gateway = open_gateway(store, uploads=24)
    dropped(gateway, "default/news/voice.wav", "default/a.mp4", "default/news/b.mp4")
    return gateway


def test_one_voice_and_many_faces(stocked: Gateway) -> None:
    """Keys become a job of their own, options and copies, and every face a run."""
    answer = post(stocked, BODY)
    assert answer.status_code == 201, answer.text
    accepted = answer.json()
    request = accepted["request"]
    assert [run["id"] for run in accepted["runs"]] == [f"{request}-1", f"{request}-2"]
    assert answer.headers["Location"] == f"/v1/runs/{request}-1"
    for run, face in zip(accepted["runs"], ["default/a.mp4", "default/news/b.mp4"], strict=True):
        assert stocked.store.get(BUCKETS.input, run["inputs"]["face"]) == face.encode()
        assert run["inputs"]["voice"] == f"default/{request}/voice.wav"
        assert stocked.view(run["id"])["inputs"] == run["inputs"]
    options = stocked.store.get(BUCKETS.input, f"default/{request}/{OPTIONS_FILE}")
    assert parse_options(options) == Options(quality="speed", label_language="en", label_whole=True)
    assert stocked.store.get(BUCKETS.input, "default/a.mp4") == b"default/a.mp4", "still there"


def test_a_copy_is_not_the_original(stocked: Gateway) -> None:
    """Who writes into the original later, as copy tools do in a folder, changes no run's input."""
    run = post(stocked, BODY).json()["runs"][0]
    if stocked.store.root is not None:
        with (stocked.store.root / BUCKETS.input / "default/a.mp4").open("r+b") as file:
            file.write(b"XXX")
    else:
        stocked.store.put(BUCKETS.input, "default/a.mp4", b"XXX")
    assert stocked.store.get(BUCKETS.input, run["inputs"]["face"]) == b"default/a.mp4"


def test_a_form_with_files_keys_and_options(stocked: Gateway) -> None:
    """A form may mix files with keys of what is there; equal names are told apart."""
    files = [
        ("voice", ("v.wav", b"voice")),
        ("faces", ("face.mp4", b"one")),
        ("faces", (None, b"default/a.mp4")),
        ("face", ("FACE.mp4", b"two")),
        ("options", (None, b'{"loop": "restart"}', "application/json")),
    ]
    answer = stocked.client.post("/v1/runs", files=files)
    assert answer.status_code == 201, answer.text
    request = answer.json()["request"]
    faces = [run["inputs"]["face"] for run in answer.json()["runs"]]
    contents = [stocked.store.get(BUCKETS.input, key) for key in faces]
    assert contents == [b"one", b"default/a.mp4", b"two"]
    options = stocked.store.get(BUCKETS.input, f"default/{request}/{OPTIONS_FILE}")
    assert parse_options(options) == Options(loop="restart")
    assert not any(key.rpartition("/")[2].startswith(".") for key in stocked.keys(BUCKETS.input))


@pytest.mark.parametrize(
    ("files", "field"),
    [
        ([("faces", ("f.mp4", b"f"))], "voice"),
        ([("voice", ("v.wav", b"v"))], "faces"),
        ([("voice", ("v.wav", b"v"))] * 2 + [("faces", ("f.mp4", b"f"))], "voice"),
        ([("voice", ("v.wav", b"v")), ("fases", ("f.mp4", b"f"))], "fases"),
        ([("voice", ("v.wav", b"v")), ("faces", (None, b"neither"))], "faces"),
        ([("voice", ("v.wav", b"v")), ("faces", (None, b""))], "faces"),
        ([("voice", ("v.wav", b"v")), ("options", (None, b'{"quality": "best"}'))], "quality"),
        ([("voice", ("v.wav", b"v")), ("options", (None, b'{"unknown": 1}'))], "unknown"),
    ],
)
def test_forms_that_ask_for_nothing(gateway: Gateway, files: list[Any], field: str) -> None:
    """A form that lacks or doubles a field is refused by that field's name, and nothing stays."""
    answer = gateway.client.post("/v1/runs", files=files)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert field in [fault["field"] for fault in answer.json()["errors"]]
    assert gateway.keys(BUCKETS.input) == []
    assert gateway.keys(BUCKETS.work) == []


def test_a_form_that_breaks_off_leaves_nothing(gateway: Gateway) -> None:
    """Files of a form that never came to its end are removed."""
    whole = (
        b'--x\r\nContent-Disposition: form-data; name="voice"; filename="v.wav"\r\n\r\nvoice\r\n'
        b'--x\r\nContent-Disposition: form-data; name="faces"; filename="f.mp4"\r\n\r\nhalf'
    )
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = gateway.client.post("/v1/runs", content=whole, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_body")
    assert gateway.keys(BUCKETS.input) == []


@pytest.mark.parametrize(
    "key",
    [
        "default/news/none.wav",
        "other/news/voice.wav",
        "default/news/koubo.toml",
        "default/news/.hidden.wav",
        "default//voice.wav",
        "default/../default/news/voice.wav",
        "default/news/deep/voice.wav",
        "default/news/\u0000.wav",
        "default/news/" + "x" * 300,
        "voice.wav",
    ],
)
def test_keys_that_name_no_input(stocked: Gateway, key: str) -> None:
    """A key that is not there, not ours or not an input is refused, and no request is made."""
    answer = post(stocked, {"voice": {"key": key}, "faces": [{"key": "default/a.mp4"}]}, **KEY)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_input")
    assert stocked.keys(BUCKETS.work) == []


@pytest.mark.parametrize(
    "item", [{}, {"key": "a/b", "upload": "u0123456789abcdef0123"}, {"upload": "../x"}, {"key": ""}]
)
def test_inputs_are_one_of_two(gateway: Gateway, item: dict[str, str]) -> None:
    """An input is an upload or a key, and an upload's id looks like one."""
    answer = post(gateway, {"voice": item, "faces": [item]})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_too_many_faces(open_gateway: Any) -> None:
    """A request has a bound on its faces, as JSON and as a form."""
    gateway = open_gateway(Store.memory(), max_faces=2)
    item = {"key": "default/a.mp4"}
    as_json = post(gateway, {"voice": item, "faces": [item] * 3})
    files = [("voice", ("v", b"v")), *[("faces", ("f", b"f"))] * 3]
    as_form = gateway.client.post("/v1/runs", files=files)
    for answer in (as_json, as_form):
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert gateway.keys(BUCKETS.input) == []


def test_a_repeated_request_is_one(stocked: Gateway) -> None:
    """The same key with the same body gets the same answer, with uploads used up meanwhile too."""
    place = stocked.client.post("/v1/uploads", json={"file": "v.wav"}).json()
    stocked.client.put(place["url"], content=b"voice")
    body = {**BODY, "voice": {"upload": place["upload"]}}
    first = post(stocked, body, **KEY)
    before = (stocked.keys(BUCKETS.input), stocked.keys(BUCKETS.work))
    again = post(stocked, body, **KEY)
    assert (again.status_code, again.json()) == (201, first.json())
    assert (stocked.keys(BUCKETS.input), stocked.keys(BUCKETS.work)) == before


def test_a_repeated_form_is_one(gateway: Gateway) -> None:
    """The same files sent again under the same key are no second request, and don't pile up."""
    first = gateway.ask("a.mp4", "b.mp4", **KEY)
    before = gateway.keys(BUCKETS.input)
    assert gateway.ask("a.mp4", "b.mp4", **KEY) == first
    assert gateway.keys(BUCKETS.input) == before


@pytest.mark.parametrize(
    "change",
    [{"faces": BODY["faces"][:1]}, {"options": {}}, {"voice": {"key": "default/a.mp4"}}],
)
def test_a_key_used_for_something_else(stocked: Gateway, change: dict[str, Any]) -> None:
    """The same key with another body is refused, and changes nothing."""
    post(stocked, BODY, **KEY)
    before = (stocked.keys(BUCKETS.input), stocked.keys(BUCKETS.work))
    answer = post(stocked, {**BODY, **change}, **KEY)
    assert (answer.status_code, answer.json()["code"]) == (422, "key_reused")
    assert (stocked.keys(BUCKETS.input), stocked.keys(BUCKETS.work)) == before


def test_no_key_no_memory(stocked: Gateway) -> None:
    """Without a key every request is one of its own."""
    assert post(stocked, BODY).json()["request"] != post(stocked, BODY).json()["request"]


@pytest.mark.parametrize("kind", ["keys", "uploads", "form"])
def test_a_race_makes_one_request(stocked: Gateway, kind: str) -> None:
    """Of 24 equal requests at once one is made, all get its answer, and no file is left over."""
    body = BODY
    if kind == "uploads":
        place = stocked.client.post("/v1/uploads", json={"file": "v.wav"}).json()
        stocked.client.put(place["url"], content=b"voice")
        body = {**BODY, "voice": {"upload": place["upload"]}}
    barrier = threading.Barrier(24)

    def one(_: int) -> str:
        barrier.wait(20)
        if kind == "form":
            return json.dumps(stocked.ask("a.mp4", **KEY))
        answer = post(stocked, body, **KEY)
        assert answer.status_code == 201, answer.text
        return json.dumps(answer.json())

    with ThreadPoolExecutor(24) as pool:
        answers = set(pool.map(one, range(24)))
    assert len(answers) == 1
    request = json.loads(answers.pop())["request"]
    inputs = [key for key in stocked.keys(BUCKETS.input) if key.split("/")[1] == request]
    assert len(inputs) == 3 if kind == "form" else 4
    work = stocked.keys(BUCKETS.work)
    assert sorted(key.split("/")[1] for key in work) == ["requested", "requests"]
    strays = [key for key in stocked.keys(BUCKETS.input) if "/u" in key]
    assert strays == []


def test_a_request_that_was_killed_half_way(gateway: Gateway) -> None:
    """A request whose maker died before the files were in place is completed, once it is old."""
    accepted = gateway.ask("a.mp4", "b.mp4")
    keys = RequestKeys("default", accepted["request"])
    requests = Requests(gateway.store, BUCKETS)
    document = requests.find("default", accepted["request"])
    assert document is not None
    # As it was before: the face is still an upload.
    face = document.faces[1]
    gateway.store.move(BUCKETS.input, keys.input(face.file).key, face.source)
    requests.heal("default")
    assert gateway.view(f"{document.request}-2")["phase"] == "waiting", "its maker may be at it"
    old = replace(document, made_at=time.time() - 60)
    gateway.store.put(BUCKETS.work, keys.document, documents.dump(old))
    requests.heal("default")
    assert gateway.store.get(BUCKETS.input, keys.input(face.file).key) == b"b.mp4"
    assert not gateway.store.exists(BUCKETS.input, face.source)
    assert gateway.view(f"{document.request}-2")["phase"] == "ingesting"


def test_healing_brings_nothing_back(gateway: Gateway) -> None:
    """What was cancelled or lost is not waited for, and hides no other request."""
    accepted = gateway.ask("a.mp4")
    keys = RequestKeys("default", accepted["request"])
    requests = Requests(gateway.store, BUCKETS)
    document = requests.find("default", accepted["request"])
    assert document is not None
    old = replace(document, made_at=time.time() - 60)
    gateway.store.put(BUCKETS.work, keys.document, documents.dump(old))
    gateway.store.delete(BUCKETS.input, keys.input(document.faces[0].file).key)
    requests.heal("default")
    assert gateway.view(f"{document.request}-1")["phase"] == "waiting"


def test_uploads_that_nobody_used_are_swept(gateway: Gateway) -> None:
    """Old uploads go; young ones, and files that people dropped, stay."""
    dropped(gateway, "default/news/voice.wav", "default/u/voice.wav")
    place = gateway.client.post("/v1/uploads", json={"file": "v.wav"}).json()
    gateway.client.put(place["url"], content=b"voice")
    requests = Requests(gateway.store, BUCKETS)
    requests.sweep("default", hours=1)
    assert len(gateway.keys(BUCKETS.input)) == 3
    requests.sweep("default", hours=-1)
    assert gateway.keys(BUCKETS.input) == ["default/news/voice.wav", "default/u/voice.wav"]


def test_documents_are_read_back(gateway: Gateway) -> None:
    """A request's document tells what was asked for."""
    accepted = gateway.ask("a.mp4", voice="v.wav")
    data = gateway.store.get(BUCKETS.work, RequestKeys("default", accepted["request"]).document)
    document = documents.load(RequestDocument, data)
    assert [item.file for item in document.files] == ["v.wav", "a.mp4"]
    assert documents.dump(document) == data
