"""What the gateway's routes work with, opened once when the server starts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from functions.gateway.actions import Actions
from functions.gateway.pages import Pages
from functions.gateway.problems import ProblemError, Refusal
from functions.gateway.requests import Requests
from functions.gateway.settings import GatewaySettings
from functions.gateway.states import States
from functions.gateway.tenants import Tenants
from functions.settings import BucketSettings
from functions.storage import Store

_RETRY_AFTER = {"Retry-After": "5"}


class Places:
    """A fixed number of places for what may go on at a time.

    Args:
        count: how many.
        what: is going on, for who finds none free.
    """

    def __init__(self, count: int, what: str) -> None:
        self._free = count
        self._what = what

    @contextmanager
    def one(self) -> Iterator[None]:
        """Takes a place for as long as the context lasts; only ever from the event loop.

        Raises:
            ProblemError: `busy`.
        """
        self.check()
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

    def check(self) -> None:
        """Raises `ProblemError` (`busy`) when no place is free."""
        if self._free <= 0:
            raise ProblemError(Refusal.BUSY, f"There are too many {self._what}.", _RETRY_AFTER)


@dataclass(frozen=True)
class Desk:
    """The gateway's collaborators.

    Args:
        store: where everything is.
        buckets: their names.
        settings: limits and times.
        tenants: who may come in.
        public: the store by the address that clients reach it at, for links into it.
        uploads: places for files that come in.
        followers: places for event streams.
    """

    store: Store
    buckets: BucketSettings
    settings: GatewaySettings
    tenants: Tenants
    public: Store
    uploads: Places
    followers: Places

    @staticmethod
    def open(
        store: Store, buckets: BucketSettings, settings: GatewaySettings, public: Store
    ) -> "Desk":
        """A desk by the settings.

        Raises:
            NotSetUpError: they would let everybody in.
        """
        return Desk(
            store,
            buckets,
            settings,
            Tenants(settings.tenants()),
            public,
            Places(settings.uploads, "uploads"),
            Places(settings.followers, "event streams"),
        )

    @property
    def requests(self) -> Requests:
        """Makes requests."""
        return Requests(self.store, self.buckets)

    @property
    def states(self) -> States:
        """Says how runs are."""
        return States(self.store, self.buckets)

    @property
    def actions(self) -> Actions:
        """Changes runs."""
        return Actions(self.store, self.buckets)

    @property
    def pages(self) -> Pages:
        """Lists runs."""
        return Pages(self.store, self.buckets)


def desk_of(request: Request) -> Desk:
    """The desk of the app that a request came to."""
    desk: Desk = request.app.state.desk
    return desk


def tenant_of(request: Request) -> str:
    """The tenant that a request is from.

    Raises:
        ProblemError: `unauthorized` or `forbidden`.
    """
    return desk_of(request).tenants.of(request)


AtDesk = Annotated[Desk, Depends(desk_of)]
OfTenant = Annotated[str, Depends(tenant_of)]
