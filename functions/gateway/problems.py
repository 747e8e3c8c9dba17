"""What the gateway says when it says no: problem+json (RFC 9457), in words to act on."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException

from functions.errors import RejectedInput, Rejection, RetryableError
from functions.logs import logger

log = logger()

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER = {"Retry-After": "5"}


class Refusal(Enum):
    """The reasons for which a request is refused, beside the codes of `functions.errors`."""

    UNAUTHORIZED = Rejection(401, "Send `Authorization: Bearer <token>` with a token of yours.")
    FORBIDDEN = Rejection(
        403, "Use http://127.0.0.1 from this machine, or have the operator set a token."
    )
    NOT_FOUND = Rejection(404, "Check the id; GET /v1/runs lists the runs that there are.")
    NO_SUCH_ROUTE = Rejection(404, "See /docs for what there is.")
    NO_SUCH_METHOD = Rejection(405, "See the Allow header, or /docs.")
    NOT_FINISHED = Rejection(409, "Follow the run's events and come back when it is done.")
    NO_RESULT = Rejection(409, "The run's error says why; mend that, then POST to its retry.")
    SUPERSEDED = Rejection(409, "Look for a later run of the same files: GET /v1/runs lists it.")
    ALREADY_ENDED = Rejection(409, "Nothing is left to cancel; DELETE removes the run.")
    NOT_RETRIABLE = Rejection(409, "Only failed and cancelled runs can be tried again.")
    TOO_LARGE = Rejection(413, "Send a smaller file, or have the operator raise the limit.")
    BAD_BODY = Rejection(400, "Send the request again, whole, as /docs describes it.")
    BAD_TYPE = Rejection(415, "Send application/json or multipart/form-data.")
    INVALID = Rejection(422, "Correct the fields that `errors` names; see /docs.")
    UNKNOWN_INPUT = Rejection(
        422, "Upload the file first, or name a key that is in the input bucket."
    )
    WRONG_DIGEST = Rejection(422, "The file was damaged on its way; upload it again.")
    KEY_REUSED = Rejection(422, "Use a new Idempotency-Key for another request.")
    BAD_RANGE = Rejection(416, "Ask for a range within the size that Content-Range states.")
    BUSY = Rejection(503, "Come again after the seconds in Retry-After.")
    STORE = Rejection(503, "The store can't be reached; come again after Retry-After.")
    BROKEN = Rejection(500, "Something is broken here; the log of the gateway says what.")

    @property
    def public(self) -> str:
        """The code as people and programs see it."""
        return self.name.lower()


class Fault(BaseModel):
    """What is wrong with one field."""

    field: str
    what: str


class Problem(BaseModel):
    """Why a request was refused, and what to do about it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:koubo:problem:not_found",
                "title": "Not found",
                "status": 404,
                "detail": "There is no run 'r0123456789abcdef0123-1'.",
                "instance": "/v1/runs/r0123456789abcdef0123-1",
                "code": "not_found",
                "fix": "Check the id; GET /v1/runs lists the runs that there are.",
            }
        }
    )

    type: str = Field(description="`urn:koubo:problem:` and the code.")
    title: str
    status: int
    detail: str = Field(description="What is wrong with this very request.")
    instance: str
    code: str
    fix: str = Field(description="What to do about it.")
    errors: list[Fault] | None = None


class ProblemError(Exception):
    """Refuses a request.

    Args:
        refusal: why.
        detail: one sentence about this very request.
        headers: of the answer.
        errors: single faults.
    """

    def __init__(
        self,
        refusal: Refusal,
        detail: str,
        headers: Mapping[str, str] | None = None,
        errors: list[Fault] | None = None,
    ) -> None:
        super().__init__(detail)
        self.refusal = refusal
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = errors


def invalid(error: ValidationError | RequestValidationError) -> ProblemError:
    """The problem that a failed validation is."""
    faults = [
        Fault(field=".".join(str(part) for part in item["loc"]) or "body", what=item["msg"])
        for item in error.errors()
    ]
    detail = "; ".join(f"{fault.field}: {fault.what}" for fault in faults[:5])
    return ProblemError(Refusal.INVALID, f"The request is not valid: {detail}.", errors=faults)


def responses(*refusals: Refusal) -> dict[int | str, dict[str, Any]]:
    """How a route's refusals are described in the OpenAPI document; 401 and 5xx are everyone's."""
    found: dict[int | str, dict[str, Any]] = {}
    everyones = (Refusal.UNAUTHORIZED, Refusal.FORBIDDEN, Refusal.STORE, Refusal.BROKEN)
    for refusal in (*refusals, *everyones):
        status = refusal.value.status
        codes = found.get(status, {}).get("description", "")
        found[status] = {
            "description": f"{codes}, {refusal.public}" if codes else refusal.public,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    return found


def add_problems(app: FastAPI) -> None:
    """Has every error of the app leave it as problem+json."""

    @app.exception_handler(ProblemError)
    async def of_problem(request: Request, error: ProblemError) -> Response:
        return answer(request, error)

    @app.exception_handler(RequestValidationError)
    async def of_validation(request: Request, error: RequestValidationError) -> Response:
        return answer(request, invalid(error))

    @app.exception_handler(RejectedInput)
    async def of_rejection(request: Request, error: RejectedInput) -> Response:
        row = error.code.value
        return _write(request, error.code.public, row, error.what)

    @app.exception_handler(RetryableError)
    async def of_store(request: Request, error: RetryableError) -> Response:
        log.error("gateway.store_failed", error=str(error))
        detail = "The store failed on this request."
        return answer(request, ProblemError(Refusal.STORE, detail, _RETRY_AFTER))

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> Response:
        refusal = {
            404: Refusal.NO_SUCH_ROUTE,
            405: Refusal.NO_SUCH_METHOD,
            503: Refusal.STORE,
        }.get(error.status_code, Refusal.BAD_BODY)
        return answer(request, ProblemError(refusal, str(error.detail), error.headers))

    @app.exception_handler(Exception)
    async def of_anything(request: Request, error: Exception) -> Response:
        log.error("gateway.broke", path=request.url.path, exc_info=error)
        return answer(request, ProblemError(Refusal.BROKEN, "An error that nobody foresaw."))


def answer(request: Request, error: ProblemError) -> Response:
    """The response that a problem is; it is logged, too."""
    return _write(
        request,
        error.refusal.public,
        error.refusal.value,
        error.detail,
        error.headers,
        error.errors,
    )


def _write(
    request: Request,
    code: str,
    row: Rejection,
    detail: str,
    headers: Mapping[str, str] | None = None,
    errors: list[Fault] | None = None,
) -> Response:
    log.warning("gateway.refused", status=row.status, code=code, detail=detail)
    problem = Problem(
        type=f"urn:koubo:problem:{code}",
        title=code.replace("_", " ").capitalize(),
        status=row.status,
        detail=detail,
        instance=request.url.path,
        code=code,
        fix=row.fix,
        errors=errors,
    )
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        row.status,
        dict(headers or {}),
        media_type=MEDIA_TYPE,
    )
