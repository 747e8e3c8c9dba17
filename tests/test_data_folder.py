from pathlib import Path

import pytest

from functions.data_folder import DataFolder, lock
from functions.errors import KouboError
from functions.settings import BucketSettings

from .test_local import running

BUCKETS = BucketSettings()


def test_one_at_a_time(tmp_path: Path) -> None:
    """A data folder has one owner; when that ends, however, the next one may have it."""
    data = DataFolder(tmp_path)
    held = lock(data)
    with pytest.raises(KouboError, match="another koubo"):
        lock(data)
    held.release()
    lock(data).release()


def test_remains_of_a_killed_one_are_cleared(tmp_path: Path) -> None:
    """Scratch files and held inputs of a process that was killed are gone; the cache stays."""
    own = DataFolder(tmp_path).own
    for name in ("scratch/ingest-x/voice.wav", "inputs/held-1-a", "inputs/" + "ab" * 32):
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        (own / name).write_bytes(b"x")
    with running(tmp_path):
        assert list((own / "scratch").iterdir()) == []
        assert [path.name for path in (own / "inputs").iterdir()] == ["ab" * 32]
