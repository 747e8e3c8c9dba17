"""A model that somebody brings, from an ONNX file to a video, and runs whose model is bad."""

import json
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import av
import pytest
import soundfile

from demo import sample_face
from functions import documents, runs
from functions.chain import Delivery
from functions.encode.report import Report
from functions.events import ObjectCreated
from functions.infer.main import build as build_infer
from functions.infer.manifest import MANIFEST, parse_manifest
from functions.infer.model_add import make_model, put_in_folder, put_model
from functions.infer.model_draft import Naming, toml_value
from functions.ingest.face_models import FaceModels
from functions.ingest.main import build as build_ingest
from functions.input_keys import InputFile
from functions.layout import ModelKeys
from functions.plans import Model, Plan
from functions.runs import Failure, read_state
from functions.settings import ModelSettings
from tests.infer.ultralight_graphs import write_generator, write_hubert
from tests.infer.wav2lip_graphs import write_wav2lip

from .embedded import koubo
from .in_process import BUCKETS, TENANT, Chain, build

LICENCE = "for research only"
Ffmpeg = Callable[..., Path]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, face_models: FaceModels) -> Iterator[Chain]:
    """One chain for all runs, so that voice and face are analysed once; models are cached in it."""
    root = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KOUBO_CACHE_WEIGHTS", str(root / "weights"))
        patch.setenv("KOUBO_INGEST_SEGMENT_SECONDS", "1")
        yield build(root / "data", face_models)


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory, voice_file: Path) -> Path:
    """2.2 s, whose last frames a published Wav2Lip drops."""
    path = tmp_path_factory.mktemp("voice") / "voice.wav"
    sound, rate = soundfile.read(voice_file, dtype="int16", frames=35_217)
    soundfile.write(path, sound, rate)
    return path


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Of a test's job and of its model, which no other test has."""
    return re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[-60:].strip("-")


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


@pytest.mark.parametrize("rate", ["25", "30000/1001"])
def test_from_a_graph_to_a_video(
    rate: str, chain: Chain, name: str, tmp_path: Path, voice: Path, ffmpeg: Ffmpeg
) -> None:
    """The video has all its frames at the footage's rate; the report names model and licence."""
    bring(chain, tmp_path, name)
    clip = sample_face.clip(tmp_path / "25.mp4", 2.0, (256, 256))
    again = ("-vf", f"setpts=N/({rate})/TB", "-r", rate, "-c:v", "libx264")
    face = ffmpeg("-i", clip, *again, tmp_path / "face.mp4")
    ask(chain, name, name)
    plan = chain.make(name, voice, face)
    assert plan.model == Model(name, "1")
    with av.open(str(chain.video(plan))) as video:
        count = sum(1 for _ in video.decode(video.streams.video[0]))
    assert count == plan.frames == round(Fraction(35_217, 16_000) * Fraction(rate))
    report = report_of(chain, plan)
    assert (report.model, report.licence) == (Model(name, "1"), LICENCE)
    assert len(report.segments) == 3
    for segment in report.segments:
        assert segment.served.model == f"{name} 1"
        assert segment.served.licence == LICENCE
        assert segment.served.backend == "onnxruntime/CPUExecutionProvider"


def test_two_graphs_become_an_ultralight_video(
    chain: Chain, tmp_path: Path, voice: Path, short_face: Path
) -> None:
    """A generator and its encoder go the same way."""
    into = tmp_path / "model"
    into.mkdir()
    graphs = [write_generator(tmp_path / "unet.onnx"), write_hubert(tmp_path / "hubert.onnx")]
    naming = Naming("ultralight", "anna", "2026-11", LICENCE)
    put_model(chain.store, BUCKETS.models, make_model(graphs, naming, into, ModelSettings()))
    ask(chain, "anna", "anna/2026-11")
    report = report_of(chain, chain.make("anna", voice, short_face))
    assert report.model == Model("anna", "2026-11")
    assert report.video.frames == 55
    assert {segment.served.model for segment in report.segments} == {"anna 2026-11"}


