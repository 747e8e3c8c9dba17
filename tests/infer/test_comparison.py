import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.errors import KouboError
from functions.infer.backends import OnnxRuntime
from functions.infer.comparison import Limits, Tally, compare, in_batches
from tests.infer.small_graphs import write_convolutions


def measured(one, other, batches=1):
    tally = Tally("t")
    for first, second in zip(
        np.array_split(one, batches), np.array_split(other, batches), strict=True
    ):
        tally.add(first, second)
    return tally.measures()


@given(st.integers(1, 4), st.integers(0, 2**32 - 1), st.floats(1e-4, 1))
def test_the_measures_are_what_they_are_called(batches, seed, noise):
    """Cosine, relative Euclidean distance, largest difference and PSNR, in however many batches."""
    random = np.random.default_rng(seed)
    one = random.random((4, 3, 5, 5)).astype(np.float32)
    other = (one + random.normal(0, noise, one.shape)).astype(np.float32)
    found, a, b = measured(one, other, batches), one.astype(float), other.astype(float)
    assert found.cosine == pytest.approx((a * b).sum() / math.sqrt((a**2).sum() * (b**2).sum()))
    assert found.euclidean == pytest.approx(np.linalg.norm(a - b) / np.linalg.norm(a))
    assert found.max_abs == pytest.approx(np.abs(a - b).max())
    assert found.psnr == pytest.approx(-10 * math.log10(((a - b) ** 2).mean()))


def test_equal_pictures_are_infinitely_alike():
    """Nothing is divided by nothing, and pictures in -1..1 have twice the range."""
    zeros = np.zeros((1, 3, 4, 4), np.float32)
    found = measured(zeros, zeros)
    assert (found.cosine, found.euclidean, found.psnr) == (1, 0, math.inf)
    assert found.passes(Limits(psnr=90))
    dark = np.full((1, 3, 4, 4), -1, np.float32)
    assert measured(dark, dark + np.float32(0.02)).psnr == pytest.approx(40, abs=0.01)


def test_what_is_no_picture_has_no_psnr():
    """Features and latents are judged by the other measures alone."""
    assert measured(np.ones((2, 50, 4)), np.ones((2, 50, 4))).psnr is None
    assert measured(np.ones((2, 50, 4)), np.ones((2, 50, 4))).passes(Limits(psnr=90))


@pytest.mark.parametrize(
    ("noise", "passes"),
    [(0.0, True), (9e-4, True), (0.04, True), (0.08, False)],
)
def test_the_limits_are_the_documented_ones(noise, passes):
    """A relative distance below .05, or differences too small to matter."""
    one = np.ones((1, 10))
    assert measured(one, one * (1 + noise)).passes(Limits()) is passes


def test_small_numbers_may_point_anywhere():
    """Where nothing differs by more than .001 the angle doesn't matter; past that it does."""
    tiny = np.full((1, 4), 5e-4)
    assert measured(tiny, -tiny).passes(Limits())
    assert not measured(tiny * 10, -tiny * 10).passes(Limits())


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_never_passes(wrong):
    """Not even where all else is equal."""
    one = np.ones((2, 4))
    other = one.copy()
    other[1, 2] = wrong
    found = measured(one, other, 2)
    assert not found.passes(Limits(0, 9, 9))
    assert "NaN" in str(found)


def test_two_graphs_on_the_same_inputs(tmp_path):
    """Told by shape where the names differ; the second one's error is found."""
    one = OnnxRuntime().load(write_convolutions(tmp_path / "a.onnx"))
    same = OnnxRuntime().load(write_convolutions(tmp_path / "b.onnx", names=("in", "out")))
    far = OnnxRuntime().load(write_convolutions(tmp_path / "c.onnx", change=("second", 2.0)))
    inputs = {"x": np.random.default_rng(0).random((7, 2, 8, 8), np.float32)}
    (found,) = compare(one, same, in_batches(inputs, 3))
    assert found.passes(Limits())
    assert found.psnr == math.inf
    (found,) = compare(one, far, in_batches(inputs, 3))
    assert not found.passes(Limits())
    assert found.name == "y"


def test_what_cannot_be_compared_is_said(tmp_path):
    """No inputs, other inputs, other shapes, rows that don't match."""
    graph = OnnxRuntime().load(write_convolutions(tmp_path / "a.onnx"))
    with pytest.raises(KouboError, match="no inputs"):
        compare(graph, graph, [])
    with pytest.raises(KouboError, match="none of the inputs"):
        compare(graph, graph, [{"other": np.zeros((1, 3, 8, 8), np.float32)}])
    with pytest.raises(KouboError, match="in the other"):
        Tally("y").add(np.zeros((1, 2)), np.zeros((2, 2)))
    with pytest.raises(KouboError, match="rows"):
        list(in_batches({"a": np.zeros((2, 1)), "b": np.zeros((3, 1))}, 2))
