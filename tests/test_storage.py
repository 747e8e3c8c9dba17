import asyncio
import hashlib
import os
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from functions.errors import RetryableError
from functions.storage import Store

BUCKET = "bucket"
STORES = ["memory", "folder"]
WEIRD = [
    "t/a b.mp4",
    "t/a+b.mp4",
    "t/100%.mp4",
    "t/a%20b%2Fc.mp4",
    "t/口播/主播 #1.mp4",
    "t/what?*[x]{y}.mp4",
    "t/-dash.mp4",
    "t/quote'\".mp4",
    "t/&<>=~^|.mp4",
]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Each store that keeps the same contract."""
    return Store.memory() if request.param == "memory" else Store.folder(tmp_path / "data")


def test_put_replaces(store: Store) -> None:
    """An object is what was put last, from memory or from a file."""
    store.put(BUCKET, "t/a", b"one")
    store.put(BUCKET, "t/a", b"two")
    assert store.get(BUCKET, "t/a") == b"two"
    assert store.head(BUCKET, "t/a").size == 3


def test_files_go_up_whole(store: Store, tmp_path: Path) -> None:
    """A file larger than the parts in which it travels arrives byte for byte."""
    content = os.urandom(9 << 20)
    path = tmp_path / "big"
    path.write_bytes(content)
    store.put(BUCKET, "t/big", path)
    assert store.put_new(BUCKET, "t/new", path)
    digest = hashlib.sha256(content).hexdigest()
    for key in ("t/big", "t/new"):
        assert store.download(BUCKET, key, tmp_path / "down") == digest
        assert (tmp_path / "down").read_bytes() == content


def test_exactly_one_creates(store: Store) -> None:
    """Of 24 threads that create the same object one is told so, and its content stays."""
    ready = threading.Barrier(24)

    def create(number: int) -> bool:
        ready.wait()
        return store.put_new(BUCKET, "t/race", str(number).encode())

    with ThreadPoolExecutor(24) as threads:
        won = list(threads.map(create, range(24)))
    assert won.count(True) == 1
    assert store.get(BUCKET, "t/race") == str(won.index(True)).encode()


@pytest.mark.parametrize("key", WEIRD)
def test_weird_keys(store: Store, key: str) -> None:
    """A key comes back from a list as it was put, and can be read by what came back."""
    store.put(BUCKET, key, b"content")
    (entry,) = store.entries(BUCKET, "t")
    assert entry.key == key
    assert store.get(BUCKET, entry.key) == b"content"
    assert store.head(BUCKET, key) == entry
    assert not store.put_new(BUCKET, key, b"other")


@pytest.mark.parametrize("key", WEIRD)
def test_dropped_files_have_the_same_key(tmp_path: Path, key: str) -> None:
    """A file that somebody copies into the folder is the object of that very name."""
    path = tmp_path / BUCKET / key
    path.parent.mkdir(parents=True)
    path.write_bytes(b"dropped")
    store = Store.folder(tmp_path)
    assert [entry.key for entry in store.entries(BUCKET, "t")] == [key]
    assert store.head(BUCKET, key).size == 7
    assert store.get(BUCKET, key) == b"dropped"
    assert not store.put_new(BUCKET, key, b"other")
    store.delete(BUCKET, key)
    assert not path.exists()


def test_entries_are_in_order(store: Store) -> None:
    """Entries come in the order of their keys, from past a given one, below whole path parts."""
    names = [f"t/{number:03d}" for number in (7, 2, 99, 41, 0, 63, 18, 5)] + [
        "t/a/b",
        "t/B",
        "t/中",
    ]
    for name in [*names, "t2/a", "tt"]:
        store.put(BUCKET, name, b"")
    listed = [entry.key for entry in store.entries(BUCKET, "t")]
    assert listed == sorted(names, key=str.encode)
    assert [entry.key for entry in store.entries(BUCKET, "t", after=listed[3])] == listed[4:]
    assert len(list(store.entries(BUCKET, ""))) == len(names) + 2
    assert list(store.entries("another", "")) == []


def test_folders(store: Store) -> None:
    """The names one level below a prefix are told, those without anything below them are not."""
    for key in ("t/runs/b/plan.json", "t/runs/a/plan.json", "t/runs/loose", "u/x", "中 文/x"):
        store.put(BUCKET, key, b"")
    assert store.folders(BUCKET, "t/runs") == ["a", "b"]
    assert store.folders(BUCKET, "") == ["t", "u", "中 文"]
    assert store.folders(BUCKET, "nothing") == []


def test_etags_tell_contents_apart(store: Store) -> None:
    """Putting another content changes what the store says of the object."""
    store.put(BUCKET, "t/a", b"one")
    before = store.head(BUCKET, "t/a")
    store.put(BUCKET, "t/a", b"other")
    after = store.head(BUCKET, "t/a")
    assert (before.etag, before.size) != (after.etag, after.size)
    assert after.modified >= before.modified


def test_an_upload_has_one_identity(store: Store) -> None:
    """However one asks it is the same, and other content is another upload."""
    store.put(BUCKET, "a", b"one")
    (listed,) = store.entries(BUCKET, "")
    first = store.head(BUCKET, "a").identity
    assert listed.identity == first
    store.put(BUCKET, "a", b"another")
    assert store.head(BUCKET, "a").identity != first


def test_copies_are_their_own(store: Store) -> None:
    """A copy has the content, and what becomes of the original is nothing to it."""
    for key in WEIRD:
        store.put(BUCKET, key, key.encode())
        store.copy(BUCKET, key, f"{key}.copy")
        if store.root is not None:
            # As a copy tool does that writes over a file in place.
            with (store.root / BUCKET / key).open("r+b") as file:
                file.write(b"XX")
        store.delete(BUCKET, key)
        assert store.get(BUCKET, f"{key}.copy") == key.encode()


def test_moves(store: Store) -> None:
    """What was moved has its new name alone, and replaces what had it before."""
    store.put(BUCKET, "t/a b", b"new")
    store.put(BUCKET, "t/口播", b"old")
    store.move(BUCKET, "t/a b", "t/口播")
    assert [entry.key for entry in store.entries(BUCKET, "")] == ["t/口播"]
    assert store.get(BUCKET, "t/口播") == b"new"
    with pytest.raises(FileNotFoundError):
        store.move(BUCKET, "t/a b", "t/c")
    with pytest.raises(FileNotFoundError):
        store.copy(BUCKET, "t/a b", "t/c")


@pytest.mark.parametrize("count", [0, 1, 40])
def test_streams_in_and_out(store: Store, count: int) -> None:
    """What streams in, in pieces larger than a part of an upload all together, streams out."""
    content = os.urandom(count << 20)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 1 << 20):
            yield content[start : start + (1 << 20)]

    async def there_and_back() -> bytes:
        await store.receive(BUCKET, "t/stream", pieces())
        if not content:
            return store.get(BUCKET, "t/stream")
        sent = [piece async for piece in store.send(BUCKET, "t/stream", 1, len(content))]
        return content[:1] + b"".join(sent)

    assert asyncio.run(there_and_back()) == content


def test_a_stream_that_breaks_off_leaves_nothing(store: Store, tmp_path: Path) -> None:
    """An upload whose sender fails is no object, and leaves no file; its error comes through."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield bytes(1 << 20)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(store.receive(BUCKET, "t/broken", pieces()))
    assert not store.exists(BUCKET, "t/broken")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_only_some_stores_give_links(store: Store) -> None:
    """A folder and memory have no URLs."""
    assert store.link(BUCKET, "t/a", "GET", 60) is None


