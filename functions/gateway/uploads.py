"""Routes for files that come in before the request that uses them."""

from typing import Annotated, Any
from urllib.parse import quote

from anyio import to_thread
from fastapi import APIRouter, Path, Request, Response

from functions.gateway.bodies import Incoming, pieces_of, read_json, wanted_digest
from functions.gateway.desk import AtDesk, Desk, OfTenant
from functions.gateway.names import safe_name
from functions.gateway.problems import ProblemError, Refusal, responses
from functions.gateway.requests import upload_id
from functions.gateway.views import UPLOAD_PATTERN, NewUpload, Uploaded, UploadPlace
from functions.request_keys import upload_key

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])

# What S3 takes in one PUT; what is larger comes through the gateway, which sends it on in parts.
_PRESIGNED_MAX = 5 << 30


def body_of(**content: dict[str, Any]) -> dict[str, Any]:
    """Describes a body that a route reads by itself: media types, `_` for `/`, with schemas."""
    described = {name.replace("__", "/").replace("_", "-"): c for name, c in content.items()}
    return {"requestBody": {"required": True, "content": described}}


@router.post(
    "",
    status_code=201,
    responses=responses(Refusal.BAD_BODY, Refusal.BAD_TYPE, Refusal.TOO_LARGE, Refusal.INVALID),
    openapi_extra=body_of(application__json={"schema": {"$ref": "#/components/schemas/NewUpload"}}),
)
async def post_upload(request: Request, desk: AtDesk, tenant: OfTenant) -> UploadPlace:
    """Says where to PUT a file: into the store itself where that is possible, or here."""
    new = await read_json(request, NewUpload)
    _check_size(desk, new.size or 0)
    upload, name = upload_id(), safe_name(new.file)
    link = None
    if (new.size or 0) <= _PRESIGNED_MAX:
        key, seconds = upload_key(tenant, upload, name), desk.settings.presign_seconds
        link = await to_thread.run_sync(desk.public.link, desk.buckets.input, key, "PUT", seconds)
    return UploadPlace(
        upload=upload,
        url=link or f"/v1/uploads/{upload}/{quote(name, safe='')}",
        presigned=link is not None,
        expires_in=desk.settings.presign_seconds,
    )


@router.put(
    "/{upload}/{file}",
    status_code=201,
    responses=responses(
        Refusal.BAD_BODY, Refusal.TOO_LARGE, Refusal.INVALID, Refusal.WRONG_DIGEST, Refusal.BUSY
    ),
    openapi_extra=body_of(
        application__octet_stream={"schema": {"type": "string", "format": "binary"}}
    ),
)
async def put_upload(
    request: Request,
    response: Response,
    desk: AtDesk,
    tenant: OfTenant,
    upload: Annotated[str, Path(pattern=UPLOAD_PATTERN)],
    file: Annotated[str, Path(min_length=1, max_length=1000)],
) -> Uploaded:
    """Takes a file of any size; `Content-Digest: sha-256=:...:` has it checked."""
    digest = wanted_digest(request)
    stated = request.headers.get("content-length", "")
    _check_size(desk, int(stated) if stated.isdigit() else 0)
    name = safe_name(file)
    incoming = Incoming(desk.settings.max_upload_bytes, digest)
    with desk.uploads.one():
        key = upload_key(tenant, upload, name)
        await incoming.keep(desk.store, desk.buckets.input, key, pieces_of(request))
    response.headers["Location"] = f"/v1/uploads/{upload}/{quote(name, safe='')}"
    return Uploaded(upload=upload, file=name, size=incoming.size, sha256=incoming.sha256)


def _check_size(desk: Desk, size: int) -> None:
    limit = desk.settings.max_upload_bytes
    if size > limit:
        raise ProblemError(Refusal.TOO_LARGE, f"The file has {size} bytes; the limit is {limit}.")
