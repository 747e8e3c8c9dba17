"""Who ran which graph with what success, while a segment is rendered: for its report."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from functions.metrics import GRAPH_RUNS, GRAPH_SECONDS
from functions.patches import OK, GraphRuns

_LONGEST_SAYING = 300


@dataclass
class Attempts:
    """What was attempted so far; runs that went alike are one entry."""

    entries: list[GraphRuns] = field(default_factory=list)

    def add(self, new: GraphRuns) -> None:
        """Takes down a run."""
        for place in range(len(self.entries) - 1, -1, -1):
            old = self.entries[place]
            if old.graph != new.graph:
                continue
            if replace(new, runs=old.runs, seconds=old.seconds) == old:
                seconds = round(old.seconds + new.seconds, 6)
                self.entries[place] = replace(old, runs=old.runs + new.runs, seconds=seconds)
                return
            if old.outcome != OK:
                break  # what came before a fault is told apart from what came after
        self.entries.append(new)

    @property
    def servers(self) -> list[str]:
        """The backends that something ran on, in the order of their first success."""
        return list(dict.fromkeys(entry.backend for entry in self.entries if entry.outcome == OK))


_current: ContextVar[Attempts | None] = ContextVar("attempts", default=None)


@contextmanager
def recording() -> Iterator[Attempts]:
    """Takes down every run of a graph in this thread until the context ends."""
    attempts = Attempts()
    token = _current.set(attempts)
    try:
        yield attempts
    finally:
        _current.reset(token)


def took_place(runs: GraphRuns) -> None:
    """Counts a run, and takes it down where somebody records."""
    GRAPH_RUNS.labels(runs.backend, runs.outcome).inc(runs.runs)
    GRAPH_SECONDS.labels(runs.backend).observe(runs.seconds)
    attempts = _current.get()
    if attempts is not None:
        attempts.add(replace(runs, says=runs.says[:_LONGEST_SAYING]))
