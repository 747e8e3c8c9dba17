"""The gateway beside other work, in a thread: how `koubo up` serves it."""

import socket
import threading
from contextlib import suppress
from types import TracebackType

import uvicorn
from fastapi import FastAPI

from functions.errors import KouboError
from functions.gateway.settings import is_loopback

_STOP_SECONDS = 5


class Server:
    """Serves an app for as long as the context lasts.

    Args:
        app: what is served.
        host: the address to listen on.
        port: 0 takes a free one.

    Raises:
        KouboError: on entering: the port is taken, or the app doesn't start.
    """

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        self._app, self._host, self._port = app, host, port

    def __enter__(self) -> "Server":
        self.start()
        return self

    def start(self) -> None:
        """Begins to serve."""
        self._socket = _listen(self._host, self._port)
        # What is said is said in our own log; a stream that is open must not keep us.
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=1,
            timeout_keep_alive=15,
        )
        self._server = uvicorn.Server(config)
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="gateway", daemon=True)
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.01)
            if not self._thread.is_alive():
                self._socket.close()
                raise KouboError("runs over HTTP can't be served; the log says why")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends what is going on and stops to listen."""
        self._server.should_exit = True
        self._thread.join(_STOP_SECONDS)
        self._socket.close()

    @property
    def url(self) -> str:
        """Where it is, for people on this machine."""
        host, port = self._socket.getsockname()[:2]
        shown = host if is_loopback(host) else self._host
        return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"

    def _serve(self) -> None:
        with suppress(SystemExit):  # its way to say that the app doesn't start
            self._server.run(sockets=[self._socket])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        opened = socket.socket(family, kind)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
    except OSError as error:
        raise KouboError(f"{host}:{port} can't be listened on: {error}") from error
    return opened
