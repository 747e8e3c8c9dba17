"""The list of a tenant's runs: newest first, page by page, without reading all of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import islice

from functions.gateway.cursor import Cursor
from functions.gateway.requests import Requests
from functions.gateway.states import Located, States
from functions.gateway.views import Phase, RunView
from functions.layout import RunKeys, recent_prefix, run_of_recent
from functions.plans import find_plan
from functions.request_keys import is_request, requested_prefix
from functions.settings import BucketSettings
from functions.storage import Store

_SCANNED = 400
_LATEST = 10**13 - 1


@dataclass(frozen=True)
class Filter:
    """Which runs are wanted.

    Args:
        phases: any of these; all when empty.
        job: the job's folder, or the request.
        since: made at this time or later, seconds since 1970.
    """

    phases: frozenset[Phase] = frozenset()
    job: str | None = None
    since: float | None = None

    def takes(self, view: RunView) -> bool:
        """Whether a run is wanted."""
        if self.phases and view.phase not in self.phases:
            return False
        if self.since is not None and view.made_at < self.since:
            return False
        return self.job is None or self.job == view.job

    def is_past(self, entry: str) -> bool:
        """Whether an entry, and so all after it, is from before the time that is wanted."""
        made_at = (_LATEST - int(entry[:13])) / 1000
        # Names hold whole milliseconds.
        return self.since is not None and made_at + 0.002 < self.since


@dataclass(frozen=True)
class Pages:
    """Lists runs."""

    store: Store
    buckets: BucketSettings

    def page(
        self, tenant: str, wanted: Filter, start: Cursor, limit: int
    ) -> tuple[list[RunView], Cursor | None]:
        """At most `limit` runs from a place on, and where the list goes on, if it does.

        A filter that fits little may give a short page though there is more.
        """
        found: list[RunView] = []
        place = start
        states = States(self.store, self.buckets)
        entries = self._entries(tenant, start.after)
        for scanned, (entry, is_request_entry) in enumerate(entries):
            if wanted.is_past(entry):
                return found, None
            if scanned >= _SCANNED:
                return found, place
            located = self._located(tenant, entry, is_request_entry)
            for run in islice(located, place.shown, None):
                if len(found) == limit:
                    return found, place
                view = states.view(run)
                place = Cursor(place.after, place.shown + 1)
                if wanted.takes(view):
                    found.append(view)
            place = Cursor(entry, 0)
        return found, None

    def _entries(self, tenant: str, after: str) -> Iterator[tuple[str, bool]]:
        """Names of requests and of runs, newest first; True for requests."""
        work = self.buckets.work

        def names(prefix: str, *, requests: bool) -> Iterator[tuple[str, bool]]:
            offset = f"{prefix}{after}" if after else None
            for entry in self.store.entries(work, prefix, offset):
                name = entry.key.removeprefix(prefix)
                if name > after and name[:13].isdigit():
                    yield name, requests

        return merge(
            names(requested_prefix(tenant), requests=True),
            names(recent_prefix(tenant), requests=False),
        )

    def _located(self, tenant: str, entry: str, is_request_entry: bool) -> Iterator[Located]:  # noqa: FBT001 -- it comes with the name
        name = run_of_recent(entry)
        requests = Requests(self.store, self.buckets)
        if is_request_entry:
            document = requests.find(tenant, name)
            if document is not None:
                yield from States(self.store, self.buckets).of_document(tenant, document)
            return
        plan = find_plan(self.store, self.buckets.work, RunKeys(tenant, name))
        if plan is None:
            return
        group = plan.group
        # A request's runs are listed with it.
        if not group.loose and is_request(group.name) and requests.find(tenant, group.name):
            return
        yield Located(tenant, name, plan)
