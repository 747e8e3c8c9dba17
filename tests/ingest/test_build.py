from pathlib import Path

import pytest

from functions.chain import Surroundings
from functions.errors import NotSetUpError
from functions.events import ObjectCreated
from functions.ingest.build import build
from functions.ingest.face_models import FaceModels
from functions.input_cache import InputCache
from functions.progress import silent
from functions.settings import BucketSettings, CacheSettings
from functions.storage import Store

BUCKETS = BucketSettings()


def around(folder: Path, models: Path) -> Surroundings:
    store, cache = Store.memory(), InputCache(folder / "cache", 1 << 20)
    return Surroundings(store, BUCKETS, cache, models, folder, silent)


def test_built_as_a_server_builds_it(face_models: FaceModels, tmp_path: Path) -> None:
    """The composition root gives a handler that handles."""
    given = around(tmp_path, CacheSettings().models)
    handle = build(given)
    given.store.put(BUCKETS.input, "t/news/voice.wav", b"text")
    handle(ObjectCreated(BUCKETS.input, "t/news/voice.wav"))
    assert given.store.exists(BUCKETS.output, "t/news/voice.wav.error.json")


def test_without_models_it_says_what_to_run(tmp_path: Path) -> None:
    """Before set-up the function doesn't start, and says how to set it up."""
    with pytest.raises(NotSetUpError, match="koubo setup"):
        build(around(tmp_path, tmp_path / "none"))
