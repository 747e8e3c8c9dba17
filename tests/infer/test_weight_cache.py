"""Models on their way from the bucket to local disk."""

import multiprocessing
import os
import shutil
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.errors import BadModelError, CancelledRun, RetryableError
from functions.infer import weight_cache
from functions.infer.manifest import MANIFEST, sha256
from functions.infer.model_add import make_model, put_model
from functions.infer.model_draft import Naming
from functions.infer.weight_cache import WeightCache
from functions.layout import ModelKeys
from functions.settings import ModelSettings
from functions.storage import Store
from tests.infer.wav2lip_graphs import write_wav2lip

BUCKET = "koubo-models"
LIMIT = 1 << 30


@pytest.fixture
def store(tmp_path):
    return Store.folder(tmp_path / "store")


@pytest.fixture
def add(store, tmp_path):
    """Puts a model into the bucket."""

    def make(name="lips", version="1", seed=0):
        into = tmp_path / f"{name}-{version}-{seed}"
        into.mkdir()
        path = write_wav2lip(into / "a.onnx", seed=seed)
        naming = Naming("wav2lip", name, version, "CC0-1.0")
        manifest = make_model([path], naming, into, ModelSettings())
        put_model(store, BUCKET, manifest)
        return ModelKeys(name, version)

    return make


@pytest.fixture
def cache(tmp_path):
    return WeightCache(tmp_path / "cache", LIMIT, LIMIT)


def another(cache, **changes):
    """The cache of another process on the same folder."""
    limits = {"limit": cache.limit, "max_file_bytes": cache.max_file_bytes} | changes
    return WeightCache(cache.root, **limits)


def models_in(cache):
    return {path.name for path in cache.root.iterdir() if (path / MANIFEST).is_file()}


def test_a_model_comes_whole(store, cache, add):
    """Its files are there with their content, in a folder named by its digest."""
    manifest = cache.fetch(store, BUCKET, add())
    assert manifest.folder == cache.root / manifest.digest
    assert sha256(manifest.graph("generator")) == manifest.files["generator.onnx"]
    assert not [path for path in cache.root.iterdir() if path.name.startswith("new-")]


def test_a_model_comes_once(store, cache, add):
    """The second time only its `model.toml` is read from the bucket, by whichever process."""
    keys = add()
    first = cache.fetch(store, BUCKET, keys)
    store.delete(BUCKET, keys.file("generator.onnx"))
    assert cache.fetch(store, BUCKET, keys) == first
    assert another(cache).fetch(store, BUCKET, keys) == first


def test_a_replaced_model_comes_anew(store, cache, add):
    """Other weights under the same name have another digest, and are fetched."""
    keys = add()
    first = cache.fetch(store, BUCKET, keys)
    store.delete(BUCKET, keys.manifest)
    add(seed=1)
    second = cache.fetch(store, BUCKET, keys)
    assert second.digest != first.digest
    assert second.files != first.files
    assert second.file("generator.onnx").is_file()


def test_what_is_not_there_is_named(store, cache, add):
    """Neither a model that nobody added nor half of one is found, and nothing is left behind."""
    with pytest.raises(BadModelError, match="model lips 1 is not in the bucket koubo-models"):
        cache.fetch(store, BUCKET, ModelKeys("lips", "1"))
    keys = add()
    store.delete(BUCKET, keys.file("generator.onnx"))
    with pytest.raises(BadModelError, match=r"model lips 1 lacks its file generator\.onnx"):
        cache.fetch(store, BUCKET, keys)
    assert models_in(cache) == set()
    assert not [path for path in cache.root.iterdir() if path.name.startswith("new-")]


def test_a_damaged_model_is_not_kept(store, cache, add):
    """A file with another digest is refused; once it is mended the model comes."""
    keys = add()
    whole = store.get(BUCKET, keys.file("generator.onnx"))
    store.put(BUCKET, keys.file("generator.onnx"), whole[:-1] + b"x")
    with pytest.raises(BadModelError, match=r"generator\.onnx of model lips 1 is damaged"):
        cache.fetch(store, BUCKET, keys)
    assert models_in(cache) == set()
    store.put(BUCKET, keys.file("generator.onnx"), whole)
    assert cache.fetch(store, BUCKET, keys).file("generator.onnx").is_file()


def test_a_file_that_is_too_large_is_not_fetched(store, cache, add):
    """The size is looked at before a byte is fetched."""
    with pytest.raises(BadModelError, match=r"generator\.onnx of model lips 1 has \d+ bytes"):
        another(cache, max_file_bytes=100).fetch(store, BUCKET, add())


def test_a_model_under_another_name_is_refused(store, cache, add):
    """What calls itself something else would be reported as something else."""
    keys, other = add(), ModelKeys("other", "1")
    for name in (MANIFEST, "generator.onnx"):
        store.put(BUCKET, other.file(name), store.get(BUCKET, keys.file(name)))
    with pytest.raises(BadModelError, match="model other 1 calls itself lips 1"):
        cache.fetch(store, BUCKET, other)


