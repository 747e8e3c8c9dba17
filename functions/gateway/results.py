"""Routes for what came of a run: the video, its poster, its report; and the run as it goes."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal
from urllib.parse import quote

from anyio import to_thread
from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from functions import documents
from functions.gateway.desk import AtDesk, Desk, OfTenant
from functions.gateway.follow import follow, state_id
from functions.gateway.problems import ProblemError, Refusal, responses
from functions.gateway.ranges import UnsatisfiableError, parse_range
from functions.gateway.runs import RunId
from functions.gateway.views import RunView
from functions.runs import Done

router = APIRouter(prefix="/v1/runs", tags=["results"])

Which = Literal["result", "poster", "report"]
_TYPES: dict[Which, str] = {
    "result": "video/mp4",
    "poster": "image/jpeg",
    "report": "application/json",
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
RangeHeader = Annotated[str | None, Header(alias="Range")]


def _outcomes(which: Which) -> dict[int | str, dict[str, Any]]:
    content = {_TYPES[which]: {"schema": {}} if which == "report" else _BINARY}
    refused = responses(
        Refusal.NOT_FOUND,
        Refusal.INVALID,
        Refusal.NOT_FINISHED,
        Refusal.NO_RESULT,
        Refusal.SUPERSEDED,
        Refusal.BAD_RANGE,
    )
    return {
        200: {"description": "All of it.", "content": content},
        206: {"description": "The range that was asked for.", "content": {_TYPES[which]: _BINARY}},
        304: {"description": "It is the one whose ETag If-None-Match names."},
        307: {"description": "Where it is in the store, by a link that works for a while."},
        **refused,
    }


def _add(which: Which, what: str) -> None:
    """Adds the routes of one of a run's outputs."""

    def get(
        request: Request,
        desk: AtDesk,
        tenant: OfTenant,
        run: RunId,
        range_: RangeHeader = None,
    ) -> Response:
        return _serve(request, desk, tenant, run, which, range_)

    for method in ("GET", "HEAD"):
        router.add_api_route(
            f"/{{run}}/{which}",
            get,
            methods=[method],
            operation_id=f"{method.lower()}_{which}",
            summary=what,
            responses=_outcomes(which),
            response_class=Response,
        )


_add("result", "The video, with the AI label in picture and metadata.")
_add("poster", "A picture of the video.")
_add("report", "How the video was made.")


@router.get(
    "/{run}/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Events `progress`, last `end` (with a RunEvent as data) or `gone`.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        204: {"description": "The client knows the run's end already: nothing more will come."},
        **responses(Refusal.NOT_FOUND, Refusal.INVALID, Refusal.BUSY),
    },
)
async def get_events(
    desk: AtDesk,
    tenant: OfTenant,
    run: RunId,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Follows a run to its end: stage, segments done of all, and the seconds that are left."""

    def look() -> RunView:
        return desk.states.view(desk.states.locate(tenant, run))

    desk.followers.check()
    view = await to_thread.run_sync(look)
    if view.ended and state_id(view) == last_event_id:
        return Response(status_code=204)

    async def stream() -> AsyncIterator[str]:
        times = desk.settings
        with desk.followers.one():
            async for text in follow(
                look,
                last_event_id,
                poll_seconds=times.poll_seconds,
                heartbeat_seconds=times.heartbeat_seconds,
                most_seconds=times.follow_seconds,
            ):
                yield text

    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)


def _serve(
    request: Request, desk: Desk, tenant: str, run: str, which: Which, range_: str | None
) -> Response:
    key = _key_of(desk, tenant, run, which)
    bucket = desk.buckets.output
    method: Literal["GET", "HEAD"] = "HEAD" if request.method == "HEAD" else "GET"
    link = desk.public.link(bucket, key, method, desk.settings.presign_seconds)
    if link is not None:
        return RedirectResponse(link, 307)
    try:
        entry = desk.store.head(bucket, key)
    except FileNotFoundError as error:
        raise ProblemError(Refusal.NO_RESULT, f"The {which} was taken away.") from error
    name = key.rpartition("/")[2]
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": entry.etag or f'"{entry.size}"',
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(name, safe='')}",
    }
    if request.headers.get("if-none-match") in (headers["ETag"], "*"):
        return Response(status_code=304, headers=headers)
    if request.headers.get("if-range", headers["ETag"]) != headers["ETag"]:
        range_ = None
    try:
        span = parse_range(range_, entry.size)
    except UnsatisfiableError as error:
        raise ProblemError(
            Refusal.BAD_RANGE,
            f"The {which} has {entry.size} bytes.",
            {"Content-Range": f"bytes */{entry.size}"},
        ) from error
    start, end = span or (0, entry.size)
    headers["Content-Length"] = str(end - start)
    if span is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{entry.size}"
    status = 200 if span is None else 206
    if method == "HEAD" or start == end:
        return Response(status_code=status, headers=headers, media_type=_TYPES[which])
    pieces = desk.store.send(bucket, key, start, end)
    return StreamingResponse(pieces, status, headers, media_type=_TYPES[which])


def _key_of(desk: Desk, tenant: str, run: str, which: Which) -> str:
    found = desk.states.locate(tenant, run)
    view = desk.states.view(found)
    if view.phase == "superseded":
        raise ProblemError(
            Refusal.SUPERSEDED,
            f"The run {run} made no video, since one of its files was replaced meanwhile.",
        )
    if view.phase in ("failed", "cancelled"):
        why = view.error.what if view.error else "It was cancelled."
        raise ProblemError(Refusal.NO_RESULT, f"The run {run} is {view.phase}: {why}")
    if view.phase != "done" or found.plan is None:
        raise ProblemError(Refusal.NOT_FINISHED, f"The run {run} is still {view.phase}.")
    data = desk.store.get(desk.buckets.work, found.plan.keys.done)
    done = documents.load(Done, data)
    return {"result": done.video, "poster": done.poster, "report": done.report}[which]
