"""What a body of `POST /v1/runs` asks for: as JSON, or as a form that carries the files."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from anyio import CancelScope, to_thread
from fastapi import Request
from pydantic import RootModel

from functions.gateway.bodies import Incoming, media_type, pieces_of, read_json, read_model
from functions.gateway.desk import Desk
from functions.gateway.forms import Form, Part
from functions.gateway.names import safe_name
from functions.gateway.problems import Fault, ProblemError, Refusal
from functions.gateway.requests import Given, Order, named, upload_id
from functions.gateway.views import Input, NewRuns
from functions.options import Options
from functions.request_keys import upload_key

_MAX_TEXT = 1 << 16


class _OptionsBody(RootModel[Options]):
    """Options as a field of a form."""


@asynccontextmanager
async def order_in(request: Request, desk: Desk, tenant: str) -> AsyncIterator[Order]:
    """The order that a request's body is; what a form brought and nobody took is removed after.

    Raises:
        ProblemError: whatever is wrong with the body.
    """
    kind = media_type(request)
    if kind == "application/json":
        yield _of_json(await read_json(request, NewRuns), desk)
        return
    if kind != "multipart/form-data":
        raise ProblemError(
            Refusal.BAD_TYPE, "The body is neither application/json nor multipart/form-data."
        )
    reading = _FormReading(desk, tenant)
    try:
        with desk.uploads.one():
            order = await reading.read(Form(request.headers["content-type"], pieces_of(request)))
        yield order
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(reading.tidy)


def _of_json(new: NewRuns, desk: Desk) -> Order:
    _check_count(len(new.faces), desk)
    return Order(named(new.voice), tuple(named(face) for face in new.faces), new.options)


def _check_count(faces: int, desk: Desk) -> None:
    if faces > desk.settings.max_faces:
        limit = desk.settings.max_faces
        fault = Fault(field="faces", what=f"may be {limit} at most")
        raise ProblemError(Refusal.INVALID, f"There are more than {limit} faces.", errors=[fault])


@dataclass
class _FormReading:
    """Reads a form, files straight into the store."""

    desk: Desk
    tenant: str
    _kept: list[str] = field(default_factory=list)

    async def read(self, form: Form) -> Order:
        voices: list[Given] = []
        faces: list[Given] = []
        options = Options()
        async for part in form.parts():
            if part.name == "options":
                options = read_model(await part.text(_MAX_TEXT), _OptionsBody).root
            elif part.name == "voice":
                voices.append(await self._given(part))
            elif part.name in ("face", "faces"):
                faces.append(await self._given(part))
                _check_count(len(faces), self.desk)
            else:
                raise _wrong(part.name, "is no field of this form")
        if len(voices) != 1:
            raise _wrong("voice", f"is there {len(voices)} times, and has to be once")
        if not faces:
            raise _wrong("faces", "are missing; send one file or more")
        return Order(voices[0], tuple(faces), options)

    def tidy(self) -> None:
        """Removes what no request has taken."""
        for key in self._kept:
            self.desk.store.delete(self.desk.buckets.input, key)

    async def _given(self, part: Part) -> Given:
        if part.file is None:
            return named(_input_named(part.name, await part.text(_MAX_TEXT)))
        name = safe_name(part.file)
        key = upload_key(self.tenant, upload_id(), name)
        incoming = Incoming(self.desk.settings.max_upload_bytes)
        await incoming.keep(self.desk.store, self.desk.buckets.input, key, part.pieces())
        self._kept.append(key)
        return Given(name, f"file:{part.name}:{name}:{incoming.sha256}", key, upload=True)


def _input_named(field_name: str, text: str) -> Input:
    """A field of text instead of a file: an upload's id, or a key."""
    text = text.strip()
    if not 1 <= len(text) <= 1000:
        raise _wrong(field_name, "is no file, no upload and no key")
    return Input(key=text) if "/" in text else _upload_named(field_name, text)


def _upload_named(field_name: str, text: str) -> Input:
    try:
        return Input(upload=text)
    except ValueError as error:
        raise _wrong(field_name, "is no file, no upload and no key") from error


def _wrong(name: str, what: str) -> ProblemError:
    fault = Fault(field=name, what=what)
    return ProblemError(Refusal.INVALID, f"The field {name!r} {what}.", errors=[fault])
