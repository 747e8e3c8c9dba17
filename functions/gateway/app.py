"""The gateway's app: routes, errors, counts and the OpenAPI document."""

import asyncio
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from anyio import to_thread
from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.security import HTTPBearer
from pydantic.json_schema import models_json_schema
from starlette.types import ASGIApp, Receive, Scope, Send

from functions.gateway import results, runs, uploads
from functions.gateway.desk import Desk
from functions.gateway.problems import Problem, add_problems
from functions.gateway.reference import add_reference
from functions.gateway.views import NewRuns, NewUpload, RunEvent
from functions.health import add_health
from functions.logs import logger
from functions.metrics import REQUESTS
from functions.settings import BucketSettings
from functions.storage import Store

log = logger()

_TIDY_EVERY = 3600.0
_ABOUT = """One voice and any number of faces in, a talking-head video of each out.

1. `POST /v1/runs` with the files as a form, or upload them first and name them.
2. Follow `GET /v1/runs/{run}/events`.
3. Fetch `GET /v1/runs/{run}/result`.

What is refused is answered as problem+json, with a `code` for programs and a `fix` for people.
"""


def create_app(open_desk: Callable[[], Desk]) -> FastAPI:
    """The app; settings are read and the store is opened when it starts, not before."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        desk = open_desk()
        app.state.desk = desk
        tidying = asyncio.create_task(_tidy(desk))
        yield
        tidying.cancel()
        with suppress(asyncio.CancelledError):
            await tidying

    app = FastAPI(
        title="Koubo",
        version="1",
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        # For the document alone; `desk.tenant_of` is what looks at the token.
        dependencies=[Depends(HTTPBearer(auto_error=False, description="A tenant's token."))],
    )
    add_problems(app)
    for routes in (uploads, runs, results):
        app.include_router(routes.router)

    def reach() -> tuple[Store, BucketSettings]:
        return app.state.desk.store, app.state.desk.buckets

    add_health(app, "gateway", reach)
    add_reference(app)
    app.add_middleware(_Counted)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]  # FastAPI's own way to change it
    return app


def tidy(desk: Desk, tenant: str) -> None:
    """Places the files of requests that were interrupted, and removes uploads nobody used."""
    desk.requests.heal(tenant)
    desk.requests.sweep(tenant, desk.settings.upload_hours)


async def _tidy(desk: Desk) -> None:
    """Tidies up for every tenant, from time to time."""
    while True:
        for tenant in sorted(desk.tenants.names):
            try:
                await to_thread.run_sync(tidy, desk, tenant, abandon_on_cancel=True)
            except Exception:
                # Whatever it is, requests are still answered, and the next time may be better.
                log.exception("gateway.untidy", tenant=tenant)
        await asyncio.sleep(_TIDY_EVERY)


class _Counted:
    """Counts requests by route and status."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def watch(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            REQUESTS.labels(scope["method"], route, str(status)).inc()


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the bodies that routes read by themselves."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
        )
        models = [(model, "validation") for model in (NewRuns, NewUpload, RunEvent, Problem)]
        _, extra = models_json_schema(models, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]  # mypy widens the literal
        found["components"]["schemas"].update(extra["$defs"])
        for path in found["paths"].values():
            for operation in path.values():
                _drop_fastapis(operation)
        app.openapi_schema = found
    return app.openapi_schema


def _drop_fastapis(operation: dict[str, Any]) -> None:
    """Takes out FastAPI's own form of a failed validation, which we don't send."""
    answers = operation["responses"]
    if "HTTPValidationError" in str(answers.get("422")):
        del answers["422"]
