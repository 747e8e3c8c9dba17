"""A bad network between MinIO and the functions: events are lost, repeated and out of order."""

import heapq
import itertools
import random
import threading
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COPIES = 5
LOST = 1 / 3
SPREAD = 1.0
"""Seconds over which the copies of an event are spread."""


class BadNetwork:
    """Stands between MinIO and one function; a context manager.

    Args:
        to: the function's `/events`.
        headers: that its requests need.
        seed: of what is lost and when copies arrive.
    """

    def __init__(self, to: str, headers: dict[str, str], seed: int) -> None:
        self.counted: Counter[str] = Counter()
        self._to, self._headers = to, headers
        self._random = random.Random(seed)
        self._due: list[tuple[float, int, bytes]] = []
        self._number = itertools.count()
        self._news = threading.Condition()
        self._over = False
        network = self

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                network._take(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Nothing: it is counted."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)

    @property
    def url(self) -> str:
        """Where MinIO is to send."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "BadNetwork":
        self._threads = [
            threading.Thread(target=self._server.serve_forever, daemon=True),
            threading.Thread(target=self._deliver, daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        with self._news:
            self._over = True
            self._news.notify()
        for thread in self._threads:
            thread.join()

    def _take(self, body: bytes) -> None:
        with self._news:
            if self._random.random() < LOST:
                self.counted["lost"] += 1
                return
            self.counted["taken"] += 1
            for _ in range(COPIES):
                at = time.monotonic() + self._random.uniform(0, SPREAD)
                heapq.heappush(self._due, (at, next(self._number), body))
            self._news.notify()

    def _deliver(self) -> None:
        while True:
            with self._news:
                if self._over:
                    return
                now = time.monotonic()
                if not self._due or self._due[0][0] > now:
                    self._news.wait(self._due[0][0] - now if self._due else None)
                    continue
                body = heapq.heappop(self._due)[2]
            request = urllib.request.Request(self._to, body, self._headers)
            # Whoever is down or full does not get it: that is what the storm is about.
            with suppress(OSError), urllib.request.urlopen(request, timeout=5):
                self.counted["delivered"] += 1
