from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions import documents, runs
from functions.gateway.cursor import Cursor
from functions.gateway.pages import Filter, Pages
from functions.gateway.requests import RequestDocument, RequestFile
from functions.options import Options
from functions.request_keys import RequestKeys
from functions.storage import Store

from .conftest import BUCKETS, Gateway, plan_for


def requested(store: Store, number: int, made_at: float, faces: int) -> list[str]:
    """Writes a request as the gateway does; its runs' ids."""
    request = f"r{number:020x}"
    files = tuple(RequestFile(f"f{n}.mp4", "", upload=False) for n in range(faces))
    voice = RequestFile("v.wav", "", upload=False)
    document = RequestDocument(request, made_at, "", voice, files, Options())
    keys = RequestKeys("default", request)
    store.put(BUCKETS.work, keys.document, documents.dump(document))
    store.put(BUCKETS.work, keys.recent(made_at), b"")
    return [f"{request}-{n + 1}" for n in range(faces)]


def dropped(store: Store, number: int, made_at: float, job: str = "news") -> str:
    plan = plan_for(f"default/{job}/v{number}.wav", f"default/{job}/f.mp4", made_at)
    return runs.start(store, BUCKETS.work, plan).run


def walk(store: Store, limit: int, wanted: Filter | None = None) -> list[str]:
    """All ids, page by page."""
    found: list[str] = []
    place: Cursor | None = Cursor()
    while place is not None:
        page, place = Pages(store, BUCKETS).page("default", wanted or Filter(), place, limit)
        assert len(page) <= limit
        found += [view.id for view in page]
    return found


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=8), st.integers(1, 7))
def test_every_run_once_newest_first(sent: list[tuple[int, int]], limit: int) -> None:
    """However requests and dropped files mix, and whatever a page holds, each run comes once."""
    store = Store.memory()
    times: dict[str, float] = {}
    for number, (second, faces) in enumerate(sent):
        made_at = 1.7e9 + second
        if faces:
            times |= dict.fromkeys(requested(store, number, made_at, faces), made_at)
        else:
            times[dropped(store, number, made_at)] = made_at
    listed = walk(store, limit)
    assert sorted(listed) == sorted(times)
    assert [times[run] for run in listed] == sorted(times.values(), reverse=True)
    assert listed == walk(store, 100)


def test_a_requests_runs_are_listed_once(gateway: Gateway) -> None:
    """A planned run of a request is listed under the request, and not again by itself."""
    run = gateway.ask("a.mp4")["runs"][0]
    plan = gateway.plan(run["inputs"]["voice"], run["inputs"]["face"], made_at=1.7e9)
    other = gateway.plan("default/r0123456789abcdef0123/v.wav", "default/r0123456789abcdef0123/f")
    page = gateway.client.get("/v1/runs").json()
    assert [(item["id"], item["run"]) for item in page["runs"]] == [
        (run["id"], plan.run),
        # A folder that is only named like a request is a job like any other.
        (other.run, other.run),
    ]


def test_filters(gateway: Gateway) -> None:
    """The list can be narrowed by phase, job, request and time."""
    accepted = gateway.ask("a.mp4")
    old = gateway.plan("default/news/v.wav", "default/news/f.mp4", made_at=1.6e9)
    new = gateway.plan("default/talk/v.wav", "default/talk/f.mp4", made_at=1.7e9)
    gateway.finish(new)

    def listed(**query: Any) -> list[str]:
        answer = gateway.client.get("/v1/runs", params=query)
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["runs"]]

    request = accepted["runs"][0]["id"]
    assert listed() == [request, new.run, old.run]
    assert listed(phase="done") == [new.run]
    assert listed(phase=["done", "inferring"]) == [new.run, old.run]
    assert listed(job="news") == [old.run]
    assert listed(job=accepted["request"]) == [request]
    assert listed(since="2023-11-14T22:13:20Z") == [request, new.run]
    assert listed(since="2023-11-14T22:13:21") == [request]
    assert listed(since="0001-01-01T00:00:00") == [request, new.run, old.run]
    assert listed(since="2023-11-14T22:13:20Z", phase="failed") == []


def test_pages_over_http(gateway: Gateway) -> None:
    """The cursor of one page leads to the next, and the last has none."""
    ids = [run["id"] for run in gateway.ask("a", "b", "c")["runs"]]
    first = gateway.client.get("/v1/runs", params={"limit": 2}).json()
    second = gateway.client.get("/v1/runs", params={"cursor": first["cursor"]}).json()
    assert [item["id"] for item in first["runs"]] == ids[:2]
    assert [item["id"] for item in second["runs"]] == ids[2:]
    assert second["cursor"] is None


def test_new_runs_do_not_shift_pages(gateway: Gateway) -> None:
    """What is added while somebody pages comes before the first page and doubles nothing."""
    ids = [dropped(gateway.store, n, 1.7e9 - n) for n in range(4)]
    first = gateway.client.get("/v1/runs", params={"limit": 2}).json()
    dropped(gateway.store, 9, 1.7e9 + 9)
    rest = gateway.client.get("/v1/runs", params={"cursor": first["cursor"]}).json()
    assert [item["id"] for item in first["runs"] + rest["runs"]] == ids


def test_a_filter_that_fits_little_gives_up_in_time() -> None:
    """A page looks at a bounded number of runs; then it says where to go on."""
    store = Store.memory()
    for number in range(1, 900):
        requested(store, number, 1.7e9 - number, 1)
    oldest = dropped(store, 1, 1.6e9)
    wanted = Filter(job="news")
    page, place = Pages(store, BUCKETS).page("default", wanted, Cursor(), 5)
    assert page == []
    assert place is not None
    assert walk(store, 5, wanted) == [oldest]


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 101}, {"phase": "gone"}, {"since": "x"}, {"cursor": "x"}]
)
def test_bad_queries(gateway: Gateway, query: dict[str, Any]) -> None:
    """A query that can't be is refused by the name of the field."""
    answer = gateway.client.get("/v1/runs", params=query)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert next(iter(query)) in answer.json()["errors"][0]["field"]


def test_what_other_versions_left_is_passed_over(gateway: Gateway) -> None:
    """A plan or a name that can't be read hides no other run."""
    run = dropped(gateway.store, 1, 1.7e9)
    gateway.store.put(BUCKETS.work, "default/recent/odd", b"")
    gateway.store.put(BUCKETS.work, "default/recent/0000000000001-gone", b"")
    gateway.store.put(BUCKETS.work, "default/requested/0000000000001-r1", b"")
    assert walk(gateway.store, 10) == [run]
