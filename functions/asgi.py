"""The HTTP door: one FastAPI app per function.

An event is answered at once and handled behind, with a bounded number of threads and a bounded
queue; when that is full the sender is told to come again. What is lost when the process ends is
found by reconcile, since the bucket is the truth.
"""

import hmac
import json
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir

from fastapi import FastAPI, HTTPException, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from functions.chain import Delivery, FunctionName, Handle, Surroundings, fired_by
from functions.errors import KouboError
from functions.events import NotAnEventError, ObjectCreated, from_minio
from functions.logs import logger, set_up
from functions.metrics import EVENTS, HANDLING, WAITING
from functions.progress import silent
from functions.runs import Attempt
from functions.settings import (
    BucketSettings,
    CacheSettings,
    EventSettings,
    LogSettings,
    StoreSettings,
)
from functions.storage import InputCache

log = logger()

_MAX_BODY = 1 << 20
_RETRY_AFTER = 5


@dataclass(frozen=True)
class _Waiting:
    event: ObjectCreated
    attempts: tuple[Attempt, ...] = ()


@dataclass
class Desk:
    """Takes events in and has threads handle them.

    Args:
        delivery: to the function.
        settings: how many may wait, and how many threads.
    """

    delivery: Delivery
    settings: EventSettings
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._queue: queue.Queue[_Waiting] = queue.Queue(self.settings.queue)

    def start(self) -> None:
        """Starts the threads."""
        for number in range(self.settings.workers):
            name = f"{self.delivery.function}-{number}"
            thread = threading.Thread(target=self._serve, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, seconds: float = 30.0) -> None:
        """Lets the threads finish the events in their hands."""
        self._stop.set()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def take(self, events: list[ObjectCreated]) -> bool:
        """Takes all events that concern the function; False when they don't fit."""
        name = self.delivery.function
        mine = [event for event in events if fired_by(event, self.delivery.buckets) == name]
        EVENTS.labels(name, "ignored").inc(len(events) - len(mine))
        for event in mine:
            try:
                self._queue.put_nowait(_Waiting(event))
            except queue.Full:
                # What fitted is handled now and, when all of it is sent again, found done.
                EVENTS.labels(name, "full").inc()
                return False
            EVENTS.labels(name, "accepted").inc()
        WAITING.labels(name).set(self._queue.qsize())
        return True

    def _serve(self) -> None:
        name = self.delivery.function
        while not self._stop.is_set():
            try:
                waiting = self._queue.get(timeout=0.2)
            except queue.Empty:
                continue
            WAITING.labels(name).set(self._queue.qsize())
            with HANDLING.labels(name).time():
                failed = self.delivery.deliver(waiting.event, waiting.attempts)
            EVENTS.labels(name, "failed" if failed else "settled").inc()
            if failed is not None:
                self._stop.wait(self.settings.retry_seconds * 2.0 ** len(waiting.attempts))
                self._again(_Waiting(waiting.event, (*waiting.attempts, failed)))

    def _again(self, waiting: _Waiting) -> None:
        try:
            self._queue.put_nowait(waiting)
        except queue.Full:
            log.warning("asgi.left_to_reconcile", key=waiting.event.key)


def surroundings() -> Surroundings:
    """What a function is given when it runs as a server of its own."""
    cache = CacheSettings()
    scratch = Path(gettempdir())
    return Surroundings(
        store=StoreSettings().open(),
        buckets=BucketSettings(),
        cache=InputCache(cache.input_files, cache.inputs_limit),
        models=cache.models,
        scratch=scratch,
        progress=silent,
    )


def app_for(
    function: FunctionName,
    build: Callable[[Surroundings], Handle],
    around: Callable[[], Surroundings] = surroundings,
) -> FastAPI:
    """The app of a function; models are loaded and settings read when it starts, not before."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        set_up(LogSettings())
        given = around()
        delivery = Delivery(function, build(given), given.store, given.buckets)
        app.state.desk = Desk(delivery, EventSettings())
        app.state.desk.start()
        yield
        app.state.desk.stop()

    app = FastAPI(title=f"koubo {function}", lifespan=lifespan)

    @app.post("/events", status_code=202)
    async def post_events(request: Request) -> dict[str, int]:
        """Takes a MinIO event."""
        _check_token(request)
        body = await _read(request)
        try:
            events = from_minio(json.loads(body))
        except (ValueError, AttributeError, NotAnEventError) as error:
            raise HTTPException(400, f"not an event: {error}") from error
        if not request.app.state.desk.take(events):
            raise HTTPException(503, "the queue is full", {"Retry-After": str(_RETRY_AFTER)})
        return {"events": len(events)}

    @app.get("/healthz")
    def get_health() -> dict[str, str]:
        """Whether the process lives."""
        return {"function": function}

    @app.get("/readyz")
    def get_readiness(request: Request) -> dict[str, str]:
        """Whether the store can be reached; the models were loaded before the first answer."""
        delivery: Delivery = request.app.state.desk.delivery
        try:
            delivery.store.exists(delivery.buckets.work, "ready")
        except KouboError as error:
            raise HTTPException(503, str(error)) from error
        return {"function": function}

    @app.get("/metrics")
    def get_metrics() -> Response:
        """Counters in Prometheus' text format."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app


async def _read(request: Request) -> bytes:
    """The body; never more of it than is allowed, whatever length the sender states."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MAX_BODY:
            raise HTTPException(413, "an event has at most 1 MiB")
    return bytes(body)


def _check_token(request: Request) -> None:
    token = EventSettings().token
    if token is None:
        return
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), token.get_secret_value().encode()):
        raise HTTPException(401, "the token is missing or wrong", {"WWW-Authenticate": "Bearer"})
