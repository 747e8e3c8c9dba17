import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from functions.board import Board, keys_of
from functions.events import ObjectCreated
from functions.layout import RunKeys
from functions.local import Idle, Queued
from functions.pool import Advance, Job, Outcome
from functions.runs import Attempt
from tests.test_listing import plan

PLAN = plan("hello")
KEYS = PLAN.keys
UPLOAD = Job("ingest", ObjectCreated("koubo-input", "t/news/[a].mp4"))
SEGMENT = Job("infer", ObjectCreated("koubo-work", KEYS.segment(0)))
PART = Job("encode", ObjectCreated("koubo-work", KEYS.part(0)))


def board(terminal: bool) -> tuple[Board, io.StringIO]:
    out = io.StringIO()
    return Board(Console(file=out, force_terminal=terminal, width=100)), out


@pytest.fixture
def plain() -> Iterator[tuple[Board, io.StringIO]]:
    made, out = board(terminal=False)
    with made:
        yield made, out


def test_frames_are_counted_by_stage(plain: tuple[Board, io.StringIO]) -> None:
    """Elsewhere than on a terminal, a plain line says how many frames of how many are done."""
    made, out = plain
    made.plan(PLAN)
    assert out.getvalue() == "frames: infer 0/500, encode 0/500\n"
    made._said = 0.0
    made.take(Advance(SEGMENT, 120, 200))
    assert out.getvalue().splitlines()[-1] == "frames: infer 120/500, encode 0/500"
    made._said = 0.0
    made.take(Outcome(SEGMENT, None, 1.0, 1.0))
    made.take(Outcome(PART, None, 1.0, 1.0))
    made._said = 0.0
    made.take(Idle(empty=True))
    assert out.getvalue().splitlines()[-1] == "frames: infer 200/500, encode 200/500"


def test_a_run_that_ended_early_is_due_no_more(plain: tuple[Board, io.StringIO]) -> None:
    """Of a run that failed or was superseded, only what was done counts; other runs go on."""
    made, out = plain
    made.plan(PLAN)
    made.plan(plan("goodbye"))
    made.take(Advance(SEGMENT, 120, 200))
    made._said = 0.0
    made.end(None)
    made._said = 0.0
    made.end(KEYS)
    assert out.getvalue().splitlines()[-1] == "frames: infer 120/620, encode 0/500"


def test_plain_lines_are_rare(plain: tuple[Board, io.StringIO]) -> None:
    """A log isn't flooded: a thousand steps within a moment are one line."""
    made, out = plain
    for done in range(1000):
        made.take(Advance(UPLOAD, done, 1000))
    assert len(out.getvalue().splitlines()) == 1


def test_failures_are_told(plain: tuple[Board, io.StringIO]) -> None:
    """A failed attempt stands in a line of its own, brackets and all."""
    made, out = plain
    made.take(Outcome(UPLOAD, Attempt(1.0, "ingest", "OSError: [Errno 28]"), 1.0, 1.0))
    assert "t/news/[a].mp4: OSError: [Errno 28]; will try again" in out.getvalue()


def test_news_that_say_nothing(plain: tuple[Board, io.StringIO]) -> None:
    """What is only queued, or nobody's plan, changes nothing."""
    made, out = plain
    made.take(Queued(UPLOAD))
    made.plan(None)
    made.take(Idle(empty=True))
    assert out.getvalue() == ""


def test_bars_on_a_terminal() -> None:
    """A terminal gets a bar for each stage, which go away at the end; lines stay."""
    made, out = board(terminal=True)
    with made:
        made.plan(PLAN)
        made.take(Advance(SEGMENT, 120, 200))
        made.line("Videos appear in [here]/")
        made.take(Advance(UPLOAD, 5, 0))
    text = out.getvalue()
    assert all(stage in text for stage in ("ingest", "infer", "encode"))
    assert "120/500" in text
    assert "Videos appear in [here]/" in text


def test_which_run_a_job_is_of() -> None:
    """A job on a run's object names the run; one on an upload names none."""
    assert keys_of(SEGMENT) == RunKeys("t", PLAN.run)
    assert keys_of(PART) == KEYS
    assert keys_of(UPLOAD) is None
