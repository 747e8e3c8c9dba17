import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.events import (
    NotAnEventError,
    ObjectCreated,
    from_folder,
    from_json,
    from_listen,
    parse,
)

GOLDEN = Path(__file__).parent / "events"
NAMES = sorted(path.name.removesuffix(".expected.json") for path in GOLDEN.glob("*.expected.json"))


@pytest.mark.parametrize("name", NAMES)
def test_every_dialect(name: str) -> None:
    """Each body that a sender sends becomes the events that stand beside it on disk."""
    body = (GOLDEN / f"{name}.json").read_bytes()
    headers = GOLDEN / f"{name}.headers.json"
    expected = json.loads((GOLDEN / f"{name}.expected.json").read_text())
    if name.startswith("listen-"):
        events = from_listen(json.loads(body)["Records"])
    else:
        given = json.loads(headers.read_text()) if headers.exists() else {}
        events = parse(body, given, "the-input-bucket")
    assert events == [ObjectCreated(**event) for event in expected]


def test_every_dialect_is_on_disk() -> None:
    """No dialect lacks its golden pair, and no body lacks what it should become."""
    assert {name.partition("-")[0] for name in NAMES} == {
        "aws", "cloudevents", "eventbridge", "listen", "minio", "rustfs", "sqs",
    }  # fmt: skip
    bodies = {path.stem for path in GOLDEN.glob("*.json") if path.stem.count(".") == 0}
    assert bodies == set(NAMES)


def _record(key: str) -> dict[str, object]:
    return {
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "b"}, "object": {"key": key}},
    }


def _s3(key: str) -> dict[str, object]:
    return {"Records": [_record(quote_plus(key, safe="/"))]}


def _cloud(kind: str, source: str, key: str) -> dict[str, str]:
    return {"specversion": "1.0", "id": "1", "type": kind, "source": source, "subject": key}


def _headers(event: dict[str, str]) -> dict[str, str]:
    return {f"ce-{name}": quote(value) for name, value in event.items()}


CONNECTOR = ("dev.knative.connector.event.aws-s3", "aws.s3.bucket.b")
CLOUD_S3 = ("com.amazonaws.s3.ObjectCreated:Put", "aws:s3.eu-central-1.b")
DIALECTS: dict[str, Callable[[str], tuple[object, dict[str, str]]]] = {
    "minio, rustfs": lambda key: ({"Records": [_record(quote_plus(key, safe=""))]}, {}),
    "aws": lambda key: (_s3(key), {}),
    "sqs": lambda key: ({"Records": [{"body": json.dumps(_s3(key))}]}, {}),
    "eventbridge": lambda key: (
        {
            "detail-type": "Object Created",
            "detail": {"bucket": {"name": "b"}, "object": {"key": key}},
        },
        {},
    ),
    "cloudevents s3, structured": lambda key: (_cloud(*CLOUD_S3, key), {}),
    "cloudevents s3, with data": lambda key: ({**_cloud(*CLOUD_S3, ""), "data": _s3(key)}, {}),
    "cloudevents s3, binary": lambda key: (
        _record(quote_plus(key, safe="/")),
        _headers(_cloud(*CLOUD_S3, key)),
    ),
    "cloudevents knative, structured": lambda key: (_cloud(*CONNECTOR, key), {}),
    "cloudevents knative, binary": lambda key: ("content", _headers(_cloud(*CONNECTOR, key))),
}
KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(KEYS)
@example("t/口播 1/a b+c%20d%2F.mp4")
@example("a%")
@example("+ +")
def test_any_key_survives(dialect: str, key: str) -> None:
    """Whatever a key holds, every dialect brings it as it is in the store."""
    body, headers = DIALECTS[dialect](key)
    assert parse(json.dumps(body).encode(), headers) == [ObjectCreated("b", key)]


@given(KEYS)
def test_any_key_survives_listening(key: str) -> None:
    """The listen API's keys are not escaped and are left alone."""
    assert from_listen([_record(key)]) == [ObjectCreated("b", key)]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"{", {}),
        (b"[" * 100_000, {}),
        (b"\xff\xfe", {}),
        (b"null", {}),
        (b"[]", {}),
        (b"[[]]", {}),
        (b"1", {}),
        (b'{"Records": [{"body": "no JSON"}]}', {}),
        (b'{"detail-type": "Object Created"}', {}),
        (b'{"specversion": "1.0", "type": "org.example.else"}', {}),
        (b'{"specversion": "1.0", "type": "com.amazonaws.s3.ObjectCreated:Put"}', {}),
        (b"x", {"ce-type": "dev.knative.connector.event.aws-s3", "ce-source": "elsewhere"}),
    ],
)
def test_garbage_is_refused(body: bytes, headers: dict[str, str]) -> None:
    """What is no event in any dialect is refused, with a reason."""
    with pytest.raises(NotAnEventError, match=r".{10}"):
        parse(body, headers)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"Records": None},
        {"Records": {}},
        {"Records": [None]},
        {"Records": ["s3:ObjectCreated:Put"]},
        {"Records": [{"eventName": "s3:ObjectCreated:Put"}]},
        {"Records": [{"eventName": "s3:ObjectCreated:Put", "s3": []}]},
        {"Records": [{"eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": "b"}}}]},
        {
            "Records": [
                {
                    "eventName": "s3:ObjectCreated:Put",
                    "s3": {"bucket": {"name": "b"}, "object": "key"},
                }
            ]
        },
    ],
)
def test_other_bodies_are_no_events(body: dict[str, object]) -> None:
    """A body that lacks what every event has is refused as a whole."""
    with pytest.raises(NotAnEventError):
        from_json(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("Records", "eventName", "s3", "bucket", "object", "name", "key", "body"),
                    *("detail-type", "detail", "specversion", "type", "subject", "data"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
)


@given(JSON)
def test_any_json_is_events_or_none(body: object) -> None:
    """Whatever JSON comes in, it is read or refused; nothing else happens."""
    try:
        events = from_json(body)
    except NotAnEventError:
        return
    assert all(isinstance(event, ObjectCreated) for event in events)


@pytest.mark.parametrize("key", ["t/j/a b+c%20d 中#x.mp4", "t/50%.wav", "t/j/koubo.toml"])
def test_folder(tmp_path: Path, key: str) -> None:
    """A file in a bucket's folder is an object; its path is the key as it stands."""
    path = tmp_path / "koubo-input" / key
    path.parent.mkdir(parents=True)
    path.write_bytes(b"1")
    assert from_folder(tmp_path, path) == ObjectCreated("koubo-input", key)


def test_folder_leaves_out_what_is_no_object(tmp_path: Path) -> None:
    """Folders, buckets, files that are gone again or still being written are no objects."""
    folder = tmp_path / "koubo-input" / "t"
    folder.mkdir(parents=True)
    for name in (".hidden", "a.mp4.part", "b.wav#3"):
        (folder / name).write_bytes(b"1")
        assert from_folder(tmp_path, folder / name) is None
    (tmp_path / "loose.wav").write_bytes(b"1")
    for path in (folder, folder.parent, folder / "gone.wav", tmp_path / "loose.wav"):
        assert from_folder(tmp_path, path) is None
