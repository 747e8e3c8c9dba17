"""The AWS Lambda door: S3, SQS, EventBridge and HTTP, through Mangum.

Unlike the HTTP door it handles an event before it answers, since nothing runs after the answer. A
failure is raised, so that the platform delivers again; of an SQS batch only the messages that
failed come back.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from fastapi import FastAPI, HTTPException, Request

from functions.asgi import check_places, check_token, read_events, surroundings
from functions.chain import Delivery, FunctionName, Handle, Surroundings, fired_by
from functions.errors import RetryableError
from functions.events import NotAnEventError, ObjectCreated, from_json
from functions.logs import logger, set_up
from functions.metrics import EVENTS
from functions.runs import Attempt
from functions.settings import LogSettings

log = logger()

LambdaHandler = Callable[[dict[str, Any], Any], Any]
"""What AWS calls: an event and a context."""

_NOTICE = "koubo.notice"
"""Where a request's scope holds what the platform delivered; no caller can put it there."""


@dataclass(frozen=True)
class _Message:
    """Events that succeed or fail together; `identifier` and `tries` are SQS's."""

    identifier: str | None
    body: object
    tries: int = 1


def lambda_for(
    function: FunctionName,
    build: Callable[[Surroundings], Handle],
    around: Callable[[], Surroundings] = surroundings,
) -> LambdaHandler:
    """A function's `lambda_handler`; models are loaded at the first event and kept."""

    @cache
    def adapter() -> LambdaHandler:
        from mangum import Mangum  # noqa: PLC0415 -- only where Lambda is the platform

        set_up(LogSettings())
        given = around()
        delivery = Delivery(function, build(given), given.store, given.buckets)
        # Mangum would start and stop the app around every single event.
        return Mangum(_app(delivery), lifespan="off", custom_handlers=[Notice])

    def lambda_handler(event: dict[str, Any], context: Any) -> Any:  # noqa: ANN401 -- AWS's own
        return adapter()(event, context)

    return lambda_handler


class Notice:
    """What S3, SQS and EventBridge deliver, as a request; Mangum's protocol for an event source."""

    def __init__(self, event: Mapping[str, Any], _context: object, _config: object) -> None:
        self._event = event

    @classmethod
    def infer(cls, event: Mapping[str, Any], _context: object, _config: object) -> bool:
        """Whether this is one of them; the rest is HTTP."""
        return "Records" in event or "detail-type" in event or "Event" in event

    @property
    def body(self) -> bytes:
        """Nothing: the event is handed over in the scope."""
        return b""

    @property
    def scope(self) -> dict[str, Any]:
        """`POST /events`."""
        return {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "scheme": "https",
            "path": "/events",
            "raw_path": b"/events",
            "root_path": "",
            "query_string": b"",
            "headers": [],
            "server": ("lambda", 443),
            "client": ("lambda", 0),
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            _NOTICE: self._event,
        }

    def __call__(self, response: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- the answer's JSON
        """The answer for the platform.

        Raises:
            RetryableError: the event is to come again.
        """
        body = json.loads(response["body"])
        if response["status"] >= 400:
            raise RetryableError(str(body.get("detail", body)))
        return body


def _app(delivery: Delivery) -> FastAPI:
    """The app behind Mangum: events, handled before they are answered."""
    name, buckets = delivery.function, delivery.buckets
    app = FastAPI(title=f"koubo {name}", docs_url=None, redoc_url=None)

    @app.post("/events")
    async def post_events(request: Request) -> dict[str, Any]:
        notice = request.scope.get(_NOTICE)
        if notice is not None:
            return _answer(delivery, list(_messages(notice)))
        check_token(request, name)
        events = await read_events(request, name, buckets)
        check_places(events, name, buckets)
        if failed := _deliver(delivery, events, 1):
            raise HTTPException(500, failed.error)
        return {"events": len(events)}

    @app.get("/healthz")
    def get_health() -> dict[str, str]:
        return {"function": name}

    return app


def _messages(notice: Mapping[str, Any]) -> Iterator[_Message]:
    records = notice.get("Records")
    for record in records if isinstance(records, list) else ():
        if isinstance(record, Mapping) and "messageId" in record:
            attributes = record.get("attributes", {})
            tries = int(attributes.get("ApproximateReceiveCount", 1))
            yield _Message(str(record["messageId"]), {"Records": [record]}, tries)
        else:
            yield _Message(None, {"Records": [record]})
    if not isinstance(records, list):
        yield _Message(None, notice)


def _answer(delivery: Delivery, messages: list[_Message]) -> dict[str, Any]:
    """Handles all messages, also those after one that failed."""
    failed: list[tuple[_Message, str]] = []
    for message in messages:
        try:
            attempt = _deliver(delivery, from_json(message.body), message.tries)
            why = attempt.error if attempt else None
        except NotAnEventError as error:
            # It comes until the queue's own dead-letter queue takes it, where somebody sees it.
            log.warning("lambda.not_an_event", function=delivery.function, why=str(error))
            why = f"not an event: {error}"
        if why is not None:
            failed.append((message, why))
    if any(message.identifier is None for message, _ in failed):
        raise HTTPException(500, "; ".join(why for _, why in failed))
    again = [{"itemIdentifier": message.identifier} for message, _ in failed]
    return {"batchItemFailures": again}


def _deliver(delivery: Delivery, events: list[ObjectCreated], tries: int) -> Attempt | None:
    """Handles events one after the other; the first failure, or None."""
    first = None
    for event in events:
        if fired_by(event, delivery.buckets) != delivery.function:
            EVENTS.labels(delivery.function, "ignored").inc()
            continue
        # The platform counts the tries and says nothing of what went wrong in them.
        before = tuple(
            Attempt(time.time(), delivery.function, f"delivery {number} failed; see its log")
            for number in range(1, tries)
        )
        failed = delivery.deliver(event, before)
        EVENTS.labels(delivery.function, "failed" if failed else "settled").inc()
        first = first or failed
    return first