def test_what_is_missing_is_not_found(store: Store, tmp_path: Path) -> None:
    """Reading what is not there says so in one way; deleting it is no error."""
    reads: list[Callable[[], object]] = [
        lambda: store.get(BUCKET, "t/none"),
        lambda: store.head(BUCKET, "t/none"),
        lambda: store.download(BUCKET, "t/none", tmp_path / "down"),
    ]
    for read in reads:
        with pytest.raises(FileNotFoundError):
            read()
    assert not store.exists(BUCKET, "t/none")
    store.delete(BUCKET, "t/none")
    store.put(BUCKET, "t/none", b"")
    store.delete(BUCKET, "t/none")
    assert not store.exists(BUCKET, "t/none")


def test_keys_that_no_store_takes(store: Store) -> None:
    """A key with empty or climbing parts is an error of the table, and nothing is written."""
    for key in ("t//a", "../a", "t/../../a"):
        with pytest.raises(RetryableError):
            store.put(BUCKET, key, b"")
    assert list(store.entries(BUCKET, "")) == []


def test_a_failing_disk_is_worth_a_retry(tmp_path: Path) -> None:
    """Where the folder can't be one, every write is a retryable error."""
    (tmp_path / BUCKET).write_bytes(b"in the way")
    with pytest.raises(RetryableError):
        Store.folder(tmp_path).put(BUCKET, "t/a", b"")


class _Denies(BaseHTTPRequestHandler):
    """An object store that lets nobody in."""

    def do_GET(self) -> None:
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Not to the tests' output."""


def test_a_failure_is_told_in_one_line() -> None:
    """What the library says of its own insides goes into no log and before no person."""
    server = HTTPServer(("127.0.0.1", 0), _Denies)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    keys = {"access_key_id": "a", "secret_access_key": "b"}
    endpoint = f"http://127.0.0.1:{server.server_port}"
    store = Store.s3({"region": "r", "endpoint": endpoint, **keys}, {"allow_http": True})
    try:
        with pytest.raises(RetryableError, match="403 Forbidden") as raised:
            store.folders(BUCKET, "")
    finally:
        server.shutdown()
        server.server_close()
    assert "\n" not in str(raised.value)
