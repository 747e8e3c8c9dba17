"""Models that somebody brings, for tests of runs with them."""

from pathlib import Path

from functions import documents
from functions.encode.report import Report
from functions.infer.model_add import make_model, put_model
from functions.infer.model_draft import Naming, toml_value
from functions.layout import ModelKeys
from functions.plans import Plan
from functions.settings import ModelSettings
from tests.infer.wav2lip_graphs import write_wav2lip

from .in_process import BUCKETS, Chain

LICENCE = "for research only"


def bring(chain: Chain, folder: Path, name: str, version: str = "1", **shape: object) -> ModelKeys:
    """Puts a small random Wav2Lip into the chain's bucket, without a trial."""
    into = folder / f"{name}-{version}"
    into.mkdir()
    path = write_wav2lip(folder / f"{version}.onnx", **shape)
    naming = Naming("wav2lip", name, version, LICENCE)
    put_model(chain.store, BUCKETS.models, make_model([path], naming, into, ModelSettings()))
    return ModelKeys(name, version)


def ask(chain: Chain, job: str, model: str) -> None:
    """Drops the options of a job."""
    chain.drop(job, "koubo.toml", f"model = {toml_value(model)}".encode())


def report_of(chain: Chain, plan: Plan) -> Report:
    data = chain.store.get(BUCKETS.output, plan.group.output(plan.output, ".json"))
    return documents.load(Report, data)


def plans_of(chain: Chain, job: str) -> list[Plan]:
    return [plan for plan in chain.plans() if plan.group.name == job]
