import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from functions.chain import Delivery, FunctionName
from functions.errors import NotSetUpError, WrongSettingError
from functions.events import ObjectCreated
from functions.pool import Advance, Functions, Job, Outcome, WorkerPool
from functions.progress import Progress
from functions.runs import Attempt
from functions.settings import BucketSettings
from functions.storage import Store

BUCKETS = BucketSettings()


def build(root: Path, progress: Progress) -> dict[FunctionName, Delivery]:
    """What the workers of these tests run: the key says what they do."""

    def handle(event: ObjectCreated) -> None:
        match event.key.split("/"):
            case [_, "done", name]:
                Store.folder(root).put(BUCKETS.output, f"t/{name}", str(os.getpid()).encode())
            case [_, "fail"]:
                raise ZeroDivisionError("as asked")
            case [_, "die"]:
                os.kill(os.getpid(), signal.SIGKILL)
            case [_, "exit"]:
                os._exit(7)
            case [_, "hang"]:
                threading.Event().wait()
            case [_, "slow"]:
                for step in range(6):
                    progress(step, 6)
                    threading.Event().wait(0.4)

    return {"ingest": Delivery("ingest", handle, Store.folder(root), BUCKETS)}


def broken(progress: Progress) -> dict[FunctionName, Delivery]:
    """Workers that can't even begin."""
    raise RuntimeError("not set up")


def misled(progress: Progress) -> dict[FunctionName, Delivery]:
    """Workers with a setting that can't be."""
    raise WrongSettingError("no such backend")


def stillborn(progress: Progress) -> dict[FunctionName, Delivery]:
    """Workers that die before they can say a word."""
    os._exit(7)


def job(what: str, attempts: tuple[Attempt, ...] = ()) -> Job:
    return Job("ingest", ObjectCreated(BUCKETS.input, f"t/{what}"), attempts)


@contextmanager
def pool(functions: Functions, size: int = 1, silence: float = 30) -> Iterator[WorkerPool]:
    made = WorkerPool(size, functions, silence)
    try:
        yield made
    finally:
        made.close()


def outcomes(workers: WorkerPool, count: int = 1) -> tuple[list[Outcome], list[Advance]]:
    """Listens until so many jobs have ended."""
    ended: list[Outcome] = []
    advances: list[Advance] = []
    deadline = time.monotonic() + 60
    while len(ended) < count:
        assert time.monotonic() < deadline
        for news in workers.news(0.5):
            if isinstance(news, Outcome):
                ended.append(news)
            else:
                advances.append(news)
    return ended, advances


def children() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]


def test_jobs_are_done_side_by_side(tmp_path: Path) -> None:
    """Each worker does jobs, one at a time; afterwards no process is left."""
    with pool(partial(build, tmp_path), 2) as workers:
        assert workers.idle == 2
        jobs = [job("done/a"), job("done/b")]
        for one in jobs:
            workers.submit(one)
        assert workers.idle == 0
        assert workers.jobs == jobs
        ended, _ = outcomes(workers, 2)
        assert {outcome.job for outcome in ended} == set(jobs)
        assert all(outcome.failed is None for outcome in ended)
        assert all(outcome.seconds > 0 and outcome.cpu_seconds >= 0 for outcome in ended)
        assert workers.idle == 2
    store = Store.folder(tmp_path)
    pids = {store.get(BUCKETS.output, f"t/{name}") for name in "ab"}
    assert len(pids) == 2
    assert str(os.getpid()).encode() not in pids
    assert not [child for child in children() if str(child.pid).encode() in pids]


def test_failures_come_back_with_their_reason(tmp_path: Path) -> None:
    """A handler that raises costs an attempt, not the worker."""
    with pool(partial(build, tmp_path)) as workers:
        before = {child.pid for child in children()}
        workers.submit(job("fail"))
        ((outcome,), _) = outcomes(workers)
        assert outcome.failed is not None
        assert "as asked" in outcome.failed.error
        assert {child.pid for child in children()} == before


