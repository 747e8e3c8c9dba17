import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.events import NotAnEventError, ObjectCreated, from_folder, from_minio

GOLDEN = Path(__file__).parent / "events"


@pytest.mark.parametrize(
    "name",
    sorted(
        path.stem for path in GOLDEN.glob("minio-*.json") if not path.stem.endswith(".expected")
    ),
)
def test_minio(name: str) -> None:
    """Each body that a MinIO server sends becomes the events that stand beside it on disk."""
    body = json.loads((GOLDEN / f"{name}.json").read_text())
    expected = json.loads((GOLDEN / f"{name}.expected.json").read_text())
    assert from_minio(body) == [ObjectCreated(**event) for event in expected]


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
        from_minio(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Records", "eventName", "s3", "bucket", "object", "name", "key"]),
            inner,
            max_size=4,
        )
    ),
)


@given(st.dictionaries(st.sampled_from(["Records", "Key"]), JSON))
def test_any_json_is_events_or_none(body: dict[str, object]) -> None:
    """Whatever JSON comes in, it is read or refused; nothing else happens."""
    try:
        events = from_minio(body)
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
