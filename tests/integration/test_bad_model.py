"""Runs whose model is missing, damaged or makes no pictures."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from functions import documents, runs
from functions.chain import Delivery
from functions.events import ObjectCreated
from functions.infer.manifest import parse_manifest
from functions.input_keys import InputFile
from functions.layout import ModelKeys
from functions.plans import Plan
from functions.runs import Failure, read_state

from .in_process import BUCKETS, TENANT, Chain
from .own_models import LICENCE, ask, bring, plans_of, report_of


def failed_run(chain: Chain, job: str, voice: Path, face: Path) -> tuple[Plan, Failure, int]:
    """Lets a run fail; returns its plan, its failure, and how often infer was asked."""
    asked = []
    infer = chain.functions["infer"]

    def counting(event: ObjectCreated) -> None:
        asked.append(event)
        infer.handle(event)

    chain.functions["infer"] = Delivery("infer", counting, chain.store, BUCKETS, attempts=4)
    try:
        chain.drop(job, voice.name, voice)
        chain.drop(job, face.name, face)
        chain.work()
    finally:
        chain.functions["infer"] = infer
    [plan] = plans_of(chain, job)
    assert read_state(chain.store, BUCKETS.work, plan.keys).phase == "failed"
    failure = documents.load(Failure, chain.store.get(BUCKETS.work, plan.keys.failed))
    return plan, failure, len(asked)


def test_a_model_that_nobody_has_is_refused_at_once(
    chain: Chain, name: str, cut_voice: Path, short_face: Path
) -> None:
    """A job that asks for an unknown model hears which ones there are, and nothing is planned."""
    ask(chain, name, "lipps")
    chain.drop(name, cut_voice.name, cut_voice)
    chain.drop(name, short_face.name, short_face)
    chain.work()
    assert plans_of(chain, name) == []
    key = InputFile(TENANT, name, "koubo.toml").error
    error = json.loads(chain.store.get(BUCKETS.output, key))
    assert error["code"] == "bad_options"
    assert "'lipps'" in error["what"]
    assert "viseme" in error["what"]


def _taken_away(chain: Chain, keys: ModelKeys) -> None:
    chain.store.delete(BUCKETS.models, keys.file("generator.onnx"))


def _changed(chain: Chain, keys: ModelKeys) -> None:
    whole = chain.store.get(BUCKETS.models, keys.file("generator.onnx"))
    chain.store.put(BUCKETS.models, keys.file("generator.onnx"), whole[:-1] + b"x")


def _no_graph(chain: Chain, keys: ModelKeys) -> None:
    """A file that is no ONNX, with the digest to match."""
    _replace(chain, keys, b"this is no graph")


def _leads_elsewhere(chain: Chain, keys: ModelKeys) -> None:
    text = chain.store.get(BUCKETS.models, keys.manifest)
    text = text.replace(b'"generator.onnx"', b'"../../secret.onnx"')
    chain.store.put(BUCKETS.models, keys.manifest, text)


def _replace(chain: Chain, keys: ModelKeys, content: bytes) -> None:
    text = chain.store.get(BUCKETS.models, keys.manifest)
    [old] = parse_manifest(text, Path()).files.values()
    text = text.replace(old.encode(), sha256(content).hexdigest().encode())
    chain.store.put(BUCKETS.models, keys.file("generator.onnx"), content)
    chain.store.put(BUCKETS.models, keys.manifest, text)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_taken_away, "lacks its file"),
        (_changed, "is damaged"),
        (_no_graph, "can't be run"),
        (_leads_elsewhere, "no file beside it"),
    ],
)
def test_a_run_with_a_bad_model_names_it(
    harm: Callable[[Chain, ModelKeys], None],
    said: str,
    chain: Chain,
    name: str,
    tmp_path: Path,
    cut_voice: Path,
    short_face: Path,
) -> None:
    """The run has failed at its first segments, once each, and says which model is to blame."""
    harm(chain, bring(chain, tmp_path, name))
    ask(chain, name, name)
    plan, failure, asked = failed_run(chain, name, cut_voice, short_face)
    assert failure.code == "bad_model"
    assert name in failure.what
    assert said in failure.what
    assert "koubo models check" in failure.fix
    assert asked == plan.segments
    key = plan.group.output(plan.output, ".error.json")
    error = json.loads(chain.store.get(BUCKETS.output, key))
    assert error["code"] == "bad_model"
    assert said in error["what"]
    assert not list(chain.store.entries(BUCKETS.work, "default/dead"))


@pytest.mark.parametrize(
    ("shape", "said"),
    [({"gain": float("nan")}, "not finite"), ({"gain": 300.0, "end": "Identity"}, "0 to 1")],
)
def test_a_run_with_a_model_that_makes_no_pictures_names_it(
    shape: dict[str, object],
    said: str,
    chain: Chain,
    name: str,
    tmp_path: Path,
    cut_voice: Path,
    short_face: Path,
) -> None:
    """NaN or another range ends the run in the same way, without a mouth of NaN in any video."""
    bring(chain, tmp_path, name, **shape)
    ask(chain, name, name)
    plan, failure, asked = failed_run(chain, name, cut_voice, short_face)
    assert failure.code == "bad_model"
    assert f"model {name} 1" in failure.what
    assert said in failure.what
    assert asked == plan.segments
    assert not chain.store.exists(BUCKETS.work, plan.keys.patches(0))


def test_a_mended_model_goes_on(
    chain: Chain, name: str, tmp_path: Path, cut_voice: Path, short_face: Path
) -> None:
    """Once the model is as it should be, the same upload makes the video."""
    keys = bring(chain, tmp_path, name)
    whole = chain.store.get(BUCKETS.models, keys.file("generator.onnx"))
    _changed(chain, keys)
    ask(chain, name, name)
    plan, *_ = failed_run(chain, name, cut_voice, short_face)
    chain.store.put(BUCKETS.models, keys.file("generator.onnx"), whole)
    runs.retry(chain.store, BUCKETS.work, plan)
    chain._seen.clear()
    chain.work()
    assert read_state(chain.store, BUCKETS.work, plan.keys).phase == "done"
    assert report_of(chain, plan).licence == LICENCE
