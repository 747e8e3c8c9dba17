import numpy as np
import pytest

from functions.errors import NotSetUpError
from functions.infer.backends import OnnxRuntime


def test_names_what_really_runs(renderer):
    """A graph says which provider computes, for the report."""
    assert renderer.backend == "onnxruntime/CPUExecutionProvider"


def test_a_missing_provider_falls_back_and_says_so(manifest):
    """Asked for a device that isn't there, the graph runs on the CPU and doesn't hide it."""
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        graph = OnnxRuntime(provider="CUDAExecutionProvider").load(manifest.folder / "ear.onnx")
    assert graph.backend == "onnxruntime/CPUExecutionProvider"


def test_runs_a_graph_by_the_names_of_its_inputs(manifest):
    """The ear's graph answers a question of the right shape."""
    graph = OnnxRuntime(threads=1).load(manifest.folder / "ear.onnx")
    (mouth,) = graph.run({"mel": np.full((1, 1, 80, 100), -4, np.float32)})
    assert mouth.shape == (1, 4, 64)
    assert mouth.dtype == np.float32


@pytest.mark.parametrize("content", [None, b"", b"this is no graph"])
def test_a_file_that_is_no_model_is_a_matter_of_set_up(tmp_path, content):
    """A missing, empty or damaged file is named in the error."""
    path = tmp_path / "broken.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NotSetUpError, match=r"broken\.onnx"):
        OnnxRuntime().load(path)
