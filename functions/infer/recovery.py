"""Asks lost devices in the background whether they are back."""

from collections.abc import Callable
from threading import Event, Thread

from functions.infer.router import Router
from functions.logs import logger

log = logger()

IDLE_SECONDS = 5.0
"""Between two looks while no device is out."""


def keep_asking(router: Router, wait: Callable[[float], bool]) -> None:
    """Asks until `wait`, which is given seconds, says that it is enough."""
    while True:
        try:
            due = router.recover()
        except Exception:
            log.exception("infer.probe_failed")
            due = None
        if wait(IDLE_SECONDS if due is None else max(due, 0.1)):
            return


def start(router: Router) -> Event:
    """Asks in a thread that ends with the process, or when the event that is returned is set."""
    stop = Event()
    Thread(target=keep_asking, args=(router, stop.wait), name="recovery", daemon=True).start()
    return stop
