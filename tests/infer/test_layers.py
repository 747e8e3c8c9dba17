import numpy as np
import onnx
import pytest

from functions.infer.backends import OnnxRuntime
from functions.infer.comparison import Limits
from functions.infer.layers import expose, first_past, shared
from tests.infer.small_graphs import write_convolutions

LAYERS = ["first.conv", "first", "second.conv", "second", "third.conv", "y"]


def given():
    return {"x": np.random.default_rng(1).random((1, 2, 8, 8), np.float32)}


@pytest.mark.parametrize("layer", ["first", "second", "third"])
def test_the_first_layer_that_differs_is_named(tmp_path, layer):
    """The one whose weights were changed, not those after it that differ because of it."""
    load = OnnxRuntime().load
    one = write_convolutions(tmp_path / "a.onnx")
    other = write_convolutions(tmp_path / "b.onnx", change=(layer, 1.0))
    found = first_past((one, load), (other, load), given(), Limits())
    assert found.name == f"{layer}.conv"
    assert found.max_abs == pytest.approx(1.0, abs=1e-5)


def test_equal_graphs_have_none(tmp_path):
    """Then there is nothing to name."""
    load = OnnxRuntime().load
    one = write_convolutions(tmp_path / "a.onnx")
    assert first_past((one, load), (one, load), given(), Limits()) is None


def test_only_what_both_compute_is_looked_at(tmp_path):
    """In the order of computing; outputs of other names are no layer of both."""
    one = write_convolutions(tmp_path / "a.onnx")
    other = write_convolutions(tmp_path / "b.onnx", names=("x", "z"))
    assert shared(one, one) == LAYERS
    assert shared(one, other) == LAYERS[:-1]


def test_weights_beside_a_graph_stay_beside_it(tmp_path):
    """A graph with external data is exposed without copying its weights into the file."""
    source = write_convolutions(tmp_path / "a.onnx")
    big = tmp_path / "big" / "a.onnx"
    big.parent.mkdir()
    onnx.save(
        onnx.load(source), big, save_as_external_data=True, location="a.data", size_threshold=0
    )
    made = expose(big, ["first"], tmp_path / "exposed")
    (first,) = OnnxRuntime().load(made).run(given())
    (expected,) = OnnxRuntime().load(expose(source, ["first"], tmp_path / "plain")).run(given())
    assert np.array_equal(first, expected)
    assert made.stat().st_size < 1500
