import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from functions.errors import RetryableError
from functions.input_cache import InputCache
from functions.storage import Store

BUCKET = "bucket"


@pytest.fixture
def full(tmp_path: Path) -> Store:
    """A store with three files of 100 bytes, `a`, `b` and `c`."""
    store = Store.memory()
    for name in "abc":
        store.put(BUCKET, name, name.encode() * 100)
    return store


def kept(cache: InputCache) -> set[str]:
    return {path.name for path in cache.root.iterdir()}


def digest_of(name: str) -> str:
    return hashlib.sha256(name.encode() * 100).hexdigest()


def test_cache_downloads_once(full: Store, tmp_path: Path) -> None:
    """What was held is held again by its digest without asking the store."""
    cache = InputCache(tmp_path / "cache", 1000)
    with cache.hold(full, BUCKET, "a") as (path, digest):
        assert path.read_bytes() == b"a" * 100
        assert digest == digest_of("a")
    full.delete(BUCKET, "a")
    with cache.hold(full, BUCKET, "a", digest) as (path, again):
        assert path.read_bytes() == b"a" * 100
        assert again == digest
    assert kept(cache) == {digest}


def test_cache_refuses_another_content(full: Store, tmp_path: Path) -> None:
    """An object that was replaced since it was analysed is an error, and nothing of it stays."""
    cache = InputCache(tmp_path / "cache", 1000)
    with (
        pytest.raises(RetryableError, match="no longer"),
        cache.hold(full, BUCKET, "a", digest_of("b")),
    ):
        pass
    assert kept(cache) == set()


def test_cache_leaves_nothing_of_a_failure(full: Store, tmp_path: Path) -> None:
    """Neither a missing object nor an error of the user leaves a held file."""
    cache = InputCache(tmp_path / "cache", 1000)
    with pytest.raises(FileNotFoundError), cache.hold(full, BUCKET, "none"):
        pass
    with pytest.raises(ZeroDivisionError), cache.hold(full, BUCKET, "a"):
        raise ZeroDivisionError
    assert kept(cache) == {digest_of("a")}


def test_cache_is_bounded(full: Store, tmp_path: Path) -> None:
    """What was used longest ago goes first; the rest fits the limit."""
    cache = InputCache(tmp_path / "cache", 250)
    for age, name in enumerate("ab"):
        with cache.hold(full, BUCKET, name):
            pass
        os.utime(cache.root / digest_of(name), (1000 + age, 1000 + age))
    with cache.hold(full, BUCKET, "a", digest_of("a")):  # now b is the older one
        pass
    with cache.hold(full, BUCKET, "c"):
        pass
    assert kept(cache) == {digest_of("a"), digest_of("c")}


def test_held_files_survive_eviction(full: Store, tmp_path: Path) -> None:
    """A file in use stays readable though the cache, too small for it, keeps nothing."""
    cache = InputCache(tmp_path / "cache", 50)
    with cache.hold(full, BUCKET, "a") as (one, _), cache.hold(full, BUCKET, "b") as (other, _):
        assert one.read_bytes() == b"a" * 100
        assert other.read_bytes() == b"b" * 100
    assert kept(cache) == set()


def test_many_use_the_cache_at_once(full: Store, tmp_path: Path) -> None:
    """Workers that hold and evict the same files at the same time don't disturb each other."""
    cache = InputCache(tmp_path / "cache", 150)

    def use(number: int) -> bytes:
        name = "abc"[number % 3]
        with cache.hold(full, BUCKET, name, digest_of(name) if number % 2 else None) as (path, _):
            return path.read_bytes()

    with ThreadPoolExecutor(8) as threads:
        contents = list(threads.map(use, range(240)))
    assert contents == ["abc"[number % 3].encode() * 100 for number in range(240)]
    assert len(kept(cache)) <= 1
