import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from functions.errors import KouboError
from functions.gateway.server import Server


def app() -> FastAPI:
    made = FastAPI()
    made.state.going = threading.Event()

    @made.get("/")
    def get() -> str:
        return "here"

    @made.get("/endless")
    def endless() -> StreamingResponse:
        def pieces() -> Iterator[bytes]:
            while True:
                made.state.going.wait(0.05)
                yield b"x"

        return StreamingResponse(pieces())

    return made


def get(url: str) -> Any:
    return httpx.get(url, trust_env=False).json()


def test_serves_and_stops() -> None:
    """It answers as long as the context lasts, and then the port is free again."""
    with Server(app(), "127.0.0.1", 0) as server:
        url = server.url
        assert get(url) == "here"
    with pytest.raises(httpx.ConnectError):
        get(url)
    with Server(app(), "127.0.0.1", int(url.rpartition(":")[2])) as server:
        assert get(server.url) == "here"


def test_a_stream_does_not_keep_it() -> None:
    """It stops in seconds though an answer is still going on."""
    with Server(app(), "127.0.0.1", 0) as server:
        client = httpx.Client(trust_env=False)
        stream = client.stream("GET", f"{server.url}/endless")
        answer = stream.__enter__()
        assert next(answer.iter_raw())
    assert not any(thread.name == "gateway" for thread in threading.enumerate())
    client.close()


def test_a_port_that_is_taken() -> None:
    """Where somebody listens already it says so at once."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(KouboError, match=f"127.0.0.1:{port}"):
            Server(app(), "127.0.0.1", port).start()


def test_an_app_that_does_not_start() -> None:
    """An app whose start fails is no server, and leaves no port taken."""

    async def failing(_: FastAPI) -> Any:
        raise RuntimeError("no")
        yield

    broken = FastAPI(lifespan=failing)
    with pytest.raises(KouboError, match="can't be served"):
        Server(broken, "127.0.0.1", 0).start()


def test_its_address_is_one_to_open() -> None:
    """The address that is shown to people can be opened, for IPv6 too."""
    try:
        with Server(app(), "::1", 0) as server:
            assert server.url.startswith("http://[::1]:")
            assert get(server.url) == "here"
    except KouboError as error:
        pytest.fail(f"IPv6 loopback is missing here: {error}")
