"""The backlog of a function that runs as a server: events that wait, and threads that handle them.

It has a size, and it lives in memory: what does not fit, and what is lost when the process ends, is
found by reconcile, which looks from here, at the start and from time to time.
"""

import threading
import time
from dataclasses import dataclass, field

from functions.chain import Delivery, fired_by
from functions.errors import RetryableError
from functions.events import ObjectCreated
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
    _busy: set[_Identity] = field(default_factory=set)
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
                    self._busy.add(identity)
                    WAITING.labels(self.delivery.function).set(len(self._waiting))
                    return waiting
            self._news.wait(0.2)
        return None

    def _serve(self) -> None:
        name = self.delivery.function
        while not self._stop.is_set():
            waiting = self._next()
            if waiting is None:
                continue
            with HANDLING.labels(name).time():
                failed = self.delivery.deliver(waiting.event, waiting.attempts)
            EVENTS.labels(name, "failed" if failed else "settled").inc()
            with self._news:
                self._busy.discard(_identity(waiting.event))
                if failed is not None:
                    self._again(waiting, failed)

    def _again(self, waiting: _Waiting, failed: Attempt) -> None:
        attempts = (*waiting.attempts, failed)
        later = time.monotonic() + self.settings.retry_seconds * 2.0 ** len(waiting.attempts)
        # A newer event for the same object may wait already; the attempts count for it, too.
        if not self._put(_Waiting(waiting.event, attempts, later)):
            log.warning("backlog.left_to_reconcile", key=waiting.event.key)

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
