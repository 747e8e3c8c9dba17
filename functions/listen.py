"""MinIO's listen API: it tells whoever holds a connection of new objects, without any webhook.

It forgets whom it told: what happens while no connection is up is told to nobody. So every new
connection is a reason to reconcile. And MinIO (2025-05 and later) keeps what it has to say until
2 KiB of it have gathered, since a wrapper in its server hides the flush; we make it talk by asking
for an object whose news alone is longer than that.
"""

import io
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import minio
import urllib3

from functions.errors import NotSetUpError
from functions.events import CREATED, ObjectCreated, from_listen
from functions.logs import logger
from functions.settings import BucketSettings, StoreSettings

log = logger()

_EVENTS = (*(f"s3:ObjectCreated:{how}" for how in CREATED), "s3:ObjectAccessed:Head")
_NUDGE = ".koubo-listen"
"""Hidden, so it fires nothing."""
_NUDGE_BYTES = 1900
_NUDGE_EVERY = 0.1
_SILENCE = 30.0
_WAITING = 10_000
_AGAIN_AFTER = 1.0

_Client = Callable[[urllib3.PoolManager], minio.Minio]


class Listener:
    """Tells of objects in the input and work buckets of a MinIO, see `watch.Arrivals`.

    Args:
        client: makes a client that uses a connection pool.
        buckets: whose input and work buckets are listened to.
    """

    def __init__(self, client: _Client, buckets: BucketSettings) -> None:
        self._connected = threading.Event()
        self._events: queue.Queue[ObjectCreated] = queue.Queue(_WAITING)
        self._stop = threading.Event()
        for bucket in (buckets.input, buckets.work):
            for work, pool in (
                (self._listen, _announcing(self._connected.set)),
                (self._nudge, _pool()),
            ):
                threading.Thread(target=work, args=(client(pool), bucket), daemon=True).start()

    @staticmethod
    def connect(settings: StoreSettings, buckets: BucketSettings) -> "Listener":
        """Listens to the MinIO of these settings.

        Raises:
            NotSetUpError: the settings lack its address or keys.
        """
        keys = settings.keys
        if settings.endpoint is None or keys is None:
            raise NotSetUpError(
                "listening to MinIO needs KOUBO_STORE_ENDPOINT, KOUBO_STORE_ACCESS_KEY and "
                "KOUBO_STORE_SECRET_KEY"
            )
        url = urllib3.util.parse_url(settings.endpoint)

        def client(pool: urllib3.PoolManager) -> minio.Minio:
            return minio.Minio(
                endpoint=url.netloc or "",
                access_key=keys[0],
                secret_key=keys[1],
                secure=url.scheme == "https",
                region=settings.region,
                http_client=pool,
            )

        return Listener(client, buckets)

    def events(self, _now: float) -> list[ObjectCreated]:
        """See `watch.Arrivals`."""
        return list(self._drain())

    def found(self, event: ObjectCreated, _now: float) -> list[ObjectCreated]:
        """See `watch.Arrivals`; an object is whole as soon as it is there."""
        return [event]

    def may_have_lost(self) -> bool:
        """See `watch.Arrivals`."""
        new = self._connected.is_set()
        self._connected.clear()
        return new

    @property
    def is_quiet(self) -> bool:
        """See `watch.Arrivals`."""
        return self._events.empty()

    def close(self) -> None:
        """Has the threads end at the next word from MinIO."""
        self._stop.set()

    def _drain(self) -> Iterator[ObjectCreated]:
        while True:
            try:
                yield self._events.get_nowait()
            except queue.Empty:
                return

    def _listen(self, client: minio.Minio, bucket: str) -> None:
        while not self._stop.is_set():
            try:
                with client.listen_bucket_notification(bucket, events=_EVENTS) as heard:
                    for news in heard:
                        if self._stop.is_set():
                            return
                        self._take(news)
            except (urllib3.exceptions.HTTPError, minio.S3Error, OSError) as error:
                log.warning("listen.cut_off", bucket=bucket, error=str(error))
                self._stop.wait(_AGAIN_AFTER)

    def _take(self, news: dict[str, Any]) -> None:
        for event in from_listen(news["Records"]):
            try:
                self._events.put_nowait(event)
            except queue.Full:
                self._connected.set()
                log.warning("listen.left_to_reconcile", key=event.key)

    def _nudge(self, client: minio.Minio, bucket: str) -> None:
        while not self._stop.wait(_NUDGE_EVERY):
            # When MinIO is away, who listens says so.
            with suppress(urllib3.exceptions.HTTPError, minio.S3Error, OSError):
                try:
                    client.stat_object(bucket_name=bucket, object_name=_NUDGE)
                except minio.S3Error as error:
                    if error.code != "NoSuchKey":
                        raise
                    _put_nudge(client, bucket)


def _put_nudge(client: minio.Minio, bucket: str) -> None:
    client.put_object(
        bucket_name=bucket,
        object_name=_NUDGE,
        data=io.BytesIO(),
        length=0,
        metadata={"fill": "." * _NUDGE_BYTES},
    )


def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=_SILENCE), retries=False)


class _AsItComes(io.RawIOBase):
    """An answer's body, in whatever pieces it comes."""

    def __init__(self, answer: urllib3.BaseHTTPResponse) -> None:
        self._answer = answer

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 -- whatever takes bytes
        piece = self._answer.read1(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def _announcing(connected: Callable[[], None]) -> urllib3.PoolManager:
    """A pool that says when a connection is up, and whose answers are read by lines cheaply."""
    pool = _pool()
    send = pool.urlopen

    def urlopen(*arguments: Any, **named: Any) -> urllib3.BaseHTTPResponse:  # noqa: ANN401 -- urllib3's own
        answer = send(*arguments, **named)
        connected()
        # Without a buffer every byte of the news would be a call of its own.
        answer.readline = io.BufferedReader(_AsItComes(answer)).readline  # type: ignore[method-assign]
        return answer

    # minio-py takes a `PoolManager` and nothing else.
    pool.urlopen = urlopen  # type: ignore[method-assign]
    return pool
