import sys

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from skimage.data import astronaut
from typer.testing import CliRunner

from functions.commands import app
from functions.errors import KouboError, NotSetUpError, RejectedInput
from functions.infer.backends import ascend
from functions.stills import jpeg
from tests.infer.backends.stand_ins import Ascend, make_acl
from tests.infer.convert.test_atc import STAND_IN
from tests.infer.musetalk_graphs import write_model
from tests.infer.small_graphs import write_convolutions


def koubo(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def atc(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "atc"
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")


def test_a_dry_run_prints_the_command(tmp_path, monkeypatch):
    """Where there is no ATC, too; nothing is run."""
    monkeypatch.setenv("PATH", str(tmp_path))
    graph = write_convolutions(tmp_path / "m.onnx")
    said = koubo("convert", "om", graph, "--chip", "Ascend310P3", "--batches", "1,2", "--dry-run")
    assert said.exit_code == 0
    assert said.output.startswith(f"atc --framework=5 --model={graph} --output={tmp_path}/m ")
    assert "--dynamic_batch_size=1,2" in said.output
    assert not (tmp_path / "m.om").exists()
    said = koubo("convert", "om", graph, "--chip", "Ascend310P3")
    assert isinstance(said.exception, NotSetUpError)


def test_what_is_no_model_is_refused(tmp_path):
    """A file that is no graph and a name that nobody has are refusals, as of `koubo models`."""
    (tmp_path / "m.onnx").write_text("text")
    said = koubo("convert", "om", tmp_path / "m.onnx", "--chip", "Ascend310P3")
    assert isinstance(said.exception, RejectedInput)
    options = ("--footage", "f" * 32, "-o", tmp_path / "u.onnx", "--data", tmp_path / "data")
    said = koubo("convert", "int8", "nobody", *options)
    assert isinstance(said.exception, RejectedInput)
    assert "there is no model 'nobody'" in str(said.exception)


def test_an_offline_model_is_made_and_the_missing_gate_is_said(tmp_path, atc):
    """There is no NPU here: what was not compared is not called good."""
    graph = write_convolutions(tmp_path / "m.onnx")
    said = koubo("convert", "om", graph, "--chip", "Ascend310P3", "--no-fusion")
    assert said.exit_code == 0, said.output
    assert (tmp_path / "m.om").read_bytes() == b"offline"
    assert '"UBFusion":{"ALL":"off"}' in (tmp_path / "m.fusion.cfg").read_text()
    assert "It was not compared" in said.output
    assert "koubo compare" in said.output


@pytest.mark.parametrize(("factor", "code"), [(2.0, 0), (3.0, 1)])
def test_where_there_is_an_npu_the_gate_decides(tmp_path, atc, monkeypatch, factor, code):
    """The stand-in for pyACL doubles what it gets: the graph that doubles passes, no other does."""
    monkeypatch.setattr(ascend, "device_count", lambda: 1)
    monkeypatch.setitem(sys.modules, "acl", make_acl(Ascend(batches=())))
    node = helper.make_node("Mul", ["x", "factor"], ["y"])
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 3]) for name in ("x", "y")
    ]
    kept = [numpy_helper.from_array(np.array(factor, np.float32), "factor")]
    made = helper.make_graph([node], "double", ends[:1], ends[1:], kept)
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(made, opset_imports=opset, ir_version=9), tmp_path / "m.onnx")
    command = ("convert", "om", tmp_path / "m.onnx", "--chip", "Ascend310P3", "--batches", "4")
    said = koubo(*command)
    assert said.exit_code == code, said.output
    assert "m.om on om/npu:0 (acl)" in said.output
    assert ("FAILS" in said.output) is bool(code)
    assert ("only be said of two ONNX files" in said.output) is bool(code)


def test_batches_are_numbers(tmp_path):
    """Anything else is a usage error."""
    graph = write_convolutions(tmp_path / "m.onnx")
    assert koubo("convert", "om", graph, "--chip", "Ascend310", "--batches", "a").exit_code == 2


@pytest.fixture
def portrait(tmp_path):
    path = tmp_path / "face.jpg"
    path.write_bytes(jpeg(astronaut()))
    return path


def test_an_8_bit_graph_is_calibrated_on_a_real_face(tmp_path, portrait):
    """A portrait is analysed, its windows calibrate the graph, and the gate lets it through."""
    model, made = write_model(tmp_path / "model"), tmp_path / "out" / "unet.onnx"
    kept = tmp_path / "inputs.npz"
    said = koubo(
        *("convert", "int8", model.folder, "--graph", "unet", "--footage", portrait),
        *("-o", made, "--rows", "10", "--keep-inputs", kept),
    )
    assert said.exit_code == 0, said.output
    kinds = {t.data_type for t in onnx.load(made).graph.initializer}
    assert onnx.TensorProto.INT8 in kinds
    assert np.load(kept)["sample"].shape == (10, 8, 32, 32)
    assert koubo("compare", model.folder / "unet.onnx", made, "--inputs", kept).exit_code == 0


def test_an_8_bit_graph_that_is_too_far_off_is_not_kept(tmp_path, portrait):
    """The code is 1 and there is no file."""
    model, made = write_model(tmp_path / "model"), tmp_path / "unet.onnx"
    said = koubo(
        *("convert", "int8", model.folder, "--graph", "unet", "--footage", portrait, "-o", made),
        *("--rows", "5", "--max-abs", "0", "--cosine", "1", "--euclidean", "0"),
    )
    assert said.exit_code == 1
    assert "not kept" in said.output
    assert not made.exists()
    assert not list(tmp_path.glob(".koubo-int8-*"))


def test_footage_that_is_none_is_said(tmp_path, monkeypatch):
    """Neither a file nor a digest in the store; and a file that ingest refuses."""
    model = write_model(tmp_path / "model")
    options = ("--graph", "unet", "-o", tmp_path / "u.onnx", "--data", tmp_path / "data")
    said = koubo("convert", "int8", model.folder, "--footage", "f" * 32, *options)
    assert isinstance(said.exception, KouboError)
    assert "neither" in str(said.exception)
    (tmp_path / "text.mp4").write_text("no video")
    said = koubo("convert", "int8", model.folder, "--footage", tmp_path / "text.mp4", *options)
    assert isinstance(said.exception, KouboError)
    assert "not_media" in str(said.exception)


@pytest.mark.skipif("torch" in sys.modules, reason="here the extra is installed")
def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    """Koubo itself needs no torch; only this command does."""
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "w.pth").write_bytes(b"x")
    said = koubo("models", "convert", "wav2lip", tmp_path / "w.pth", "-o", tmp_path / "out")
    assert isinstance(said.exception, NotSetUpError)
    assert "koubo[convert]" in str(said.exception)
