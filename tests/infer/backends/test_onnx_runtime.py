from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from functions.infer.backends import ascend
from functions.infer.backends.faults import (
    BackendAbsent,
    BackendFault,
    DeviceLost,
    DeviceOutOfMemory,
    UnsupportedGraph,
)
from functions.infer.backends.graph import TensorSpec
from functions.infer.backends.onnx_runtime import PRECISION_KEY, OnnxRuntime
from functions.infer.ear import BLOCK, CHANNELS, CONTEXT
from tests.infer.wav2lip_graphs import write_wav2lip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_wav2lip(tmp_path / "generator.onnx")


def test_names_what_really_runs(graph):
    """A graph says which provider computes, for the report."""
    assert graph.backend == "onnxruntime/CPUExecutionProvider"
    assert graph.precision == "fp32"


def test_what_a_graph_takes_and_gives(path):
    """Names, sizes and types, None where any size goes."""
    graph = OnnxRuntime().load(path)
    assert graph.inputs == (
        TensorSpec("mel_spectrogram", (None, 1, 80, 16), "float32"),
        TensorSpec("video_frames", (None, 6, 96, 96), "float32"),
    )
    assert graph.outputs == (TensorSpec("predicted", (None, 3, 96, 96), "float32"),)
    assert graph.batches == ()


def test_runs_a_graph_by_the_names_of_its_inputs(manifest):
    """The ear's graph answers a question of the right shape."""
    graph = OnnxRuntime(threads=1).load(manifest.folder / "ear.onnx")
    (mouth,) = graph.run({"mel": np.full((1, 1, 80, BLOCK + 2 * CONTEXT), -4, np.float32)})
    assert mouth.shape == (1, len(CHANNELS), BLOCK)
    assert mouth.dtype == np.float32


def test_the_precision_of_a_file_that_says_so(path, tmp_path):
    """Whoever makes an int8 graph writes it down in the file."""
    model = onnx.load(path)
    entry = model.metadata_props.add()
    entry.key, entry.value = PRECISION_KEY, "int8"
    onnx.save(model, tmp_path / "int8.onnx")
    assert OnnxRuntime().load(tmp_path / "int8.onnx").precision == "int8"


@pytest.mark.parametrize("content", [b"", b"this is no graph"])
def test_a_file_that_is_no_graph(tmp_path, content):
    """An empty or damaged file is named in the fault."""
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(UnsupportedGraph, match=r"broken\.onnx"):
        OnnxRuntime().load(path)


def test_inputs_of_other_shapes(path):
    """On the CPU a run that fails would fail for ever."""
    graph = OnnxRuntime().load(path)
    with pytest.raises(UnsupportedGraph, match="mel_spectrogram"):
        graph.run(
            {
                "mel_spectrogram": np.zeros((1, 1, 80, 17), np.float32),
                "video_frames": np.zeros((1, 6, 96, 96), np.float32),
            }
        )


@pytest.mark.parametrize("device", ["cuda:0", "cann:0", "openvino"])
def test_a_provider_that_is_not_installed(path, device):
    """It is refused before onnxruntime could fall back to the CPU without a word."""
    backend = OnnxRuntime(device)
    found = backend.probe()
    assert not found.works
    assert "only AzureExecutionProvider, CPUExecutionProvider" in found.says
    assert found.fix
    with pytest.raises(BackendAbsent, match=r"has no \w+ExecutionProvider"):
        backend.load(path)


def test_a_session_that_fell_back_is_refused(path, monkeypatch):
    """What onnxruntime really settled on counts, not what it lists."""
    listed = ["CANNExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    monkeypatch.setattr(ascend, "device_count", lambda: 1)
    monkeypatch.setattr(ascend, "toolkit", lambda: Path("/"))
    with (
        pytest.warns(UserWarning, match="CANNExecutionProvider"),
        pytest.raises(BackendAbsent, match=r"told to use CANN.* uses CPUExecutionProvider"),
    ):
        OnnxRuntime("cann:0").load(path)


@pytest.mark.parametrize(
    ("device", "said", "fault"),
    [
        ("cpu", "anything", UnsupportedGraph),
        ("cpu", "Failed to allocate memory for requested buffer of size 9", DeviceOutOfMemory),
        ("cann:0", "CANN error 507901: aclrtSynchronizeStream", DeviceLost),
        ("cann:0", "CANN error 207001: aclrtMalloc", DeviceOutOfMemory),
        ("cann:0", "anything", BackendFault),
        ("cuda:0", "CUDA failure 2: out of memory ; GPU=0", DeviceOutOfMemory),
        ("cuda:0", "CUDA failure 719: unspecified launch failure", DeviceLost),
        ("cuda:0", "CUDA failure 1: invalid argument", BackendFault),
    ],
)
def test_what_errors_mean(device, said, fault):
    """By their codes; what nobody knows is a fault of the CPU's graph or of a device."""
    assert type(OnnxRuntime(device).fault(RuntimeError(said))) is fault


def test_types_have_numpys_names(tmp_path):
    """Types that numpy has by another name are told in numpy's."""
    takes = helper.make_tensor_value_info("x", TensorProto.INT64, ["n"])
    gives = helper.make_tensor_value_info("y", TensorProto.INT64, ["n"])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [takes], [gives])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "i.onnx")
    assert OnnxRuntime().load(tmp_path / "i.onnx").inputs[0].dtype == "int64"