@pytest.mark.parametrize(("what", "said"), [("die", "-9"), ("exit", "7")])
def test_dead_workers_are_replaced(tmp_path: Path, what: str, said: str) -> None:
    """A worker that is killed or ends itself costs an attempt; the next job finds another one."""
    with pool(partial(build, tmp_path)) as workers:
        workers.submit(job(what))
        ((outcome,), _) = outcomes(workers)
        assert outcome.job == job(what)
        assert outcome.failed is not None
        assert said in outcome.failed.error
        assert workers.idle == 1
        workers.submit(job("done/after"))
        ((outcome,), _) = outcomes(workers)
        assert outcome.failed is None


def test_silent_workers_are_killed(tmp_path: Path) -> None:
    """A worker that says nothing for too long is taken for hung; the next job finds another one."""
    with pool(partial(build, tmp_path), silence=1.5) as workers:
        workers.submit(job("done/warm"))
        outcomes(workers)
        workers.submit(job("hang"))
        ((outcome,), _) = outcomes(workers)
        assert outcome.failed is not None
        assert "said nothing" in outcome.failed.error
        workers.submit(job("done/after"))
        assert outcomes(workers)[0][0].job == job("done/after")


def test_progress_is_passed_on_and_is_a_sign_of_life(tmp_path: Path) -> None:
    """What a handler says of its progress arrives, and keeps it alive beyond the silence."""
    with pool(partial(build, tmp_path), silence=2.0) as workers:
        workers.submit(job("done/warm"))
        while outcomes(workers)[0][0].failed is not None:  # a busy machine starts slowly
            workers.submit(job("done/warm"))
        workers.submit(job("slow"))
        ended, advances = outcomes(workers)
        assert ended[0].failed is None
        assert ended[0].seconds > 2.0
        assert [(one.job, one.done, one.total) for one in advances] == [
            (job("slow"), step, 6) for step in range(6)
        ]


def test_idle_workers_that_die_are_replaced(tmp_path: Path) -> None:
    """A worker that is killed while it waits is replaced, and nothing is said to have failed."""
    with pool(partial(build, tmp_path)) as workers:
        workers.submit(job("done/warm"))
        outcomes(workers)
        pid = int(Store.folder(tmp_path).get(BUCKETS.output, "t/warm"))
        before = {child.pid for child in children()}
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while {child.pid for child in children()} <= before:
            assert list(workers.news(0.1)) == []
            assert time.monotonic() < deadline
        workers.submit(job("done/after"))
        assert outcomes(workers)[0][0].failed is None


def test_closing_ends_a_busy_worker(tmp_path: Path) -> None:
    """Closing doesn't wait for jobs; no process is left."""
    before = {child.pid for child in children()}
    with pool(partial(build, tmp_path), 2) as workers:
        workers.submit(job("hang"))
        began = time.monotonic()
    assert time.monotonic() - began < 10
    assert {child.pid for child in children()} <= before


@pytest.mark.parametrize(
    ("functions", "kind", "said"),
    [
        (broken, NotSetUpError, "not set up"),
        (misled, WrongSettingError, "no such backend"),
        (stillborn, NotSetUpError, "7"),
    ],
)
def test_workers_that_can_not_begin_say_so(
    functions: Functions, kind: type[NotSetUpError], said: str
) -> None:
    """Where workers fail before their first job, that is one error and no endless restarting."""
    with pool(functions) as workers:
        workers.submit(job("done/a"))
        with pytest.raises(NotSetUpError, match=said) as caught:
            outcomes(workers, 100)
    assert type(caught.value) is kind


PARENT = """
import sys
from functools import partial
from pathlib import Path
from functions.pool import WorkerPool
from tests.test_pool import build, job
if __name__ == "__main__":
    workers = WorkerPool(1, partial(build, Path(sys.argv[1])), 60)
    workers.submit(job("done/warm"))
    while not list(workers.news(0.2)): pass
    workers.submit(job("hang"))
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    """When the process that owns the pool is killed outright, its workers don't stay behind."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen(
        [sys.executable, script, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        pid = int(Store.folder(tmp_path).get(BUCKETS.output, "t/warm"))
        worker = psutil.Process(pid)
    finally:
        parent.kill()
        parent.communicate()
    _, alive = psutil.wait_procs([worker], timeout=20)
    for left in alive:
        left.kill()
    assert not alive
