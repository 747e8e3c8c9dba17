from typing import Any

import pytest

from functions import cancel, documents, runs
from functions.events import ObjectCreated
from functions.input_keys import InputFile
from functions.options import Options
from functions.plans import Plan
from functions.runs import Failure

from .conftest import BUCKETS, Gateway
from .test_states import planned

JOB = "default/news"


def post(gateway: Gateway, run: str, action: str) -> Any:
    return gateway.client.post(f"/v1/runs/{run}/{action}")


def fail(gateway: Gateway, plan: Plan) -> None:
    failure = Failure(plan.run, "gave_up", "It failed.", "Mend it.", ())
    gateway.store.put(BUCKETS.work, plan.keys.failed, documents.dump(failure))


def file_of(key: str) -> InputFile:
    tenant, job, name = key.split("/")
    return InputFile(tenant, job, name)


def test_cancel_a_running_run(gateway: Gateway) -> None:
    """A cancelled run is marked where its workers look, and cancelling it again changes nothing."""
    run, plan = planned(gateway)
    for _ in range(2):
        answer = post(gateway, run, "cancel")
        assert (answer.status_code, answer.json()["phase"]) == (200, "cancelled")
    assert gateway.store.exists(BUCKETS.work, plan.keys.cancelled)


def test_cancel_before_there_is_a_plan(gateway: Gateway) -> None:
    """A run is cancelled while its files are analysed; the voice is wanted by the others still."""
    accepted = gateway.ask("a.mp4", "b.mp4")["runs"]
    voice = file_of(accepted[0]["inputs"]["voice"])
    assert post(gateway, accepted[0]["id"], "cancel").json()["phase"] == "cancelled"
    assert gateway.view(accepted[1]["id"])["phase"] == "ingesting"
    work = BUCKETS.work
    assert cancel.is_cancelled(gateway.store, work, file_of(accepted[0]["inputs"]["face"]))
    assert not cancel.is_cancelled(gateway.store, work, file_of(accepted[1]["inputs"]["face"]))
    assert not cancel.is_cancelled(gateway.store, work, voice)
    post(gateway, accepted[1]["id"], "cancel")
    assert cancel.is_cancelled(gateway.store, work, voice)


