import numpy as np
import pytest
from typer.testing import CliRunner

from functions.commands import app
from functions.compare import made_up
from functions.errors import KouboError
from functions.infer.backends import OnnxRuntime
from tests.infer.small_graphs import write_convolutions


def compare(*arguments):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


def test_equal_graphs_pass(tmp_path):
    """The measures are printed, and the code is 0; that the inputs are made up is said."""
    one = write_convolutions(tmp_path / "a.onnx")
    said = compare(one)
    assert said.exit_code == 0
    assert "passes" in said.output
    assert "cosine 1.000000" in said.output
    assert "made up" in said.output


def test_graphs_that_part_fail(tmp_path):
    """The code is 1, and the first layer that differs is named."""
    one = write_convolutions(tmp_path / "a.onnx")
    other = write_convolutions(tmp_path / "b.onnx", change=("second", 1.0))
    said = compare(one, other)
    assert said.exit_code == 1
    assert "FAILS" in said.output
    assert "first layer past the limits is second.conv" in said.output


def test_limits_are_options(tmp_path):
    """What fails by default passes where more is allowed, and fails again where a picture is."""
    one = write_convolutions(tmp_path / "a.onnx")
    other = write_convolutions(tmp_path / "b.onnx", change=("third", 0.7))
    loose = ("--cosine", 0.5, "--euclidean", 1)
    assert compare(one, other).exit_code == 1
    assert compare(one, other, *loose).exit_code == 0
    assert compare(one, other, *loose, "--psnr", 40).exit_code == 1


def test_real_inputs_come_from_a_file(tmp_path):
    """Named arrays; a pickle among them is not read."""
    one = write_convolutions(tmp_path / "a.onnx")
    np.savez(tmp_path / "given.npz", x=np.zeros((2, 2, 8, 8), np.float32))
    said = compare(one, "--inputs", tmp_path / "given.npz")
    assert said.exit_code == 0
    assert "made up" not in said.output
    np.savez(tmp_path / "objects.npz", x=np.array([{}], dtype=object))
    said = compare(one, "--inputs", tmp_path / "objects.npz")
    assert isinstance(said.exception, KouboError)


def test_another_backend_is_asked_for_by_name(tmp_path):
    """One that this machine lacks is said to be missing; one that doesn't exist, too."""
    one = write_convolutions(tmp_path / "a.onnx")
    for name in ("om/npu:0", "abacus/cpu"):
        said = compare(one, "--other-on", name)
        assert isinstance(said.exception, KouboError)
        assert name.partition("/")[0] in str(said.exception)


def test_made_up_inputs_are_always_the_same(tmp_path):
    """Two machines that compare the same file ask the same."""
    graph = OnnxRuntime().load(write_convolutions(tmp_path / "a.onnx"))
    one, other = made_up(graph, 3), made_up(graph, 3)
    assert one["x"].shape == (3, 2, 8, 8)
    assert np.array_equal(one["x"], other["x"])
    assert np.ptp(one["x"]) == pytest.approx(1, abs=0.05)