def test_the_latest_used_stay(store, cache, add):
    """Past the limit the least recently used models go; those in use stay."""
    keys = [add(f"lips-{n}", seed=n) for n in range(3)]
    digests = []
    for number, each in enumerate(keys[:2]):
        # Processes that have ended since: nobody holds these.
        ended = another(cache)
        digests.append(ended.fetch(store, BUCKET, each).digest)
        os.utime(cache.root / digests[-1], (number, number))
        for file in ended._held.values():
            os.close(file)
    size = sum(path.stat().st_size for path in (cache.root / digests[0]).iterdir())
    small = another(cache, limit=int(2.5 * size))
    digests.append(small.fetch(store, BUCKET, keys[2]).digest)
    assert models_in(cache) == set(digests[1:])
    tiny = another(cache, limit=1)
    again = tiny.fetch(store, BUCKET, keys[0]).digest
    # The one in the middle was held by nobody; the last is held by `small`.
    assert models_in(cache) == {digests[2], again}


def test_many_fetch_one_model_at_once(store, cache, add):
    """Whoever comes second waits, and the model is fetched once."""
    keys = add()
    fetched = []

    class Counting(Store):
        def get_range(self, bucket, key, start, length):
            fetched.append(key)
            return super().get_range(bucket, key, start, length)

    counting = Counting(store._open, store.root)
    barrier = threading.Barrier(4)

    def fetch(_):
        barrier.wait()
        return another(cache).fetch(counting, BUCKET, keys)

    with ThreadPoolExecutor(4) as pool:
        digests = {manifest.digest for manifest in pool.map(fetch, range(4))}
    assert len(digests) == 1
    assert fetched == [keys.file("generator.onnx")]


def test_two_that_miss_a_model_at_the_same_moment(store, cache, add, monkeypatch):
    """Who waits for the other to fetch it shares it then, though the other never lets go of it."""
    keys = add()
    both, asked, whole = threading.Barrier(2), threading.local(), weight_cache._is_whole

    def is_whole(folder):
        found = whole(folder)
        if not getattr(asked, "before", False):
            asked.before = True
            both.wait(10)
        return found

    monkeypatch.setattr("functions.infer.weight_cache._is_whole", is_whole)
    caches = [WeightCache(cache.root, LIMIT, LIMIT, wait_seconds=10) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        found = set(pool.map(lambda each: each.fetch(store, BUCKET, keys).digest, caches))
    assert len(found) == 1


def test_whoever_watches_hears_of_it(store, cache, add, monkeypatch):
    """Each piece is a sign of life, and a run that nobody wants any more ends the fetching."""
    monkeypatch.setattr("functions.infer.weight_cache._PIECE", 300)
    heard = []
    watched = WeightCache(cache.root, LIMIT, LIMIT, progress=lambda *said: heard.append(said))
    keys = add()
    size = store.head(BUCKET, keys.file("generator.onnx")).size
    watched.fetch(store, BUCKET, keys)
    assert heard == [(0, 0)] * -(-size // 300)

    def cancelled(done, total):
        raise CancelledRun("nobody wants it")

    other = WeightCache(cache.root, LIMIT, LIMIT, progress=cancelled)
    with pytest.raises(CancelledRun):
        other.fetch(store, BUCKET, add("other"))
    assert len(models_in(cache)) == 1
    assert not [path for path in cache.root.iterdir() if path.name.startswith("new-")]


def test_waiting_for_another_process_has_an_end(store, cache, add):
    """A process that holds a model's lock for too long is reported, and the event comes again."""
    keys = add()
    manifest = cache.fetch(store, BUCKET, keys)
    shutil.rmtree(manifest.folder)
    impatient = WeightCache(cache.root, LIMIT, LIMIT, wait_seconds=0.2)
    with pytest.raises(RetryableError, match="another process has held model lips 1"):
        impatient.fetch(store, BUCKET, keys)


class Dying(Store):
    """A store in the middle of whose download the process is killed."""

    def get_range(self, bucket, key, start, length):
        os.kill(os.getpid(), signal.SIGKILL)


def _fetch_and_die(root, cache_root, keys):
    store = Store.folder(root)
    WeightCache(cache_root, LIMIT, LIMIT).fetch(Dying(store._open, root), BUCKET, keys)


def test_a_killed_process_leaves_no_half_model(store, cache, add):
    """One that dies while it fetches holds nobody up; what it left is no model and goes."""
    keys, other = add(), add("other")
    for each in (keys, other):
        process = multiprocessing.get_context("spawn").Process(
            target=_fetch_and_die, args=(store.root, cache.root, each)
        )
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
    assert models_in(cache) == set()
    assert len([path for path in cache.root.iterdir() if path.name.startswith("new-")]) == 2
    manifest = cache.fetch(store, BUCKET, keys)
    assert manifest.file("generator.onnx").is_file()
    assert not [path for path in cache.root.iterdir() if path.name.startswith("new-")]
