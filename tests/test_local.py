import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from functions import runs
from functions.data_folder import DataFolder
from functions.events import ObjectCreated
from functions.layout import RunKeys
from functions.local import (
    Idle,
    Local,
    LocalSettings,
    News,
    Queued,
)
from functions.logs import LogSettings
from functions.pool import Job, Outcome
from functions.reconcile import due
from functions.runs import Attempt
from functions.settings import BucketSettings

BUCKETS = BucketSettings()
# Nothing but what a test says happens by itself; workers that take no job start in a moment.
QUIET = LocalSettings(workers=1, settle_seconds=0.3, reconcile_seconds=1e9)


@contextmanager
def running(root: Path, settings: LocalSettings = QUIET) -> Iterator[Local]:
    with Local(DataFolder(root), settings, LogSettings(file=root / "log")) as local:
        yield local


def queued(local: Local, seconds: float) -> list[str]:
    """What is taken into the queue within a time, while workers are kept from taking it out."""
    keys = []
    deadline = time.monotonic() + seconds
    for news in local.work():
        if isinstance(news, Queued):
            keys.append(news.job.event.key)
        if time.monotonic() > deadline:
            return keys
    raise AssertionError


def drop(root: Path, key: str, content: bytes = b"x", bucket: str = BUCKETS.input) -> Path:
    path = root / bucket / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def until(local: Local, seconds: float = 60.0) -> Iterator[News]:
    deadline = time.monotonic() + seconds
    for news in local.work():
        yield news
        assert time.monotonic() < deadline


def test_a_growing_file_is_left_alone(tmp_path: Path) -> None:
    """A file that is being copied in is taken once, after it has stopped growing."""
    settings = LocalSettings(workers=1, settle_seconds=0.8, reconcile_seconds=1e9)
    with running(tmp_path, settings) as local:
        taken: list[str] = []
        path = drop(tmp_path, "t/news/long.mov")
        began = grown = time.monotonic()
        for news in until(local):
            if isinstance(news, Queued):
                taken.append(news.job.event.key)
                assert time.monotonic() - grown >= 0.8
                break
            if time.monotonic() - began < 2.0:
                with path.open("ab") as file:
                    file.write(b"more")
                grown = time.monotonic()
        assert taken == ["t/news/long.mov"]
        assert time.monotonic() - began >= 2.8


def test_a_file_that_goes_away_again_is_no_job(tmp_path: Path) -> None:
    """What was dropped and taken away before it settled fires nothing and holds nothing up."""
    with running(tmp_path) as local:
        path = drop(tmp_path, "t/news/oops.mp4")
        for news in until(local):
            assert not isinstance(news, Queued)
            path.unlink(missing_ok=True)
            if isinstance(news, Idle) and news.empty:
                break


@pytest.mark.parametrize("name", ["a b+c.mp4", "100%.mp4", "口播 #1.wav", "-x.wav", "a%20b.wav"])
def test_any_name_is_noticed(tmp_path: Path, name: str) -> None:
    """A file is noticed under any name, also in folders that are made with it."""
    with running(tmp_path) as local:
        drop(tmp_path, f"租户/新 job/{name}")
        for news in until(local):
            if isinstance(news, Queued):
                assert news.job.event.key == f"租户/新 job/{name}"
                break


def test_unfinished_and_foreign_files_are_passed_over(tmp_path: Path) -> None:
    """Partial downloads, hidden files, outputs and our own corner fire nothing."""
    with running(tmp_path) as local:
        for name in (".x.mp4", "x.mp4.part", "x.mp4.crdownload", "x#1"):
            drop(tmp_path, f"t/news/{name}")
        drop(tmp_path, "t/news/a-b.mp4", bucket=BUCKETS.output)
        drop(tmp_path, "t/runs/r/plan.json", bucket=BUCKETS.work)
        assert queued(local, 1.2) == []


