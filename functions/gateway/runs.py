"""Routes for runs: ask for them, look at them, list, cancel, try again, remove."""

from datetime import UTC, datetime
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Header, Path, Query, Request, Response

from functions.gateway.cursor import read_cursor
from functions.gateway.desk import AtDesk, OfTenant
from functions.gateway.intake import order_in
from functions.gateway.pages import Filter
from functions.gateway.problems import Refusal, responses
from functions.gateway.requests import RequestDocument
from functions.gateway.uploads import body_of
from functions.gateway.views import (
    RUN_PATTERN,
    Accepted,
    AcceptedRun,
    Inputs,
    Phase,
    RunPage,
    RunView,
    links_of,
)
from functions.request_keys import RequestKeys

router = APIRouter(prefix="/v1/runs", tags=["runs"])

RunId = Annotated[str, Path(pattern=RUN_PATTERN, description="From POST or GET /v1/runs.")]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORM = {
    "schema": {
        "type": "object",
        "required": ["voice", "faces"],
        "properties": {
            "voice": {
                "type": "string",
                "format": "binary",
                "description": "A recording; or, as text, an upload or a key.",
            },
            "faces": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "string", "format": "binary"},
                "description": "Videos or portraits, one field each; or uploads or keys.",
            },
            "options": {"$ref": "#/components/schemas/Options"},
        },
    },
    "encoding": {"options": {"contentType": "application/json"}},
}


@router.post(
    "",
    status_code=201,
    responses=responses(
        Refusal.BAD_BODY,
        Refusal.BAD_TYPE,
        Refusal.TOO_LARGE,
        Refusal.INVALID,
        Refusal.UNKNOWN_INPUT,
        Refusal.KEY_REUSED,
        Refusal.BUSY,
    ),
    openapi_extra=body_of(
        application__json={"schema": {"$ref": "#/components/schemas/NewRuns"}},
        multipart__form_data=_FORM,
    ),
)
async def post_runs(
    request: Request,
    response: Response,
    desk: AtDesk,
    tenant: OfTenant,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            description="The same key with the same body gets the same answer, and no second run.",
        ),
    ] = None,
) -> Accepted:
    """Asks for a video of one voice and each of the faces."""
    async with order_in(request, desk, tenant) as order:
        document = await to_thread.run_sync(desk.requests.make, tenant, order, idempotency_key)
    accepted = _accepted(tenant, document)
    response.headers["Location"] = accepted.runs[0].links.self
    return accepted


@router.get("", responses=responses(Refusal.INVALID))
def get_runs(
    desk: AtDesk,
    tenant: OfTenant,
    phase: Annotated[list[Phase], Query(description="Any of these.")] = [],  # noqa: B006 -- FastAPI copies it
    job: Annotated[
        str | None, Query(max_length=255, description="A job's folder, or a request.")
    ] = None,
    since: Annotated[
        datetime | None, Query(description="Made then or later; UTC unless it says otherwise.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[
        str | None, Query(max_length=200, description="From the page before.")
    ] = None,
) -> RunPage:
    """Lists runs, newest first: those that came over HTTP and those whose files were dropped."""
    wanted = Filter(frozenset(phase), job, None if since is None else _seconds(since))
    found, place = desk.pages.page(tenant, wanted, read_cursor(cursor), limit)
    return RunPage(runs=found, cursor=None if place is None else place.write())


@router.get("/{run}", responses=responses(Refusal.NOT_FOUND, Refusal.INVALID))
def get_run(desk: AtDesk, tenant: OfTenant, run: RunId) -> RunView:
    """Says how a run is."""
    return desk.states.view(desk.states.locate(tenant, run))


@router.post(
    "/{run}/cancel",
    responses=responses(Refusal.NOT_FOUND, Refusal.INVALID, Refusal.ALREADY_ENDED),
)
def post_cancel(desk: AtDesk, tenant: OfTenant, run: RunId) -> RunView:
    """Stops a run within the segment that is being worked on."""
    desk.actions.cancel(desk.states.locate(tenant, run))
    return desk.states.view(desk.states.locate(tenant, run))


@router.post(
    "/{run}/retry",
    responses=responses(Refusal.NOT_FOUND, Refusal.INVALID, Refusal.NOT_RETRIABLE),
)
def post_retry(desk: AtDesk, tenant: OfTenant, run: RunId) -> RunView:
    """Gives a failed or cancelled run another chance; finished segments stay."""
    desk.actions.retry(desk.states.locate(tenant, run))
    return desk.states.view(desk.states.locate(tenant, run))


@router.delete("/{run}", status_code=204, responses=responses(Refusal.NOT_FOUND, Refusal.INVALID))
def delete_run(desk: AtDesk, tenant: OfTenant, run: RunId) -> None:
    """Stops a run and removes its objects, its outputs, and what was uploaded for it."""
    desk.actions.remove(desk.states.locate(tenant, run))


def _accepted(tenant: str, document: RequestDocument) -> Accepted:
    keys = RequestKeys(tenant, document.request)
    voice = keys.input(document.voice.file).key
    found = []
    for number, face in enumerate(document.faces, 1):
        run = f"{document.request}-{number}"
        inputs = Inputs(voice=voice, face=keys.input(face.file).key)
        found.append(AcceptedRun(id=run, inputs=inputs, links=links_of(run)))
    return Accepted(request=document.request, made_at=document.made_at, runs=found)


def _seconds(at: datetime) -> float:
    # Years that a timestamp can't have are fine here.
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return (aware - _EPOCH).total_seconds()
