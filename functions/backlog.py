"""The backlog of a function that runs as a server: events that wait, and threads that handle them.

It has a size, and it lives in memory: what does not fit, and what is lost when the process ends, is
found by reconcile, which looks from here, at the start and from time to time.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from functions.chain import Delivery, fired_by, give_up
from functions.errors import RetryableError
from functions.events import ObjectCreated
from functions.interrupted import Interruptions
from functions.logs import logger
from functions.metrics import EVENTS, HANDLING, WAITING
from functions.reconcile import Sweep
from functions.runs import Attempt
from functions.settings import EventSettings

log = logger()

_Identity = tuple[str, str]


@dataclass(frozen=True)
class _Waiting:
    event: ObjectCreated
    attempts: tuple[Attempt, ...] = ()
    not_before: float = 0.0
    suspect: bool = False


@dataclass
class Backlog:
    """Takes events in and has threads handle them.

    Args:
        delivery: to the function.
        settings: how many may wait, how many threads, how often to reconcile.
    """

    delivery: Delivery
    settings: EventSettings
    _waiting: dict[_Identity, _Waiting] = field(default_factory=dict)
    _busy: dict[_Identity, ObjectCreated] = field(default_factory=dict)
    _news: threading.Condition = field(default_factory=threading.Condition)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Starts the threads, one of which reconciles."""
        name = self.delivery.function
        for number in range(self.settings.workers):
            self._threads.append(threading.Thread(target=self._serve, name=f"{name}-{number}"))
        self._threads.append(threading.Thread(target=self._reconcile, name=f"{name}-reconcile"))
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def stop(self, seconds: float = 30.0) -> None:
        """Lets the threads finish the events in their hands."""
        self._stop.set()
        with self._news:
            self._news.notify_all()
            busy = list(self._busy.values())
        for event in busy:
            # Should they not end in time, it is not the event's fault.
            self._spare(event)
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def take(self, events: list[ObjectCreated]) -> bool:
        """Takes all events that concern the function; False when they don't fit."""
        name = self.delivery.function
        mine = self._mine(events)
        EVENTS.labels(name, "ignored").inc(len(events) - len(mine))
        with self._news:
            for event in mine:
                if _identity(event) in self._waiting:
                    # The handler looks at the object as it is then, so one event is enough.
                    EVENTS.labels(name, "repeated").inc()
                elif not self._put(_Waiting(event)):
                    # What fitted is handled now and, when all of it is sent again, found done.
                    EVENTS.labels(name, "full").inc()
                    return False
                else:
                    EVENTS.labels(name, "accepted").inc()
        return True

    def _mine(self, events: list[ObjectCreated]) -> list[ObjectCreated]:
        delivery = self.delivery
        return [e for e in events if fired_by(e, delivery.buckets) == delivery.function]

    def _put(self, waiting: _Waiting) -> bool:
        """Under the lock: False when it doesn't fit."""
        if len(self._waiting) >= self.settings.queue:
            return False
        self._waiting[_identity(waiting.event)] = waiting
        WAITING.labels(self.delivery.function).set(len(self._waiting))
        self._news.notify()
        return True

    def _next(self) -> _Waiting | None:
        with self._news:
            now = time.monotonic()
            for identity, waiting in self._waiting.items():
                if waiting.not_before <= now and identity not in self._busy:
                    del self._waiting[identity]
                    self._busy[identity] = waiting.event
                    WAITING.labels(self.delivery.function).set(len(self._waiting))
                    return waiting
            self._news.wait(0.2)
        return None

    def _serve(self) -> None:
        while not self._stop.is_set():
            waiting = self._next()
            if waiting is None:
                continue
            again = self._handle(waiting)
            with self._news:
                self._busy.pop(_identity(waiting.event), None)
                # A newer event for the same object may wait already; this counts for it, too.
                if again is not None and not self._put(again):
                    log.warning("backlog.left_to_reconcile", key=waiting.event.key)

    def _handle(self, waiting: _Waiting) -> _Waiting | None:
        """Handles an event; returns how it is to come again, if it is."""
        name, event = self.delivery.function, waiting.event
        died = self._deaths(event)
        if len(died) >= self.settings.deaths:
            log.error("backlog.deadly", key=event.key, deaths=len(died))
            give_up(self.delivery.store, self.delivery.buckets, name, event, died)
            EVENTS.labels(name, "settled").inc()
            self._spare(event)
            return None
        if died and not waiting.suspect:
            # Others first: whatever waits beside it would be lost with it once more.
            log.warning("backlog.suspect", key=event.key, deaths=len(died))
            return _Waiting(event, waiting.attempts, self._later(len(died)), suspect=True)
        self._mark(event, died)
        with HANDLING.labels(name).time():
            failed = self.delivery.deliver(event, waiting.attempts)
        self._spare(event)
        EVENTS.labels(name, "failed" if failed else "settled").inc()
        if failed is None:
            return None
        attempts = (*waiting.attempts, failed)
        return _Waiting(event, attempts, self._later(len(attempts)))

    def _later(self, count: int) -> float:
        return time.monotonic() + self.settings.retry_seconds * 2.0 ** (count - 1)

    @property
    def _interruptions(self) -> Interruptions:
        delivery = self.delivery
        return Interruptions(delivery.store, delivery.buckets.work, delivery.function)

    def _deaths(self, event: ObjectCreated) -> tuple[Attempt, ...]:
        with self._unless_the_store_fails(event):
            return self._interruptions.before(event)
        return ()

    def _mark(self, event: ObjectCreated, died: tuple[Attempt, ...]) -> None:
        with self._unless_the_store_fails(event):
            self._interruptions.begin(event, died)

    def _spare(self, event: ObjectCreated) -> None:
        with self._unless_the_store_fails(event):
            self._interruptions.end(event)

    @contextmanager
    def _unless_the_store_fails(self, event: ObjectCreated) -> Iterator[None]:
        try:
            yield
        except RetryableError as error:
            # Then handling fails as well, and is tried again; a mark is not worth more.
            log.warning("backlog.unmarked", key=event.key, error=str(error))

    def _reconcile(self) -> None:
        delivery, settings = self.delivery, self.settings
        sweep = Sweep(
            delivery.store,
            delivery.buckets,
            ("inputs",) if delivery.function == "ingest" else ("runs",),
            settings.reconcile_requests,
            settings.stale_seconds,
        )
        while not self._stop.is_set():
            try:
                self._offer(sweep.look())
            except RetryableError as error:
                log.warning("backlog.unreconciled", function=delivery.function, error=str(error))
            self._stop.wait(settings.reconcile_seconds)

    def _offer(self, events: list[ObjectCreated]) -> None:
        """Takes what was found due, as far as it fits; the next look finds the rest."""
        with self._news:
            for event in self._mine(events):
                identity = _identity(event)
                if identity in self._waiting or identity in self._busy:
                    continue
                if not self._put(_Waiting(event)):
                    return
                EVENTS.labels(self.delivery.function, "reconciled").inc()
                log.info("backlog.found", function=self.delivery.function, key=event.key)


def _identity(event: ObjectCreated) -> _Identity:
    return event.bucket, event.key
