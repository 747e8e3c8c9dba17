"""multipart/form-data as it streams in: no part is ever held whole, in memory or on disk."""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from functions.gateway.problems import ProblemError, Refusal

_MAX_PARTS = 10_200


@dataclass
class Part:
    """One field of a form; its content has to be read before the next part.

    Args:
        name: of the field.
        file: the file's name; None for a field of plain text.
    """

    name: str
    file: str | None
    _form: "Form" = field(repr=False)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The content."""
        while (piece := await self._form._piece()) is not None:
            yield piece

    async def text(self, limit: int) -> str:
        """The content as text.

        Raises:
            ProblemError: `too_large` or `bad_body`.
        """
        found = bytearray()
        async for piece in self.pieces():
            found += piece
            if len(found) > limit:
                raise ProblemError(Refusal.TOO_LARGE, f"{self.name!r} has over {limit} bytes.")
        try:
            return found.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ProblemError(Refusal.BAD_BODY, f"{self.name!r} is not UTF-8 text.") from error


@dataclass
class _Headers:
    """The headers of a part as they come in."""

    name: bytearray = field(default_factory=bytearray)
    value: bytearray = field(default_factory=bytearray)
    disposition: bytes = b""


class Form:
    """A form that streams in.

    Args:
        content_type: of the request.
        body: of the request.

    Raises:
        ProblemError: `bad_body`, from here and from every read.
    """

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if not 1 <= len(boundary) <= 200:
            raise ProblemError(Refusal.BAD_BODY, "The form's Content-Type states no boundary.")
        self._body = body
        self._headers = _Headers()
        # What the parser has found and nobody has taken: a part's beginning, its content, its end.
        self._found: deque[Part | bytes | None] = deque()
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._field,
                "on_header_value": self._value,
                "on_header_end": self._header,
                "on_headers_finished": self._part,
                "on_part_data": self._data,
                "on_part_end": lambda: self._found.append(None),
                "on_end": self._end,
            },
        )

    async def parts(self) -> AsyncIterator[Part]:
        """The parts, one after the other; content that nobody read is passed over."""
        count = 0
        while True:
            found = await self._next()
            if found is _END:
                return
            if isinstance(found, Part):
                count += 1
                if count > _MAX_PARTS:
                    raise ProblemError(Refusal.TOO_LARGE, f"The form has over {_MAX_PARTS} parts.")
                yield found

    async def _piece(self) -> bytes | None:
        found = await self._next()
        return found if isinstance(found, bytes) and found is not _END else None

    async def _next(self) -> Part | bytes | None:
        while not self._found:
            if self._ended:
                return _END
            try:
                chunk = await anext(self._body)
            except StopAsyncIteration:
                chunk = b""
            if not chunk:
                if self._ended or self._found:
                    continue
                raise ProblemError(Refusal.BAD_BODY, "The form breaks off before its end.")
            try:
                self._parser.write(chunk)
            except MultipartParseError as error:
                raise ProblemError(Refusal.BAD_BODY, f"This is no form: {error}.") from error
        return self._found.popleft()

    def _begin(self) -> None:
        self._headers = _Headers()

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._headers.name += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._headers.value += data[start:end]

    def _header(self) -> None:
        if self._headers.name.lower() == b"content-disposition":
            self._headers.disposition = bytes(self._headers.value)
        self._headers.name.clear()
        self._headers.value.clear()

    def _part(self) -> None:
        _, options = parse_options_header(self._headers.disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        file = options.get(b"filename")
        given = None if file is None else file.decode("utf-8", "replace")
        self._found.append(Part(name, given, self))

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._found.append(bytes(data[start:end]))

    def _end(self) -> None:
        self._ended = True


_END = b"the form's end"
