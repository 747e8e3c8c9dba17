"""Reconcile: what should have been done by now and isn't, found by looking into the store.

Events get lost, when a function is down or a queue is full. What is looked at is bounded: of runs
only those that have not ended, which an index names, and of inputs and runs some at a time, going
on at the next look where this one stopped.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from functions import runs
from functions.errors import RejectedInput
from functions.events import ObjectCreated
from functions.input_keys import is_unfinished, parse_input
from functions.layout import RunKeys, active_prefix, run_of_active
from functions.plans import find_plan
from functions.settings import BucketSettings
from functions.storage import Entry, Store

Kind = Literal["inputs", "runs"]


@dataclass
class Sweep:
    """Looks for what is due, some of it at a time.

    Args:
        store: where to look.
        buckets: their names.
        kinds: uploads that were not handled to their end, or runs that have not ended, or both.
        requests: to the store, about, in one look at each kind; None looks at everything.
        stale: seconds for which an object must have been there, so that what somebody else works
            on right now is left alone.
    """

    store: Store
    buckets: BucketSettings
    kinds: tuple[Kind, ...] = ("inputs", "runs")
    requests: int | None = None
    stale: float = 0.0
    _input: str | None = None
    _run: tuple[str, str | None] = ("", None)
    _left: int = field(default=0, init=False)

    def look(self) -> list[ObjectCreated]:
        """The events to fire again that the next look found."""
        found: list[ObjectCreated] = []
        if "inputs" in self.kinds:
            self._left = self.requests or 0
            found += self._inputs()
        if "runs" in self.kinds:
            self._left = self.requests or 0
            found += self._runs()
        return found

    def _spend(self, requests: int) -> bool:
        """Whether there was so much left."""
        if self.requests is None:
            return True
        self._left -= requests
        return self._left >= 0

    def _inputs(self) -> Iterator[ObjectCreated]:
        for entry in self.store.entries(self.buckets.input, "", self._input):
            if not self._spend(1):
                return
            self._input = entry.key
            if is_unfinished(entry.key) or not self._is_stale(entry):
                continue
            with suppress(RejectedInput):  # refused when it came; it can't be due
                file = parse_input(entry.key)
                handled = file.handled(entry.identity)
                if not self.store.exists(self.buckets.work, handled):
                    yield ObjectCreated(self.buckets.input, entry.key, entry.size, entry.etag)
        self._input = None

    def _runs(self) -> Iterator[ObjectCreated]:
        first, after = self._run
        for tenant in self.store.folders(self.buckets.work, ""):
            if tenant < first:
                continue
            if not self._spend(1):
                self._run = (tenant, None)
                return
            start = after if tenant == first else None
            for entry in self.store.entries(self.buckets.work, active_prefix(tenant), start):
                if not self._spend(2):
                    return
                self._run = (tenant, entry.key)
                yield from self._run_due(RunKeys(tenant, run_of_active(entry.key)))
        self._run = ("", None)

    def _run_due(self, keys: RunKeys) -> list[ObjectCreated]:
        work = self.buckets.work
        objects = {entry.key: entry for entry in self.store.entries(work, keys.prefix)}
        if runs.state_of(keys, set(objects)).ended:
            self.store.delete(work, keys.active)
            return []
        plan = find_plan(self.store, work, keys)
        if plan is None:
            return []  # about to be planned, or left by a version whose plans we can't read
        if any(keys.segment(index) not in objects for index in range(plan.segments)):
            # Who planned it was killed in between; what comes to be now fires by itself.
            runs.start(self.store, work, plan)
            objects = {entry.key: entry for entry in self.store.entries(work, keys.prefix)}
        waiting = [index for index in range(plan.segments) if keys.part(index) not in objects]
        ready = [
            keys.patches(index) if keys.patches(index) in objects else keys.segment(index)
            for index in waiting
        ]
        # With every part there, any of them fires the assembly.
        ready = ready or [keys.part(0)]
        return [
            ObjectCreated(work, key)
            for key in ready
            if key in objects and self._is_stale(objects[key])
        ]

    def _is_stale(self, entry: Entry) -> bool:
        age = datetime.fromtimestamp(time.time(), UTC) - entry.modified
        return self.stale <= 0 or age.total_seconds() >= self.stale


def due(store: Store, buckets: BucketSettings) -> list[ObjectCreated]:
    """Everything that is due now."""
    return Sweep(store, buckets).look()
