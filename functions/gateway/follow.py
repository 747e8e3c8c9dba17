"""Following a run: server-sent events of its stage, its k of n and the time that is left."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from math import inf

from anyio import sleep, to_thread

from functions.errors import RetryableError
from functions.gateway.problems import ProblemError
from functions.gateway.views import RunEvent, RunView
from functions.logs import logger

log = logger()

_RECONNECT_MS = 2000


@dataclass
class Estimate:
    """How long a run still takes, by the pace seen so far.

    Every segment is inferred and encoded, so a run of n has 2n steps.
    """

    _first: tuple[float, int] | None = None

    def left(self, view: RunView, now: float) -> float | None:
        """Seconds; None before there is a pace.

        Args:
            view: the run as it is.
            now: seconds since 1970.
        """
        progress = view.progress
        if progress is None or progress.total == 0:
            return 0.0 if view.phase == "done" else None
        done = progress.inferred + progress.encoded
        if self._first is None:
            self._first = (now, done)
        # What happened before we looked counts from the run's beginning, until we have seen more.
        began, before = self._first if done > self._first[1] else (view.made_at, 0)
        if done == before or now <= began:
            return None
        return (2 * progress.total - done) * (now - began) / (done - before)


def state_id(view: RunView) -> str:
    """What a client hands back as Last-Event-ID: the state that it knows."""
    progress = view.progress
    if progress is None:
        return view.phase
    return f"{view.phase}-{progress.inferred}-{progress.encoded}-{progress.total}"


async def follow(
    look: Callable[[], RunView],
    known: str | None,
    *,
    poll_seconds: float,
    heartbeat_seconds: float,
    most_seconds: float | None = None,
) -> AsyncIterator[str]:
    """The event stream of a run, to its end, or until it was removed (`gone`).

    Args:
        look: says how the run is; may wait for the store.
        known: the state that the client knows already.
        poll_seconds: between looks.
        heartbeat_seconds: after which the stream says that it is still there.
        most_seconds: after which it ends before the run does; None follows the run to its end.
    """
    yield f"retry: {_RECONNECT_MS}\n\n"
    estimate, said = Estimate(), time.monotonic()
    over = said + (inf if most_seconds is None else most_seconds)
    while True:
        try:
            view = await to_thread.run_sync(look)
        except ProblemError:
            yield "event: gone\ndata: {}\n\n"
            return
        except RetryableError as error:
            # The client comes back by itself, and knows the state that it had.
            log.warning("gateway.stream_broke", error=str(error))
            return
        state = state_id(view)
        if state != known:
            known, said = state, time.monotonic()
            yield _event(view, state, estimate.left(view, time.time()))
        if view.ended or time.monotonic() >= over:
            return
        if time.monotonic() - said >= heartbeat_seconds:
            said = time.monotonic()
            yield ": still there\n\n"
        await sleep(poll_seconds)


def _event(view: RunView, state: str, left: float | None) -> str:
    progress = view.progress
    data = RunEvent(
        id=view.id,
        phase=view.phase,
        done=progress.done if progress else 0,
        total=progress.total if progress else 0,
        seconds_left=None if left is None else round(left, 1),
        error=view.error,
    )
    name = "end" if view.ended else "progress"
    return f"id: {state}\nevent: {name}\ndata: {data.model_dump_json()}\n\n"
