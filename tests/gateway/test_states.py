from typing import Any

import pytest

from functions import documents, runs
from functions.errors import Code, ErrorDocument
from functions.options import Options
from functions.plans import Plan
from functions.runs import Failure

from .conftest import BUCKETS, Gateway

JOB = "default/news"


def planned(gateway: Gateway, number: int = 1, **changes: Any) -> tuple[str, Plan]:
    """A run of a request that ingest has planned."""
    faces = [f"face{n}.mp4" for n in range(1, number + 1)]
    run = gateway.ask(*faces)["runs"][number - 1]
    plan = gateway.plan(run["inputs"]["voice"], run["inputs"]["face"], **changes)
    return run["id"], plan


def test_a_runs_way(gateway: Gateway) -> None:
    """A request's run is ingesting, inferring, encoding and done as its objects appear."""
    run = gateway.ask("face.mp4")["runs"][0]
    seen = gateway.view(run["id"])
    assert (seen["phase"], seen["run"], seen["progress"]) == ("ingesting", None, None)
    plan = gateway.plan(run["inputs"]["voice"], run["inputs"]["face"])
    steps = [(0, 0, "inferring", 0), (2, 0, "inferring", 2), (3, 1, "encoding", 1)]
    for patches, parts, phase, done in steps:
        gateway.put(plan, patches=patches, parts=parts)
        seen = gateway.view(run["id"])
        assert (seen["phase"], seen["run"]) == (phase, plan.run)
        assert seen["progress"] == {
            "done": done,
            "total": 3,
            "inferred": patches,
            "encoded": parts,
        }
    gateway.finish(plan)
    seen = gateway.view(run["id"])
    assert (seen["phase"], seen["progress"], seen["error"]) == ("done", None, None)


def test_a_run_that_came_by_bucket(gateway: Gateway) -> None:
    """A run whose files were dropped is seen by the chain's own id."""
    plan = gateway.plan(f"{JOB}/a.wav", f"{JOB}/b.mp4")
    seen = gateway.view(plan.run)
    assert (seen["id"], seen["run"], seen["job"]) == (plan.run, plan.run, "news")
    assert (seen["request"], seen["phase"]) == (None, "inferring")
    assert seen["inputs"] == {"voice": f"{JOB}/a.wav", "face": f"{JOB}/b.mp4"}


def test_both_ids_of_a_requests_run_work(gateway: Gateway) -> None:
    """A run that came over HTTP answers to the chain's id, too, and says whose it is."""
    run, plan = planned(gateway, 2)
    assert gateway.view(plan.run)["request"] == run.partition("-")[0]
    assert gateway.view(plan.run)["phase"] == gateway.view(run)["phase"]


def test_faces_are_told_apart(gateway: Gateway) -> None:
    """Each face of a request has its own state."""
    accepted = gateway.ask("a.mp4", "b.mp4", "c.mp4")["runs"]
    plan = gateway.plan(accepted[1]["inputs"]["voice"], accepted[1]["inputs"]["face"])
    gateway.finish(plan)
    phases = [gateway.view(run["id"])["phase"] for run in accepted]
    assert phases == ["ingesting", "done", "ingesting"]


def test_two_faces_of_one_content_are_one_run(gateway: Gateway) -> None:
    """Equal files under two names share a run, and both are told of it."""
    accepted = gateway.ask("a.mp4", "b.mp4")["runs"]
    voice = accepted[0]["inputs"]["voice"]
    first = gateway.plan(voice, accepted[0]["inputs"]["face"])
    # What ingest plans for the second is the same run; only the pair is another one.
    pair = first.group.planned_pair(voice, accepted[1]["inputs"]["face"])
    gateway.store.put(BUCKETS.work, f"{pair}{first.run}", b"")
    gateway.finish(first)
    seen = [gateway.view(run["id"]) for run in accepted]
    assert [view["phase"] for view in seen] == ["done", "done"]
    assert seen[0]["run"] == seen[1]["run"]
    assert seen[1]["inputs"]["face"] == accepted[1]["inputs"]["face"]


def test_a_job_that_was_planned_anew(gateway: Gateway) -> None:
    """With other options the same pair is another run; the request's run is the latest."""
    run, _ = planned(gateway)
    seen = gateway.view(run)
    later = gateway.plan(
        seen["inputs"]["voice"], seen["inputs"]["face"], options=Options(loop="restart")
    )
    assert later.run != seen["run"]
    assert gateway.view(run)["run"] == later.run


