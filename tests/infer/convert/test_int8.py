import numpy as np
import onnx
import pytest

from functions.errors import BadModelError
from functions.infer.backends import OnnxRuntime
from functions.infer.comparison import Limits, compare, in_batches
from functions.infer.convert.int8 import quantise
from tests.infer.small_graphs import write_convolutions


def given(rows, scale=1.0):
    return {"x": scale * np.random.default_rng(2).random((rows, 2, 8, 8), np.float32)}


def test_an_8_bit_graph_is_near_the_original(tmp_path):
    """Weights are signed with a scale a channel, activations unsigned; pictures hardly change."""
    source, made = write_convolutions(tmp_path / "a.onnx"), tmp_path / "b.onnx"
    quantise(source, given(16), made)
    (found,) = compare(
        OnnxRuntime().load(source), OnnxRuntime().load(made), in_batches(given(9), 4)
    )
    assert found.passes(Limits(psnr=35))
    assert found.max_abs > 0
    tensors = {tensor.name: tensor for tensor in onnx.load(made).graph.initializer}
    weights = [t for name, t in tensors.items() if name.endswith(".w_quantized")]
    assert {weight.data_type for weight in weights} == {onnx.TensorProto.INT8}
    assert len(weights) == 3
    assert list(tensors["first.w_scale"].dims) == [6]


def test_another_calibration_makes_another_graph(tmp_path):
    """What activations reach comes from the inputs: those of another range don't fit."""
    source = write_convolutions(tmp_path / "a.onnx")
    graph = OnnxRuntime().load(source)
    distance = {}
    for scale in (1.0, 0.05):
        quantise(source, given(16, scale), tmp_path / "b.onnx")
        other = OnnxRuntime().load(tmp_path / "b.onnx")
        (found,) = compare(graph, other, in_batches(given(9), 4))
        distance[scale] = found.euclidean
    assert distance[0.05] > 3 * distance[1.0]


def test_weights_beside_the_graph_are_found(tmp_path):
    """A graph with external data is quantised too, and keeps its weights beside itself."""
    source = write_convolutions(tmp_path / "a.onnx")
    big = tmp_path / "big" / "a.onnx"
    big.parent.mkdir()
    onnx.save(
        onnx.load(source), big, save_as_external_data=True, location="a.data", size_threshold=0
    )
    made = tmp_path / "made" / "b.onnx"
    made.parent.mkdir()
    quantise(big, given(8), made)
    (found,) = compare(
        OnnxRuntime().load(source), OnnxRuntime().load(made), in_batches(given(9), 4)
    )
    assert found.passes(Limits(psnr=35))


def test_inputs_of_another_graph_are_refused(tmp_path):
    """With the file's name, not with a library's traceback."""
    source = write_convolutions(tmp_path / "a.onnx")
    with pytest.raises(BadModelError, match=r"a\.onnx"):
        quantise(source, {"z": np.zeros((2, 2, 8, 8), np.float32)}, tmp_path / "b.onnx")
