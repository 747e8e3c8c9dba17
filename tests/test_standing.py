from pathlib import Path

import pytest

from functions import documents
from functions.analysis import Upload
from functions.input_keys import parse_input
from functions.plans import Source
from functions.settings import BucketSettings
from functions.standing import look_again, standing, twin_of
from functions.storage import Store

BUCKETS = BucketSettings()
KEY = "t/news/anna.mp4"
SOURCE = Source(KEY, "sha", "digest")


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    made = Store.memory() if request.param == "memory" else Store.folder(tmp_path)
    made.put(BUCKETS.input, KEY, b"content")
    return made


def looked_at(store: Store, role: str, digest: str, refusal: str | None = None) -> str:
    """Ingest has been there; returns the key that says so."""
    file, identity = parse_input(KEY), store.head(BUCKETS.input, KEY).identity
    upload = Upload(file.file, role, digest, refusal)  # type: ignore[arg-type]
    store.put(BUCKETS.work, file.upload(identity), documents.dump(upload))
    store.put(BUCKETS.work, file.handled(identity), b"")
    return file.handled(identity)


@pytest.mark.parametrize(
    ("role", "digest", "refusal", "how"),
    [
        ("face", "digest", None, "there"),
        ("face", "another", None, "replaced"),
        ("voice", "another", None, "replaced"),
        ("refused", "", "not_media", "replaced"),
        # Of these nobody knows what they hold.
        ("refused", "", "gave_up", "there"),
        ("refused", "", "cancelled", "there"),
    ],
)
def test_how_an_input_stands(
    store: Store, role: str, digest: str, refusal: str | None, how: str
) -> None:
    """By the record of what lies there now it is the one that was planned, or another."""
    looked_at(store, role, digest, refusal)
    assert standing(store, BUCKETS, SOURCE) == how


def test_what_nobody_has_looked_at_counts_as_there(store: Store) -> None:
    """An upload whose content is not known yet ends nothing."""
    assert standing(store, BUCKETS, SOURCE) == "there"


def test_what_is_gone(store: Store) -> None:
    """A file that was taken away is gone, whatever was known of it."""
    looked_at(store, "face", "digest")
    store.delete(BUCKETS.input, KEY)
    assert standing(store, BUCKETS, SOURCE) == "gone"
    look_again(store, BUCKETS, KEY)


def test_twins_are_found(store: Store) -> None:
    """Another file of the job with the same content, as far as ingest knows, is a twin."""
    for key, digest in (
        ("t/news/bea.mp4", "another"),
        ("t/news/cat.mp4", "digest"),
        ("t/sports/dan.mp4", "digest"),
    ):
        store.put(BUCKETS.input, key, b"content")
        file, identity = parse_input(key), store.head(BUCKETS.input, key).identity
        upload = Upload(file.file, "face", digest, None)
        store.put(BUCKETS.work, file.upload(identity), documents.dump(upload))
    store.put(BUCKETS.input, "t/news/eve.mp4", b"not looked at yet")
    assert twin_of(store, BUCKETS, SOURCE) == "t/news/cat.mp4"
    store.delete(BUCKETS.input, "t/news/cat.mp4")
    assert twin_of(store, BUCKETS, SOURCE) is None


def test_what_is_to_be_looked_at_again(store: Store) -> None:
    """What lies there is due once more, though it was handled to its end."""
    handled = looked_at(store, "face", "another")
    look_again(store, BUCKETS, KEY)
    assert not store.exists(BUCKETS.work, handled)
