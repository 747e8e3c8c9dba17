"""What tests of ingest's handler share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from functions.ingest.faces import FaceFinder
from functions.ingest.handler import Ingest
from functions.ingest.settings import IngestSettings
from functions.input_cache import InputCache
from functions.progress import silent
from functions.storage import Store

from .rig import BUCKETS, Rig


@pytest.fixture(scope="session")
def voice(ffmpeg: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of noise."""
    noise = ("-f", "lavfi", "-i", "anoisesrc=duration=2:color=pink:seed=3")
    return ffmpeg(*noise, tmp_path_factory.mktemp("voice") / "voice.wav")


@pytest.fixture
def rig(tmp_path: Path, finder: FaceFinder) -> Rig:
    """Ingest on an empty store, with the real face models and short limits."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    store = Store.folder(tmp_path / "data")
    ingest = Ingest(
        store=store,
        buckets=BUCKETS,
        cache=InputCache(tmp_path / "cache", 1 << 30),
        finder=finder,
        settings=IngestSettings(segment_seconds=1.0, max_seconds=30),
        scratch=scratch,
        progress=silent,
    )
    return Rig(store, ingest, scratch)
