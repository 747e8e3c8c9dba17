"""The gateway as `koubo up` serves it: on this machine's loopback unless told otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager

from functions.errors import KouboError, WrongSettingError
from functions.gateway.app import create_app
from functions.gateway.desk import Desk
from functions.gateway.server import Server
from functions.gateway.settings import GatewaySettings
from functions.settings import BucketSettings, StoreSettings
from functions.storage import Store

OFF = "off"


@contextmanager
def beside(store: Store, remote: StoreSettings | None, where: str | None) -> Iterator[str]:
    """Serves runs over HTTP for as long as the context lasts.

    Args:
        store: where everything is.
        remote: how it is reached, where it is an object store.
        where: `host:port`, or `off`; None is the settings' place, and does without where that is
            taken, as by another `koubo up`.

    Yields:
        A line about it for people.

    Raises:
        WrongSettingError: what was asked for is no place.
        KouboError: it can't be served at the place that was asked for.
    """
    if where == OFF:
        yield "Runs over HTTP are off"
        return
    settings = _settings(where)
    public = store if remote is None else settings.public_store(remote).open()
    desk = Desk.open(store, BucketSettings(), settings, public)
    server = Server(create_app(lambda: desk), settings.host, settings.port)
    try:
        server.start()
    except KouboError as error:
        if where is not None:
            raise
        yield f"Runs over HTTP are off: {error}; choose another place with --http"
        return
    try:
        yield f"Runs over HTTP at {server.url}/docs"
    finally:
        server.stop()


def _settings(where: str | None) -> GatewaySettings:
    if where is None:
        return GatewaySettings()
    host, colon, port = where.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise WrongSettingError(f"{where!r} is no host:port, such as 127.0.0.1:8008")
    return GatewaySettings(host=host.strip("[]"), port=int(port))
