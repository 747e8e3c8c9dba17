"""A model that somebody brings, from an ONNX file to a video."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from demo import sample_face
from functions.infer.build import build as build_infer
from functions.infer.manifest import MANIFEST
from functions.infer.model_add import make_model, put_in_folder, put_model
from functions.infer.model_draft import Naming
from functions.ingest.build import build as build_ingest
from functions.plans import Model
from functions.settings import ModelSettings
from tests.infer.ultralight_graphs import write_generator, write_hubert
from tests.infer.wav2lip_graphs import write_wav2lip

from .embedded import koubo
from .in_process import BUCKETS, Chain
from .own_models import LICENCE, ask, bring, report_of

Ffmpeg = Callable[..., Path]


@pytest.mark.parametrize("rate", ["25", "30000/1001"])
def test_from_a_graph_to_a_video(
    rate: str, chain: Chain, name: str, tmp_path: Path, cut_voice: Path, ffmpeg: Ffmpeg
) -> None:
    """The video has all its frames at the footage's rate; the report names model and licence."""
    bring(chain, tmp_path, name)
    clip = sample_face.clip(tmp_path / "25.mp4", 2.0, (256, 256))
    again = ("-vf", f"setpts=N/({rate})/TB", "-r", rate, "-c:v", "libx264")
    face = ffmpeg("-i", clip, *again, tmp_path / "face.mp4")
    ask(chain, name, name)
    plan = chain.make(name, cut_voice, face)
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
    chain: Chain, tmp_path: Path, cut_voice: Path, short_face: Path
) -> None:
    """A generator and its encoder go the same way."""
    into = tmp_path / "model"
    into.mkdir()
    graphs = [write_generator(tmp_path / "unet.onnx"), write_hubert(tmp_path / "hubert.onnx")]
    naming = Naming("ultralight", "anna", "2026-11", LICENCE)
    put_model(chain.store, BUCKETS.models, make_model(graphs, naming, into, ModelSettings()))
    ask(chain, "anna", "anna/2026-11")
    report = report_of(chain, chain.make("anna", cut_voice, short_face))
    assert report.model == Model("anna", "2026-11")
    assert report.video.frames == 55
    assert {segment.served.model for segment in report.segments} == {"anna 2026-11"}


def test_the_operator_chooses_for_jobs_that_do_not(
    chain: Chain,
    name: str,
    tmp_path: Path,
    cut_voice: Path,
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
        assert chain.make(name, cut_voice, short_face).model == Model(name, "10")
    finally:
        chain.functions["ingest"] = before


def test_a_machines_own_folder_will_do(
    chain: Chain,
    name: str,
    tmp_path: Path,
    cut_voice: Path,
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
        report = report_of(chain, chain.make(name, cut_voice, short_face))
    finally:
        chain.functions.update(before)
    assert (report.model, report.licence) == (Model(name, "1"), LICENCE)
    assert name not in chain.store.folders(BUCKETS.models, "")


def test_the_commands_bring_a_model_and_use_it(
    tmp_path: Path, cut_voice: Path, short_face: Path
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
        *("run", cut_voice, short_face, "-o", tmp_path / "out.mp4"),
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
        *("run", cut_voice, short_face, "-o", tmp_path / "out.mp4"),
        *("--model", "wav2lip-gan", "--data", data),
        settings=settings,
    )
    assert failed.returncode == 4
    assert "model wav2lip-gan 1 lacks its file generator.onnx" in failed.stdout
