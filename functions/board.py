"""What a person sees of the work: a progress bar per stage on a terminal, plain lines elsewhere."""

import time
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from functions.chain import FunctionName
from functions.layout import RunKeys, parse_run_object
from functions.local import News, Queued
from functions.plans import Plan
from functions.pool import Advance, Job, Outcome

_STAGES: tuple[FunctionName, ...] = ("ingest", "infer", "encode")
_PLAIN_EVERY = 5.0


@dataclass
class _Stage:
    """Frames done and due in one stage; of files whose length isn't known yet, nothing is due."""

    total: dict[object, int] = field(default_factory=dict)
    done: dict[object, int] = field(default_factory=dict)

    def say(self, what: object, done: int, total: int) -> None:
        if total:
            self.total[what] = total
        self.done[what] = min(done, self.total.get(what, done))

    def end(self, what: object) -> None:
        self.done[what] = self.total.setdefault(what, self.done.get(what, 0))

    @property
    def sums(self) -> tuple[int, int]:
        return sum(self.done.values()), sum(self.total.values())


class Board:
    """Shows progress; a context manager.

    Args:
        console: where to. Bars if it is a terminal, else a line now and then.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._stages = {name: _Stage() for name in _STAGES}
        self._said = 0.0
        self._last: dict[FunctionName, tuple[int, int]] = {}
        self._bars: Progress | None = None
        self._tasks: dict[FunctionName, TaskID] = {}
        if console.is_terminal:
            self._bars = Progress(
                TextColumn("{task.description:<8}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("frames"),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )

    def __enter__(self) -> "Board":
        if self._bars is not None:
            self._bars.start()
            self._tasks = {name: self._bars.add_task(name, total=None) for name in _STAGES}
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def plan(self, plan: Plan | None) -> None:
        """A run was planned: its frames are due in infer and encode; None adds nothing."""
        if plan is None:
            return
        for index in range(plan.segments):
            frames = len(plan.segment(index))
            self._stages["infer"].total[plan.run, index] = frames
            self._stages["encode"].total[plan.run, index] = frames
        self._show()

    def end(self, keys: RunKeys | None) -> None:
        """A run ended, maybe before all of it was done: nothing more of it is due."""
        for stage in (self._stages["infer"], self._stages["encode"]):
            for what in list(stage.total):
                if keys is not None and isinstance(what, tuple) and what[0] == keys.run:
                    stage.total[what] = stage.done.get(what, 0)
        self._show()

    def take(self, news: News) -> None:
        """Something happened."""
        if isinstance(news, Advance):
            self._stages[news.job.function].say(_what(news.job), news.done, news.total)
        elif isinstance(news, Outcome) and news.failed is None:
            self._stages[news.job.function].end(_what(news.job))
        elif isinstance(news, Outcome) and news.failed is not None:
            self.line(f"{news.job.event.key}: {news.failed.error}; will try again")
        elif isinstance(news, Queued):
            return
        self._show()

    def line(self, text: str) -> None:
        """Says something that stays."""
        self.console.print(text, soft_wrap=True, highlight=False, markup=False)

    def _show(self) -> None:
        if self._bars is not None:
            for name, task in self._tasks.items():
                done, total = self._stages[name].sums
                self._bars.update(task, completed=done, total=total or None)
            return
        sums = {name: self._stages[name].sums for name in _STAGES}
        if sums == self._last or time.monotonic() - self._said < _PLAIN_EVERY:
            return
        self._said, self._last = time.monotonic(), sums
        parts = [f"{name} {done}/{total}" for name, (done, total) in sums.items() if total]
        if parts:
            self.line("frames: " + ", ".join(parts))


def _what(job: Job) -> object:
    """The unit that a job is counted under: assembly counts with the segment that fired it."""
    item = parse_run_object(job.event.key)
    return job.event.key if item is None else (item.run, item.index)


def keys_of(job: Job) -> RunKeys | None:
    """The run that a job belongs to."""
    item = parse_run_object(job.event.key)
    return None if item is None else RunKeys(item.tenant, item.run)
