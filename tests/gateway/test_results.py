import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.storage import Store

from .conftest import BUCKETS, Gateway
from .test_actions import fail
from .test_states import planned

VIDEO = os.urandom(3 << 20)


@pytest.fixture
def done(gateway: Gateway) -> tuple[Gateway, str]:
    run, plan = planned(gateway)
    gateway.finish(plan, VIDEO)
    return gateway, f"/v1/runs/{run}"


@pytest.mark.parametrize(
    ("which", "kind", "content"),
    [
        ("result", "video/mp4", VIDEO),
        ("poster", "image/jpeg", b"\xff\xd8poster"),
        ("report", "application/json", b"{}\n"),
    ],
)
def test_whole(done: tuple[Gateway, str], which: str, kind: str, content: bytes) -> None:
    """Video, poster and report come whole, with their type, length and name; HEAD says the same."""
    gateway, base = done
    got = gateway.client.get(f"{base}/{which}")
    head = gateway.client.head(f"{base}/{which}")
    assert (got.status_code, got.content) == (200, content)
    assert (head.status_code, head.content) == (200, b"")
    for answer in (got, head):
        assert answer.headers["Content-Type"].partition(";")[0] == kind
        assert answer.headers["Content-Length"] == str(len(content))
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert "voice-face1" in answer.headers["Content-Disposition"]
        assert answer.headers["ETag"] == got.headers["ETag"]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, len(VIDEO) - 1), st.integers(0, len(VIDEO)))
def test_ranges(done: tuple[Gateway, str], start: int, length: int) -> None:
    """Any range gives those bytes and says which they are, to GET and to HEAD."""
    gateway, base = done
    header = {"Range": f"bytes={start}-{start + length}"}
    got = gateway.client.get(f"{base}/result", headers=header)
    end = min(start + length, len(VIDEO) - 1)
    assert (got.status_code, got.content) == (206, VIDEO[start : end + 1])
    assert got.headers["Content-Range"] == f"bytes {start}-{end}/{len(VIDEO)}"
    head = gateway.client.head(f"{base}/result", headers=header)
    assert (head.status_code, head.headers["Content-Range"]) == (206, got.headers["Content-Range"])


def test_beyond_the_end(done: tuple[Gateway, str]) -> None:
    """A range beyond the end is refused with the size."""
    gateway, base = done
    got = gateway.client.get(f"{base}/poster", headers={"Range": "bytes=100-"})
    assert (got.status_code, got.json()["code"]) == (416, "bad_range")
    assert got.headers["Content-Range"] == "bytes */8"


def test_what_the_client_has_already(done: tuple[Gateway, str]) -> None:
    """With its ETag a file isn't sent again, and a range is of the same file or the whole is."""
    gateway, base = done
    tag = gateway.client.get(f"{base}/poster").headers["ETag"]
    same = gateway.client.get(f"{base}/poster", headers={"If-None-Match": tag})
    assert (same.status_code, same.content) == (304, b"")
    span = {"Range": "bytes=0-1"}
    part = gateway.client.get(f"{base}/poster", headers={**span, "If-Range": tag})
    whole = gateway.client.get(f"{base}/poster", headers={**span, "If-Range": '"another"'})
    assert (part.status_code, whole.status_code) == (206, 200)


def test_before_and_instead_of_a_result(gateway: Gateway) -> None:
    """A run that works has no result yet; one that failed or was cancelled has none, and why."""
    run, plan = planned(gateway)
    answer = gateway.client.get(f"/v1/runs/{run}/result")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_finished")
    fail(gateway, plan)
    answer = gateway.client.get(f"/v1/runs/{run}/result")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_result")
    assert "It failed." in answer.json()["detail"]
    other, _ = planned(gateway)
    gateway.client.post(f"/v1/runs/{other}/cancel")
    assert gateway.client.get(f"/v1/runs/{other}/result").json()["code"] == "no_result"


def test_a_result_that_was_taken_away(done: tuple[Gateway, str]) -> None:
    """An output that a lifecycle rule or a person removed is said to be gone."""
    gateway, base = done
    for key in gateway.keys(BUCKETS.output):
        gateway.store.delete(BUCKETS.output, key)
    answer = gateway.client.get(f"{base}/result")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_result")


def test_a_store_with_links_sends_by_itself(open_gateway: Any, monkeypatch: Any) -> None:
    """Where the store can sign links, the answer leads there, at the address clients know."""
    store = Store.memory()
    gateway = open_gateway(store)
    run, plan = planned(gateway)
    gateway.finish(plan)
    config = {
        "endpoint": "http://public.test",
        "access_key_id": "key",
        "secret_access_key": "secret",
        "region": "us-east-1",
        "virtual_hosted_style_request": False,
    }
    desk = gateway.client.app.state.desk
    public = Store.s3(config, {"allow_http": True})
    monkeypatch.setattr(
        gateway.client.app.state, "desk", type(desk)(**{**vars(desk), "public": public})
    )
    for method in ("GET", "HEAD"):
        answer = gateway.client.request(method, f"/v1/runs/{run}/result", follow_redirects=False)
        assert answer.status_code == 307
        place = f"http://public.test/{BUCKETS.output}/{plan.group.output(plan.output, '.mp4')}?"
        assert answer.headers["Location"].startswith(place)
