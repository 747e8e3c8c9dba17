import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.errors import RetryableError
from functions.gateway.follow import Estimate, follow, state_id
from functions.gateway.problems import ProblemError, Refusal
from functions.gateway.views import Inputs, RunFault, RunView, StageProgress, links_of

from .conftest import Gateway
from .test_states import planned

RUN = "0123456789abcdef0123"


def view(phase: str, inferred: int = 0, encoded: int = 0, total: int = 4) -> RunView:
    progress = None
    if phase in ("inferring", "encoding"):
        done = encoded if phase == "encoding" else inferred
        progress = StageProgress(done=done, total=total, inferred=inferred, encoded=encoded)
    fault = RunFault(code="no_face", what="None.", fix="Send one.") if phase == "failed" else None
    return RunView(
        id=RUN,
        request=None,
        run=RUN,
        job="news",
        phase=phase,
        progress=progress,
        made_at=100.0,
        inputs=Inputs(voice="v", face="f"),
        error=fault,
        links=links_of(RUN),
    )


def followed(views: list[RunView], known: str | None = None, **times: float) -> list[str]:
    """The stream's texts while a run goes through these states, one a look."""
    left: Iterator[RunView] = iter(views)
    chosen = {"poll_seconds": 0.001, "heartbeat_seconds": 60.0, **times}

    async def read() -> list[str]:
        return [text async for text in follow(lambda: next(left), known, **chosen)]

    return asyncio.run(read())


def parsed(text: str) -> tuple[str, str, dict[str, Any]]:
    lines = dict(line.split(": ", 1) for line in text.strip().split("\n"))
    return lines["id"], lines["event"], json.loads(lines["data"])


def test_changes_to_the_end() -> None:
    """Every change of stage or of k is told once, the end is the last, and then the stream ends."""
    states = [
        view("waiting"),
        view("ingesting"),
        view("ingesting"),
        view("inferring", 1),
        view("inferring", 1),
        view("inferring", 3, 1),
        view("encoding", 4, 2),
        view("done"),
    ]
    texts = followed(states)
    assert texts[0] == "retry: 2000\n\n"
    told = [(name, data["phase"], data["done"]) for _, name, data in map(parsed, texts[1:])]
    assert told == [
        ("progress", "waiting", 0),
        ("progress", "ingesting", 0),
        ("progress", "inferring", 1),
        ("progress", "inferring", 3),
        ("progress", "encoding", 2),
        ("end", "done", 0),
    ]
    assert len({parsed(text)[0] for text in texts[1:]}) == 6


def test_a_client_that_comes_back() -> None:
    """Who knows a state is told of the next one, and of nothing twice."""
    first = parsed(followed([view("inferring", 2), view("failed")])[1])
    texts = followed([view("inferring", 2), view("inferring", 3), view("done")], first[0])
    assert [parsed(text)[2]["done"] for text in texts[1:]] == [3, 0]


@pytest.mark.parametrize("phase", ["done", "failed", "cancelled"])
def test_a_run_that_has_ended(phase: str) -> None:
    """Of a run that has ended only the end is told, with the reason if there is one."""
    (_, name, data) = parsed(followed([view(phase)])[1])
    assert (name, data["phase"]) == ("end", phase)
    assert (data["error"] is not None) == (phase == "failed")


def test_heartbeats() -> None:
    """While nothing changes the stream says that it is still there."""
    texts = followed([view("ingesting")] * 4 + [view("done")], heartbeat_seconds=0.0)
    assert texts.count(": still there\n\n") >= 3


@given(st.integers(1, 50), st.floats(0.1, 100))
def test_a_steady_pace_is_foretold(total: int, seconds: float) -> None:
    """At a steady pace the estimate is right from the second step that was seen on."""
    estimate = Estimate()
    for step in range(2 * total + 1):
        inferred, encoded = min(step, total), max(0, step - total)
        phase = "encoding" if inferred == total else "inferring"
        left = estimate.left(view(phase, inferred, encoded, total), 1000 + step * seconds)
        if step > 0:
            assert left == pytest.approx((2 * total - step) * seconds, abs=1e-6)


def test_before_there_is_a_pace() -> None:
    """Without a step done there is no estimate; a first look at a run counts from its beginning."""
    assert Estimate().left(view("ingesting"), 200.0) is None
    assert Estimate().left(view("inferring", 0), 200.0) is None
    assert Estimate().left(view("inferring", 2), 120.0) == pytest.approx(60.0)
    assert Estimate().left(view("done"), 200.0) == 0


@pytest.mark.parametrize("error", [ProblemError(Refusal.NOT_FOUND, "x"), RetryableError("x")])
def test_a_run_that_can_not_be_seen_any_more(error: Exception) -> None:
    """Of a removed run the stream says so; when the store fails it ends, and the client returns."""
    states = iter([view("ingesting")])

    def look() -> RunView:
        for state in states:
            return state
        raise error

    async def read() -> list[str]:
        stream = follow(look, None, poll_seconds=0.001, heartbeat_seconds=60)
        return [text async for text in stream]

    texts = asyncio.run(read())
    assert texts[2:] == (["event: gone\ndata: {}\n\n"] if type(error) is ProblemError else [])


def test_over_http(gateway: Gateway) -> None:
    """The stream of a finished run has its end, and who knows that end already gets 204."""
    run, plan = planned(gateway)
    gateway.finish(plan)
    answer = gateway.client.get(f"/v1/runs/{run}/events")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    identity, name, _ = parsed(answer.text.split("\n\n", 1)[1])
    assert name == "end"
    again = gateway.client.get(f"/v1/runs/{run}/events", headers={"Last-Event-ID": identity})
    assert (again.status_code, again.content) == (204, b"")
    other = gateway.client.get(f"/v1/runs/{run}/events", headers={"Last-Event-ID": "inferring"})
    assert other.status_code == 200


def test_streams_are_bounded(open_gateway: Any) -> None:
    """When as many streams are open as may, the next one is told when to come again."""
    from functions.storage import Store

    gateway = open_gateway(Store.memory(), followers=1)
    run, plan = planned(gateway)
    gateway.finish(plan)
    desk = gateway.client.app.state.desk
    with desk.followers.one():
        answer = gateway.client.get(f"/v1/runs/{run}/events")
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    for _ in range(3):
        assert gateway.client.get(f"/v1/runs/{run}/events").status_code == 200


def test_state_ids_differ() -> None:
    """Two states that differ in anything that is told have different ids."""
    counts = [(1, 0), (2, 0), (2, 1)]
    states = [view("ingesting"), *(view("inferring", *count) for count in counts)]
    assert len(set(map(state_id, states))) == len(states)
