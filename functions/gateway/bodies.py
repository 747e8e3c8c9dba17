"""Bodies as they come in: JSON within a bound, files straight into the store."""

import base64
import binascii
import hashlib
import re
from collections.abc import AsyncIterator
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from functions.gateway.problems import ProblemError, Refusal, invalid
from functions.storage import Store

_MAX_JSON = 1 << 20
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/=]{0,64}):")

Model = TypeVar("Model", bound=BaseModel)


def media_type(request: Request) -> str:
    """The body's media type, in lower case and without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_json(request: Request, model: type[Model]) -> Model:
    """Reads a JSON body.

    Raises:
        ProblemError: `bad_type`, `too_large`, `bad_body` or `invalid`.
    """
    if media_type(request) != "application/json":
        raise ProblemError(Refusal.BAD_TYPE, "The body is not application/json.")
    body = bytearray()
    async for piece in pieces_of(request):
        body += piece
        if len(body) > _MAX_JSON:
            raise ProblemError(Refusal.TOO_LARGE, f"The JSON has over {_MAX_JSON} bytes.")
    return read_model(bytes(body), model)


def read_model(text: bytes | str, model: type[Model]) -> Model:
    """Reads JSON.

    Raises:
        ProblemError: `bad_body` or `invalid`.
    """
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            raise ProblemError(Refusal.BAD_BODY, f"This is no JSON: {first['msg']}.") from error
        raise invalid(error) from error


async def pieces_of(request: Request) -> AsyncIterator[bytes]:
    """The body, piece by piece.

    Raises:
        ProblemError: `bad_body`: the client went away before its end.
    """
    try:
        async for piece in request.stream():
            if piece:
                yield piece
    except ClientDisconnect as error:
        raise ProblemError(Refusal.BAD_BODY, "The body breaks off before its end.") from error


def wanted_digest(request: Request) -> str | None:
    """The SHA-256, in hex, that `Content-Digest` (RFC 9530) says the body has.

    Raises:
        ProblemError: `bad_body`: it says something that is no SHA-256.
    """
    header = request.headers.get("content-digest")
    if header is None:
        return None
    match = _DIGEST.search(header)
    try:
        digest = base64.b64decode(match[1], validate=True) if match else b""
    except binascii.Error:
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        detail = "Content-Digest has to be sha-256=:<44 letters of base64>:."
        raise ProblemError(Refusal.BAD_BODY, detail)
    return digest.hex()


class Incoming:
    """A file on its way into the store: counted, hashed, and never held whole.

    Args:
        limit: bytes that it may have.
        digest: the SHA-256 that it must have, in hex; None takes any.
    """

    def __init__(self, limit: int, digest: str | None = None) -> None:
        self._limit = limit
        self._digest = digest
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Of what has come in, in hex."""
        return self._hash.hexdigest()

    async def keep(self, store: Store, bucket: str, key: str, pieces: AsyncIterator[bytes]) -> None:
        """Writes the file; when something is wrong with it, nothing is written.

        Raises:
            ProblemError: `too_large`, `wrong_digest`, or what `pieces` raises.
        """
        await store.receive(bucket, key, self._checked(pieces))

    async def _checked(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            self.size += len(piece)
            if self.size > self._limit:
                raise ProblemError(Refusal.TOO_LARGE, f"The file has over {self._limit} bytes.")
            self._hash.update(piece)
            yield piece
        if self._digest not in (None, self.sha256):
            raise ProblemError(Refusal.WRONG_DIGEST, f"What came has the SHA-256 {self.sha256}.")