@pytest.mark.parametrize("end", ["done", "failed"])
def test_an_ended_run_can_not_be_cancelled(gateway: Gateway, end: str) -> None:
    """What is done or failed stays so."""
    run, plan = planned(gateway)
    gateway.finish(plan) if end == "done" else fail(gateway, plan)
    answer = post(gateway, run, "cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "already_ended")
    assert gateway.view(run)["phase"] == end


@pytest.mark.parametrize("end", ["cancelled", "failed"])
def test_retry(gateway: Gateway, end: str) -> None:
    """A failed or cancelled run goes on: finished parts stay, the others' segments are new."""
    run, plan = planned(gateway)
    gateway.put(plan, patches=2, parts=1)
    post(gateway, run, "cancel") if end == "cancelled" else fail(gateway, plan)
    before = gateway.store.head(BUCKETS.work, plan.keys.segment(2)).modified
    answer = post(gateway, run, "retry")
    assert (answer.status_code, answer.json()["phase"]) == (200, "inferring")
    assert gateway.store.exists(BUCKETS.work, plan.keys.part(0))
    assert not gateway.store.exists(BUCKETS.work, plan.keys.patches(1))
    assert gateway.store.head(BUCKETS.work, plan.keys.segment(2)).modified > before


def test_retry_before_there_is_a_plan(gateway: Gateway) -> None:
    """A run that was cancelled while its files were analysed has them looked at again."""
    run = gateway.ask("a.mp4")["runs"][0]
    post(gateway, run["id"], "cancel")
    for key in run["inputs"].values():
        entry = gateway.store.head(BUCKETS.input, key)
        event = ObjectCreated(BUCKETS.input, key, entry.size, entry.etag)
        cancel.settle(gateway.store, BUCKETS, event)
    assert gateway.view(run["id"])["phase"] == "cancelled"
    assert post(gateway, run["id"], "retry").json()["phase"] == "ingesting"
    for key in run["inputs"].values():
        entry = gateway.store.head(BUCKETS.input, key)
        record = file_of(key).upload(entry.identity)
        assert not gateway.store.exists(BUCKETS.work, record)
        assert not cancel.is_cancelled(gateway.store, BUCKETS.work, file_of(key))
    assert not any("/." in key for key in gateway.keys(BUCKETS.input))


@pytest.mark.parametrize("phase", ["ingesting", "inferring", "done"])
def test_only_what_ended_badly_is_retried(gateway: Gateway, phase: str) -> None:
    """A run that works, or is done, can't be tried again."""
    if phase == "ingesting":
        run = gateway.ask("a.mp4")["runs"][0]["id"]
    else:
        run, plan = planned(gateway)
        if phase == "done":
            gateway.finish(plan)
    answer = post(gateway, run, "retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_retriable")


def test_a_refused_file_is_not_retried(gateway: Gateway) -> None:
    """A file that is wrong stays wrong: another one has to be sent."""
    run = gateway.ask("a.mp4")["runs"][0]
    gateway.looked_at(run["inputs"]["face"], "voice")
    answer = post(gateway, run["id"], "retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_retriable")
    assert "a.mp4" in answer.json()["detail"]


def test_remove_a_request(gateway: Gateway) -> None:
    """With its last run all of a request goes; its Idempotency-Key may then be used again."""
    key = {"Idempotency-Key": "k"}
    accepted = gateway.ask("a.mp4", "b.mp4", **key)["runs"]
    plan = gateway.plan(accepted[0]["inputs"]["voice"], accepted[0]["inputs"]["face"])
    for kind in ("voice", "face"):
        gateway.looked_at(accepted[0]["inputs"][kind], kind)
    gateway.put(plan, patches=3, parts=3)
    gateway.finish(plan)
    assert gateway.client.delete(f"/v1/runs/{accepted[0]['id']}").status_code == 204
    assert gateway.client.get(f"/v1/runs/{accepted[0]['id']}").status_code == 404
    assert gateway.keys(BUCKETS.output) == []
    assert gateway.view(accepted[1]["id"])["phase"] == "ingesting"
    assert accepted[0]["inputs"]["voice"] in gateway.keys(BUCKETS.input)
    assert gateway.client.delete(f"/v1/runs/{accepted[1]['id']}").status_code == 204
    for bucket in (BUCKETS.input, BUCKETS.work, BUCKETS.output):
        assert gateway.keys(bucket) == []
    again = gateway.ask("a.mp4", "b.mp4", **key)["runs"]
    assert [run["id"] for run in again] == [run["id"] for run in accepted]
    replanned = gateway.plan(again[0]["inputs"]["voice"], again[0]["inputs"]["face"])
    assert gateway.view(again[0]["id"])["run"] == replanned.run


def test_remove_one_of_two_names_of_a_run(gateway: Gateway) -> None:
    """A run that two equal faces share is removed with the second."""
    accepted = gateway.ask("a.mp4", "b.mp4")["runs"]
    voice = accepted[0]["inputs"]["voice"]
    plan = gateway.plan(voice, accepted[0]["inputs"]["face"])
    pair = plan.group.planned_pair(voice, accepted[1]["inputs"]["face"])
    gateway.store.put(BUCKETS.work, f"{pair}{plan.run}", b"")
    gateway.finish(plan)
    gateway.client.delete(f"/v1/runs/{accepted[0]['id']}")
    assert gateway.view(accepted[1]["id"])["phase"] == "done"
    gateway.client.delete(f"/v1/runs/{accepted[1]['id']}")
    assert gateway.keys(BUCKETS.work) == []
    assert gateway.keys(BUCKETS.output) == []


def test_a_removed_run_does_not_come_back_by_itself(gateway: Gateway) -> None:
    """Files that people dropped stay; their removed run comes back when one is uploaded again."""
    gateway.store.put(BUCKETS.input, f"{JOB}/a.wav", b"a")
    plan = gateway.plan(f"{JOB}/a.wav", f"{JOB}/b.mp4")
    gateway.finish(plan)
    assert gateway.client.delete(f"/v1/runs/{plan.run}").status_code == 204
    assert gateway.keys(BUCKETS.input) == [f"{JOB}/a.wav"]
    assert gateway.keys(BUCKETS.output) == []
    assert gateway.keys(BUCKETS.work) == [plan.keys.cancelled]
    runs.start(gateway.store, BUCKETS.work, plan)
    assert gateway.client.get(f"/v1/runs/{plan.run}").status_code == 404
    runs.retry(gateway.store, BUCKETS.work, plan)
    assert gateway.view(plan.run)["phase"] == "inferring"


def test_another_runs_output_stays(gateway: Gateway) -> None:
    """Two runs of one pair, with other options, share an output's name: the later one keeps it."""
    first = gateway.plan(f"{JOB}/a.wav", f"{JOB}/b.mp4")
    second = gateway.plan(f"{JOB}/a.wav", f"{JOB}/b.mp4", options=Options(loop="restart"))
    gateway.finish(second, b"second")
    gateway.client.delete(f"/v1/runs/{first.run}")
    assert gateway.client.get(f"/v1/runs/{second.run}/result").content == b"second"
