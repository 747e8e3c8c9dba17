"""Apache TVM, for real, on this machine's processor."""

from pathlib import Path

import numpy as np
import pytest

from functions.infer.backends.faults import UnsupportedGraph
from functions.infer.backends.onnx_runtime import OnnxRuntime
from functions.infer.backends.tvm_compiled import Tvm
from tests.infer.backends import small_model, small_program
from tests.infer.wav2lip_graphs import write_wav2lip

pytestmark = pytest.mark.backends("tvm")


@pytest.fixture
def tvm(tmp_path: Path) -> Tvm:
    return Tvm("llvm", (1, 2), tmp_path / "compiled")


def question(rows: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    shapes = {"audio": small_program.AUDIO, "face": small_program.FACE}
    return {name: random.random((rows, *shape), np.float32) for name, shape in shapes.items()}


def test_probe(tvm: Tvm) -> None:
    """It says its version and what it compiles for."""
    found = tvm.probe()
    assert found.works
    assert found.says.startswith("tvm 0.")


def test_the_same_numbers_as_onnxruntime(tvm: Tvm, tmp_path: Path) -> None:
    """Within 1e-5 at each batch that it was compiled for."""
    path = small_program.write_onnx(tmp_path / "g.onnx")
    graph, truth = tvm.load(path), OnnxRuntime().load(path)
    assert graph.batches == (1, 2)
    for rows in graph.batches:
        (ours,), (theirs,) = graph.run(question(rows)), truth.run(question(rows))
        assert np.abs(ours - theirs).max() < 1e-5


def test_the_same_patches(tvm: Tvm, tmp_path: Path) -> None:
    """A Wav2Lip-shaped model renders what it renders in onnxruntime, to one level of 8 bits."""
    assert small_model.largest_difference(small_model.seal(tmp_path), tvm) <= 1


def test_what_was_compiled_is_kept(tvm: Tvm, tmp_path: Path) -> None:
    """The second time it is read from the cache; another target compiles anew."""
    path = small_program.write_onnx(tmp_path / "g.onnx")
    tvm.load(path)
    kept = sorted((tmp_path / "compiled").rglob("*.so"))
    assert [each.name for each in kept] == ["1.so", "2.so"]
    written = [each.stat().st_mtime_ns for each in kept]
    tvm.load(path)
    assert [each.stat().st_mtime_ns for each in kept] == written
    Tvm('{"kind": "llvm"}', (1,), tmp_path / "compiled").load(path)
    assert len(list((tmp_path / "compiled").rglob("*.so"))) == 3


def test_without_a_compiler_it_runs_from_memory(
    tvm: Tvm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images have no C compiler; nothing is kept then, and everything runs."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    graph = tvm.load(small_program.write_onnx(tmp_path / "g.onnx"))
    assert graph.run(question(2))[0].shape == (2, *small_program.OUT)
    assert list((tmp_path / "compiled").rglob("*.so")) == []


def test_kunpengs_target_is_known(tmp_path: Path) -> None:
    """The target of docs/backends.md compiles for aarch64; the library is not for this machine."""
    import tvm as library

    target = {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "tsv110"}
    assert library.target.Target(target).attrs["mcpu"] == "tsv110"


@pytest.mark.parametrize("content", [b"", b"this is no graph"])
def test_a_file_that_is_no_graph(tvm: Tvm, tmp_path: Path, content: bytes) -> None:
    """It is named."""
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(UnsupportedGraph):
        tvm.load(path)


def test_sizes_that_nobody_knows(tvm: Tvm, tmp_path: Path) -> None:
    """A graph for faces of any size can't be compiled, and says which input it is."""
    path = write_wav2lip(tmp_path / "any.onnx", size="s")
    with pytest.raises(UnsupportedGraph, match="video_frames"):
        tvm.load(path)
