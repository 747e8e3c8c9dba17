from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.errors import Code, RejectedInput
from functions.layout import ModelKeys
from functions.models import choose, find, names, remove, versions
from functions.plans import Model
from functions.storage import Store

BUCKET = "koubo-models"
KNOWN = {"viseme": "1"}


@pytest.fixture
def store() -> Store:
    return Store.memory()


def shelve(store: Store, name: str, version: str) -> ModelKeys:
    """A model in the bucket."""
    keys = ModelKeys(name, version)
    for key in (keys.file("generator.onnx"), keys.manifest):
        store.put(BUCKET, key, b"x")
    return keys


def test_a_name_means_the_highest_version(store: Store) -> None:
    """Versions are ordered as people do: 10 after 9, and 1.10 after 1.9."""
    for version in ("9", "10", "2"):
        shelve(store, "lips", version)
    for version in ("1.9", "1.10", "1.2-beta", "2024-01"):
        shelve(store, "other", version)
    assert choose(store, BUCKET, "lips", KNOWN) == Model("lips", "10")
    assert choose(store, BUCKET, "lips/9", KNOWN) == Model("lips", "9")
    assert versions(store, BUCKET, "other") == ["1.2-beta", "1.9", "1.10", "2024-01"]
    assert names(store, BUCKET) == ["lips", "other"]


def test_known_models_need_not_be_in_the_bucket(store: Store) -> None:
    """What settings name is taken at its word, and goes before what the bucket has."""
    shelve(store, "viseme", "7")
    assert choose(store, BUCKET, "viseme", KNOWN) == Model("viseme", "1")
    assert choose(store, BUCKET, "viseme/1", KNOWN) == Model("viseme", "1")
    assert choose(store, BUCKET, "viseme/7", KNOWN) == Model("viseme", "7")


def test_a_folder_of_models_is_looked_through(store: Store, tmp_path: Path) -> None:
    """A machine's own models count like the bucket's, and a folder that isn't there like none."""
    shelve(store, "lips", "2")
    for version in ("1", "10"):
        (tmp_path / "lips" / version).mkdir(parents=True)
        (tmp_path / "lips" / version / "model.toml").write_text("")
    (tmp_path / "empty" / "1").mkdir(parents=True)
    assert choose(store, BUCKET, "lips", KNOWN, tmp_path) == Model("lips", "10")
    assert choose(store, BUCKET, "lips/2", KNOWN, tmp_path) == Model("lips", "2")
    assert names(store, BUCKET, tmp_path) == ["lips"]
    assert choose(store, BUCKET, "lips", KNOWN, tmp_path / "none") == Model("lips", "2")


def test_half_a_model_is_none(store: Store) -> None:
    """Without its `model.toml`, which is written last, a model isn't there yet."""
    keys = shelve(store, "lips", "1")
    store.delete(BUCKET, keys.manifest)
    assert find(store, BUCKET, "lips", KNOWN) is None
    assert names(store, BUCKET) == []


@pytest.mark.parametrize(
    "wanted",
    ["lips", "viseme/2", "", "/", "viseme/", "../viseme", "viseme/../1", "Viseme", "a/b/c", "口播"],
)
def test_what_is_not_there_is_refused(store: Store, wanted: str) -> None:
    """The refusal repeats what was asked for and says what there is."""
    shelve(store, "other", "1")
    with pytest.raises(RejectedInput) as caught:
        choose(store, BUCKET, wanted, KNOWN)
    assert caught.value.code is Code.BAD_OPTIONS
    assert repr(wanted) in caught.value.what
    assert "known are other, viseme." in caught.value.what


@given(st.text(max_size=30))
def test_any_text_is_a_model_or_none(wanted: str) -> None:
    """Whatever a job asks for, it finds a known model or nothing; no key is made of it."""
    found = find(Store.memory(), BUCKET, wanted, KNOWN)
    assert found == (Model("viseme", "1") if wanted in ("viseme", "viseme/1") else None)


def test_a_removed_model_is_gone(store: Store) -> None:
    """All of its objects go, and those of its neighbours stay."""
    keys = shelve(store, "lips", "1")
    shelve(store, "lips", "10")
    assert remove(store, BUCKET, keys)
    assert versions(store, BUCKET, "lips") == ["10"]
    assert {entry.key for entry in store.entries(BUCKET, "")} == {
        "lips/10/generator.onnx",
        "lips/10/model.toml",
    }
    assert not remove(store, BUCKET, keys)
