"""What every server answers to those who look after it: whether it lives, is ready, and counts."""

from collections.abc import Callable

from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from functions.errors import KouboError
from functions.settings import BucketSettings
from functions.storage import Store


def add_health(
    app: FastAPI, function: str, reach: Callable[[], tuple[Store, BucketSettings]]
) -> None:
    """Adds `/healthz`, `/readyz` and `/metrics`.

    Args:
        app: to which.
        function: its name.
        reach: gives what has to be reachable, once the app has started.
    """

    @app.get("/healthz", tags=["health"])
    def get_health() -> dict[str, str]:
        """Whether the process lives."""
        return {"function": function}

    @app.get("/readyz", tags=["health"], responses={503: {"description": "It can't."}})
    def get_readiness() -> dict[str, str]:
        """Whether the store can be reached; models were loaded before the first answer."""
        store, buckets = reach()
        try:
            store.exists(buckets.work, "ready")
        except KouboError as error:
            raise HTTPException(503, str(error)) from error
        return {"function": function}

    @app.get("/metrics", tags=["health"], response_class=PlainTextResponse)
    def get_metrics() -> Response:
        """Counters in Prometheus' text format."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