def test_the_operator_chooses_for_jobs_that_do_not(
    chain: Chain,
    name: str,
    tmp_path: Path,
    voice: Path,
    short_face: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a word from the job its model is the setting's, in the highest version there is."""
    bring(chain, tmp_path, name, "2")
    bring(chain, tmp_path, name, "10")
    monkeypatch.setenv("KOUBO_INGEST_MODEL", name)
    before = chain.functions["ingest"]
    chain.use("ingest", build_ingest(chain.around))
    try:
        assert chain.make(name, voice, short_face).model == Model(name, "10")
    finally:
        chain.functions["ingest"] = before


def test_a_machines_own_folder_will_do(
    chain: Chain,
    name: str,
    tmp_path: Path,
    voice: Path,
    short_face: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Models of KOUBO_MODELS_FOLDER are found by ingest and by infer, and nothing is fetched."""
    into = tmp_path / "making"
    into.mkdir()
    naming = Naming("wav2lip", name, "1", LICENCE)
    made = make_model([write_wav2lip(tmp_path / "a.onnx")], naming, into, ModelSettings())
    put_in_folder(made, tmp_path / "models")
    monkeypatch.setenv("KOUBO_MODELS_FOLDER", str(tmp_path / "models"))
    before = dict(chain.functions)
    chain.use("infer", build_infer(chain.around))
    ask(chain, name, name)
    try:
        report = report_of(chain, chain.make(name, voice, short_face))
    finally:
        chain.functions.update(before)
    assert (report.model, report.licence) == (Model(name, "1"), LICENCE)
    assert name not in chain.store.folders(BUCKETS.models, "")


def test_a_model_that_nobody_has_is_refused_at_once(
    chain: Chain, name: str, voice: Path, short_face: Path
) -> None:
    """A job that asks for an unknown model hears which ones there are, and nothing is planned."""
    ask(chain, name, "lipps")
    chain.drop(name, voice.name, voice)
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
    voice: Path,
    short_face: Path,
) -> None:
    """The run has failed at its first segments, once each, and says which model is to blame."""
    harm(chain, bring(chain, tmp_path, name))
    ask(chain, name, name)
    plan, failure, asked = failed_run(chain, name, voice, short_face)
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
    voice: Path,
    short_face: Path,
) -> None:
    """NaN or another range ends the run in the same way, without a mouth of NaN in any video."""
    bring(chain, tmp_path, name, **shape)
    ask(chain, name, name)
    plan, failure, asked = failed_run(chain, name, voice, short_face)
    assert failure.code == "bad_model"
    assert f"model {name} 1" in failure.what
    assert said in failure.what
    assert asked == plan.segments
    assert not chain.store.exists(BUCKETS.work, plan.keys.patches(0))


def test_a_mended_model_goes_on(
    chain: Chain, name: str, tmp_path: Path, voice: Path, short_face: Path
) -> None:
    """Once the model is as it should be, the same upload makes the video."""
    keys = bring(chain, tmp_path, name)
    whole = chain.store.get(BUCKETS.models, keys.file("generator.onnx"))
    _changed(chain, keys)
    ask(chain, name, name)
    plan, *_ = failed_run(chain, name, voice, short_face)
    chain.store.put(BUCKETS.models, keys.file("generator.onnx"), whole)
    runs.retry(chain.store, BUCKETS.work, plan)
    chain._seen.clear()
    chain.work()
    assert read_state(chain.store, BUCKETS.work, plan.keys).phase == "done"
    assert report_of(chain, plan).licence == LICENCE


def test_the_commands_bring_a_model_and_use_it(
    tmp_path: Path, voice: Path, short_face: Path
) -> None:
    """`koubo models add` and `koubo run --model`: to a video, or to why there is none."""
    graph = write_wav2lip(tmp_path / "Wav2Lip GAN.onnx", batch=1)
    data = tmp_path / "data"
    settings = {"KOUBO_CACHE_WEIGHTS": str(tmp_path / "weights")}
    added = koubo(
        *("models", "add", graph, "--family", "wav2lip", "--licence", LICENCE, "--data", data),
        settings=settings,
    )
    assert added.returncode == 0, added.stderr
    assert "wav2lip-gan 1" in added.stdout
    made = koubo(
        *("run", voice, short_face, "-o", tmp_path / "out.mp4"),
        *("--model", "wav2lip-gan", "--data", data),
        settings=settings,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    report = json.loads((tmp_path / "out.json").read_bytes())
    assert report["model"] == {"name": "wav2lip-gan", "version": "1"}
    assert report["licence"] == LICENCE
    assert report["video"]["frames"] == 55
    model = data / BUCKETS.models / "wav2lip-gan" / "1"
    (model / MANIFEST).write_bytes((model / MANIFEST).read_bytes() + b"# another digest\n")
    (model / "generator.onnx").unlink()
    failed = koubo(
        *("run", voice, short_face, "-o", tmp_path / "out.mp4"),
        *("--model", "wav2lip-gan", "--data", data),
        settings=settings,
    )
    assert failed.returncode == 4
    assert "model wav2lip-gan 1 lacks its file generator.onnx" in failed.stdout
