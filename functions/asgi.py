"""The HTTP door: one FastAPI app per function.

An event is answered at once and handled behind, with a bounded number of threads and a bounded
queue; when that is full the sender is told to come again. What is lost when the process ends is
found by reconcile, since the bucket is the truth.
"""

import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import NoReturn

from fastapi import FastAPI, HTTPException, Request

from functions.backlog import Backlog
from functions.cancel import stopping
from functions.chain import Delivery, FunctionName, Handle, Surroundings
from functions.errors import RejectedInput
from functions.events import NotAnEventError, ObjectCreated, carries_content, parse
from functions.health import add_health
from functions.input_cache import InputCache
from functions.input_keys import is_unfinished, parse_input
from functions.logs import logger, set_up
from functions.metrics import EVENTS, REFUSED
from functions.progress import silent
from functions.settings import (
    BucketSettings,
    CacheSettings,
    EventSettings,
    LogSettings,
    StoreSettings,
)
from functions.storage import Store

log = logger()

_MAX_BODY = 1 << 20
_RETRY_AFTER = 5


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
        progress=stopping(silent),
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
        app.state.backlog = Backlog(delivery, EventSettings())
        app.state.backlog.start()
        yield
        app.state.backlog.stop()

    # The page that FastAPI would make of the document loads its scripts from elsewhere.
    app = FastAPI(title=f"koubo {function}", lifespan=lifespan, docs_url=None, redoc_url=None)

    @app.post("/events", status_code=202)
    async def post_events(request: Request) -> dict[str, int]:
        """Takes an event in any dialect; it is handled behind."""
        check_token(request, function)
        buckets = request.app.state.backlog.delivery.buckets
        events = await read_events(request, function, buckets)
        if not request.app.state.backlog.take(events):
            again = {"Retry-After": str(_RETRY_AFTER)}
            refuse_request(function, 503, "the queue is full", again)
        check_places(events, function, buckets)
        return {"events": len(events)}

    def reach() -> tuple[Store, BucketSettings]:
        delivery: Delivery = app.state.backlog.delivery
        return delivery.store, delivery.buckets

    add_health(app, function, reach)
    return app


async def read_events(
    request: Request, function: FunctionName, buckets: BucketSettings
) -> list[ObjectCreated]:
    """What a request says, in whatever dialect; 400 where it says nothing that is known."""
    try:
        if carries_content(request.headers):
            async for _ in request.stream():
                pass  # the object itself, which the store has
            return parse(b"", request.headers, buckets.input)
        return parse(await _read(request, function), request.headers, buckets.input)
    except NotAnEventError as error:
        refuse_request(function, 400, f"not an event: {error}")


async def _read(request: Request, function: FunctionName) -> bytes:
    """The body; never more of it than is allowed, whatever length the sender states."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MAX_BODY:
            refuse_request(function, 413, "an event has at most 1 MiB")
    return bytes(body)


def check_token(request: Request, function: FunctionName) -> None:
    """Answers 401 to who doesn't know the token, if one is set."""
    token = EventSettings().secret
    if token is None:
        return
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), token.encode()):
        bearer = {"WWW-Authenticate": "Bearer"}
        refuse_request(function, 401, "the token is missing or wrong", bearer)


def check_places(
    events: list[ObjectCreated], function: FunctionName, buckets: BucketSettings
) -> None:
    """Answers 422 where no event is about a place of ours: the rules at the sender are wrong."""
    found = [_misplaced(event, buckets) for event in events]
    for why in filter(None, found):
        EVENTS.labels(function, "misplaced").inc()
        log.warning("asgi.misplaced", function=function, why=why)
    if found and all(found):
        refuse_request(function, 422, str(found[0]))


def _misplaced(event: ObjectCreated, buckets: BucketSettings) -> str | None:
    if event.bucket not in (buckets.input, buckets.work, buckets.output, buckets.models):
        return f"the bucket {event.bucket!r} is none of ours"
    if event.bucket == buckets.input and not is_unfinished(event.key):
        try:
            parse_input(event.key)
        except RejectedInput as refusal:
            return refusal.what
    return None


def refuse_request(
    function: FunctionName, status: int, why: str, headers: dict[str, str] | None = None
) -> NoReturn:
    """Answers with a status and a reason, both logged and counted."""
    REFUSED.labels(function, str(status)).inc()
    log.warning("asgi.refused", function=function, status=status, why=why)
    raise HTTPException(status, why, headers)
