import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.gateway.forms import Form
from functions.gateway.problems import ProblemError

BOUNDARY = "7d01"
TYPE = f'multipart/form-data; boundary="{BOUNDARY}"'

Field = tuple[str, str | None, bytes]


def encode(fields: list[Field]) -> bytes:
    body = b""
    for name, file, content in fields:
        given_name = "" if file is None else f'; filename="{file}"'
        head = f'Content-Disposition: form-data; name="{name}"{given_name}\r\n'
        body += f"--{BOUNDARY}\r\n{head}X-Other: 1\r\n\r\n".encode() + content + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode()


async def streamed(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def decode(body: bytes, size: int, content_type: str = TYPE) -> list[Field]:
    async def read() -> list[Field]:
        found = []
        async for part in Form(content_type, streamed(body, size)).parts():
            content = b"".join([piece async for piece in part.pieces()])
            found.append((part.name, part.file, content))
        return found

    return asyncio.run(read())


names = st.text(st.characters(exclude_characters='"\\', exclude_categories=("C",)), max_size=20)
contents = st.binary(max_size=200) | st.sampled_from(
    [b"\r\n", b"--7d01", b"\r\n--7d0", b"\r", b"--"]
)
fields = st.lists(st.tuples(names, names | st.none(), contents), max_size=6)


@given(fields, st.integers(1, 300))
def test_any_form_in_any_pieces(sent: list[Field], size: int) -> None:
    """Whatever the fields hold, and however the body is cut up, they come out as they went in."""
    body = encode(sent)
    # Content with the delimiter in it would be another form.
    if any(b"\r\n--7d01" in b"\r\n" + content for _, _, content in sent):
        return
    assert decode(body, size) == sent


@given(fields, st.integers(1, 64), st.floats(0, 0.999))
def test_a_form_that_breaks_off(sent: list[Field], size: int, share: float) -> None:
    """A form without its end is refused, wherever it was cut."""
    whole = encode(sent)
    body = whole[: int((len(whole) - 2) * share)]
    with pytest.raises(ProblemError) as caught:
        decode(body, size)
    assert caught.value.refusal.value.status == 400


@given(st.binary(max_size=400), st.integers(1, 100))
def test_noise_is_refused(noise: bytes, size: int) -> None:
    """Bytes that are no form are refused in words."""
    with pytest.raises(ProblemError):
        decode(noise, size)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary="])
def test_no_boundary(content_type: str) -> None:
    """A form has to say what divides it."""
    with pytest.raises(ProblemError, match="boundary"):
        decode(b"", 10, content_type)


def test_parts_that_nobody_reads() -> None:
    """Content that is not read is passed over, and the next part is right."""

    async def read() -> list[str]:
        sent: list[Field] = [("a", "a.bin", b"x" * 1000), ("b", None, b"text")]
        form = Form(TYPE, streamed(encode(sent), 16))
        return [part.name async for part in form.parts()]

    assert asyncio.run(read()) == ["a", "b"]


def test_text_has_a_bound() -> None:
    """A field of text can't fill the memory."""

    async def read() -> None:
        form = Form(TYPE, streamed(encode([("options", None, b"x" * 100)]), 16))
        async for part in form.parts():
            await part.text(99)

    with pytest.raises(ProblemError, match="99"):
        asyncio.run(read())