def test_what_was_there_before_is_found(tmp_path: Path) -> None:
    """Files dropped while nobody watched are found at the start."""
    drop(tmp_path, "t/news/early.wav")
    with running(tmp_path) as local:
        assert "t/news/early.wav" in queued(local, 1.0)


def test_an_event_waits_once(tmp_path: Path) -> None:
    """The same object told ten times is one job, while it waits."""
    event = ObjectCreated(BUCKETS.input, "t/news/a.wav")
    with running(tmp_path) as local:
        assert local.put(event) == Job("ingest", event)
        assert [local.put(event) for _ in range(10)] == [None] * 10
        assert local.put(ObjectCreated(BUCKETS.output, "t/news/a.mp4")) is None


def test_the_queue_has_a_size(tmp_path: Path) -> None:
    """What doesn't fit is left in the store, and is found there when there is room again."""
    settings = LocalSettings(workers=1, queue=3, settle_seconds=0, reconcile_seconds=1e9)
    keys = {f"t/news/{number}.wav" for number in range(8)}
    with running(tmp_path, settings) as local:
        for news in until(local):
            if isinstance(news, Idle) and news.empty:
                break  # the look around at the start is over
        for key in keys:
            local.store.put(BUCKETS.input, key, b"not media")
        taken = [local.put(ObjectCreated(BUCKETS.input, key)) for key in sorted(keys)]
        assert [job is not None for job in taken] == [True] * 3 + [False] * 5
        settled = set()
        for news in until(local):
            if isinstance(news, Outcome):
                assert news.failed is None
                settled.add(news.job.event.key)
            if isinstance(news, Idle) and news.empty:
                break
        assert settled >= keys
        refused = {entry.key for entry in local.store.entries(BUCKETS.output, "t/news")}
        assert refused == {f"{key}.error.json" for key in keys}


def test_what_is_further_along_goes_first(tmp_path: Path) -> None:
    """Parts and patches are worked on before segments, and those before new uploads."""
    keys = RunKeys("t", "none")
    events = [
        ObjectCreated(BUCKETS.input, "t/news/a.wav"),
        ObjectCreated(BUCKETS.work, keys.segment(0)),
        ObjectCreated(BUCKETS.work, keys.patches(0)),
    ]
    with running(tmp_path) as local:
        for event in events:
            local.put(event)
        order = []
        for news in until(local):
            if isinstance(news, Outcome):
                order.append(news.job.event)
                if len(order) == 3:
                    break
    assert order == events[::-1]


def test_a_job_that_kills_its_workers_is_given_up(tmp_path: Path) -> None:
    """A run whose worker died each time has failed, with its history; the queue goes on."""
    settings = LocalSettings(workers=1, attempts=1, settle_seconds=0, reconcile_seconds=1e9)
    keys = RunKeys("t", "abc")
    event = ObjectCreated(BUCKETS.work, keys.segment(0))
    with running(tmp_path, settings) as local:
        local.store.put(BUCKETS.work, keys.segment(0), b"")
        failed = Attempt(1.0, "infer", "the worker process ended with code -9")
        local._settle(Outcome(Job("infer", event), failed, 0.0, 0.0))
        assert runs.read_state(local.store, BUCKETS.work, keys).phase == "failed"
        letters = list(local.store.entries(BUCKETS.work, "t/dead"))
        assert len(letters) == 1
        assert due(local.store, BUCKETS) == []


def test_a_linked_data_folder(tmp_path: Path) -> None:
    """The data folder may be a link to where the space is."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    with running(tmp_path / "data") as local:
        drop(tmp_path / "disk", "t/news/a.wav")
        for news in until(local):
            if isinstance(news, Queued):
                assert news.job.event.key == "t/news/a.wav"
                break


def test_workers_need_no_door() -> None:
    """What a worker is built of imports neither the HTTP door nor Lambda's, for a quick start."""
    code = (
        "import sys\n"
        "import functions.ingest.build, functions.infer.build, functions.encode.build\n"
        "print([m for m in ('fastapi', 'mangum', 'typer', 'uvicorn') if m in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.strip() == "[]"
