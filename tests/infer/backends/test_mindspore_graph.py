"""MindSpore, for real, on this machine's processor."""

from pathlib import Path

import numpy as np
import pytest

from functions.infer.backends.faults import BackendAbsent, UnsupportedGraph
from functions.infer.backends.graph import TensorSpec
from functions.infer.backends.mindspore_graph import MindSpore
from functions.infer.backends.onnx_runtime import OnnxRuntime
from tests.infer.backends import small_model, small_program

pytestmark = pytest.mark.backends("mindspore")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small network as a MindSpore graph."""
    made = tmp_path_factory.mktemp("mindspore")
    small_program.write_mindspore(made / "generator.mindir")
    return made


def test_probe() -> None:
    """The CPU works; an NPU needs a driver, whatever MindSpore is installed."""
    assert MindSpore().probe().works
    found = MindSpore("ascend:0").probe()
    assert not found.works
    assert "no Ascend driver" in found.says


def test_no_npu(folder: Path) -> None:
    """Loading for an NPU that isn't here is a fault of its own."""
    with pytest.raises(BackendAbsent, match="no Ascend driver"):
        MindSpore("ascend:0").load(folder / "generator.mindir")


def test_an_npu_that_this_build_does_not_know(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a driver, the plain wheel still has no device target for it, and says so."""
    from functions.infer.backends import ascend

    monkeypatch.setattr(ascend, "device_count", lambda: 1)
    found = MindSpore("ascend:0").probe()
    MindSpore().probe()
    assert not found.works
    assert "mindspore has no ascend:0" in found.says
    assert "koubo[mindspore]" in found.fix


def test_what_a_graph_takes_and_gives(folder: Path) -> None:
    """Names without those of the cells around them, and None where any size goes."""
    graph = MindSpore().load(folder / "generator.mindir")
    assert graph.inputs == (
        TensorSpec("audio", (None, *small_program.AUDIO), "float32"),
        TensorSpec("face", (None, *small_program.FACE), "float32"),
    )
    assert [spec.shape for spec in graph.outputs] == [(None, *small_program.OUT)]
    assert graph.backend == "mindspore/cpu"


def test_the_same_numbers_as_onnxruntime(folder: Path, tmp_path: Path) -> None:
    """Within 1e-5 at any batch."""
    truth = OnnxRuntime().load(small_program.write_onnx(tmp_path / "g.onnx"))
    graph = MindSpore().load(folder / "generator.mindir")
    random = np.random.default_rng(1)
    for rows in (1, 3):
        given = {
            "audio": random.random((rows, *small_program.AUDIO), np.float32),
            "face": random.random((rows, *small_program.FACE), np.float32),
        }
        assert np.abs(graph.run(given)[0] - truth.run(given)[0]).max() < 1e-5


def test_the_same_patches(folder: Path) -> None:
    """A Wav2Lip-shaped model renders what it renders in onnxruntime, to one level of 8 bits."""
    assert small_model.largest_difference(small_model.seal(folder), MindSpore()) <= 1


def test_inputs_of_other_shapes(folder: Path) -> None:
    """MindSpore's own error is a fault of the graph's, in one line."""
    graph = MindSpore().load(folder / "generator.mindir")
    with pytest.raises(UnsupportedGraph) as caught:
        graph.run(
            {"audio": np.zeros((1, 80, 16), np.float32), "face": np.zeros((1, 6), np.float32)}
        )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"this is no graph"])
def test_a_file_that_is_no_graph(tmp_path: Path, content: bytes) -> None:
    """It is named."""
    path = tmp_path / "broken.mindir"
    path.write_bytes(content)
    with pytest.raises(UnsupportedGraph, match=r"broken\.mindir"):
        MindSpore().load(path)