@pytest.mark.parametrize("which", ["voice", "face"])
def test_a_refused_file_fails_its_runs(gateway: Gateway, which: str) -> None:
    """What ingest found wrong with a file is what its runs say; other faces go on."""
    accepted = gateway.ask("a.mp4", "b.mp4")["runs"]
    key = accepted[0]["inputs"][which]
    gateway.looked_at(key, "refused", "no_face")
    error = ErrorDocument(key, "no_face", "No face was found.", Code.NO_FACE.value.fix)
    gateway.store.put(BUCKETS.output, f"{key}.error.json", documents.dump(error))
    first, second = (gateway.view(run["id"]) for run in accepted)
    assert first["phase"] == "failed"
    assert first["error"] == {
        "code": "no_face",
        "what": "No face was found.",
        "fix": Code.NO_FACE.value.fix,
    }
    assert second["phase"] == ("failed" if which == "voice" else "ingesting")


@pytest.mark.parametrize(("which", "role"), [("voice", "face"), ("face", "voice")])
def test_a_misplaced_file_fails_its_runs(gateway: Gateway, which: str, role: str) -> None:
    """A video sent as the voice, or a recording sent as a face, is told so."""
    run = gateway.ask("a.mp4")["runs"][0]
    gateway.looked_at(run["inputs"][which], role)
    seen = gateway.view(run["id"])
    assert (seen["phase"], seen["error"]["code"]) == ("failed", "misplaced")
    assert f"as the {which}" in seen["error"]["what"]


def test_refused_options_fail_the_run(gateway: Gateway) -> None:
    """Options that only ingest can judge, such as a model, fail the run with its words."""
    run = gateway.ask("a.mp4")["runs"][0]
    key = f"default/{run['id'].partition('-')[0]}/koubo.toml"
    error = ErrorDocument(key, "bad_options", "No such model.", Code.BAD_OPTIONS.value.fix)
    gateway.store.put(BUCKETS.output, f"{key}.error.json", documents.dump(error))
    assert gateway.view(run["id"])["error"]["code"] == "bad_options"


def test_a_run_that_failed_later(gateway: Gateway) -> None:
    """A failure in the middle of a run is shown with its words."""
    run, plan = planned(gateway)
    failure = Failure(plan.run, "gave_up", "It failed 4 times.", "Look into the log.", ())
    gateway.store.put(BUCKETS.work, plan.keys.failed, documents.dump(failure))
    assert gateway.view(run)["error"] == {
        "code": "gave_up",
        "what": "It failed 4 times.",
        "fix": "Look into the log.",
    }


def test_a_run_that_is_planned_although_it_was_cancelled(gateway: Gateway) -> None:
    """Between its plan and its end a cancelled run is cancelled as well, and can be retried."""
    run = gateway.ask("a.mp4")["runs"][0]
    assert gateway.client.post(f"/v1/runs/{run['id']}/cancel").status_code == 200
    gateway.plan(run["inputs"]["voice"], run["inputs"]["face"])
    seen = gateway.view(run["id"])
    assert (seen["phase"], seen["progress"]) == ("cancelled", None)
    retried = gateway.client.post(f"/v1/runs/{run['id']}/retry")
    assert (retried.status_code, retried.json()["phase"]) == (200, "inferring")


def test_a_superseded_run(gateway: Gateway) -> None:
    """A run whose file was replaced says so: it ended without error, and nothing can be done."""
    plan = gateway.plan("default/news/one.wav", "default/news/anna.mp4")
    work = BUCKETS.work
    runs.supersede(gateway.store, work, plan.keys, plan.made_at, key=plan.face.key)
    seen = gateway.view(plan.run)
    assert (seen["phase"], seen["error"], seen["progress"]) == ("superseded", None, None)
    listed = gateway.client.get("/v1/runs", params={"phase": "superseded"}).json()["runs"]
    assert [run["id"] for run in listed] == [plan.run]
    events = gateway.client.get(f"/v1/runs/{plan.run}/events").text
    assert "event: end" in events
    for method, place, code in (
        ("GET", "result", "superseded"),
        ("POST", "cancel", "already_ended"),
        ("POST", "retry", "not_retriable"),
    ):
        answer = gateway.client.request(method, f"/v1/runs/{plan.run}/{place}")
        assert (answer.status_code, answer.json()["code"]) == (409, code)


@pytest.mark.parametrize(
    "run",
    [
        "0123456789abcdef0123",
        "r0123456789abcdef0123-1",
        "{request}-0002",
        "{request}-2",
        "{request}-9999",
        "{request}",
        "../../x",
        "0123456789ABCDEF0123",
        "0123456789abcdef0123%0A",
    ],
)
def test_runs_that_there_are_not(gateway: Gateway, run: str) -> None:
    """An id of nothing is not found, and what can't be an id is invalid."""
    request = gateway.ask("a.mp4")["request"]
    answer = gateway.client.get(f"/v1/runs/{run.format(request=request)}")
    assert answer.status_code in (404, 422)
    assert answer.json()["code"] in ("not_found", "invalid", "no_such_route")
