import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.infer.backends.faults import NotFinite, UnsupportedGraph
from functions.infer.backends.graph import TensorSpec, batched
from functions.infer.batches import Batch, require_finite, rows_of, sizes, smaller
from tests.infer.scripted import IN, Scripted, ScriptedGraph


def graph(batches=(), takes=(IN,)):
    return ScriptedGraph(Scripted("a", batches, takes=takes))


def fixed(*shape, name="x"):
    return TensorSpec(name, shape, "float32")


def test_dynamic_inputs_are_the_batch():
    """Where an input's first dimension is dynamic, a fixed one holds something else."""
    assert batched((IN, fixed(1, 2, name="reference"))) == [True, False]


def test_inputs_of_a_fixed_batch_share_its_size():
    """A graph for four rows has four of each, and one of what is the same for all."""
    takes = (fixed(4, 2), fixed(1, 9, name="z"), fixed(4, 1, name="w"))
    assert batched(takes) == [True, False, True]
    assert sizes(graph(takes=takes)) == (4,)


def test_scalars_are_no_batch():
    """A graph of scalars runs once."""
    assert batched((TensorSpec("x", (), "float32"),)) == [False]


@pytest.mark.parametrize(
    ("batches", "left", "limit", "rows"),
    [
        ((), 7, 0, 7),
        ((), 7, 3, 3),
        ((1, 4, 8), 1, 0, 1),
        ((1, 4, 8), 3, 0, 4),
        ((1, 4, 8), 6, 0, 8),
        ((1, 4, 8), 20, 0, 8),
        ((1, 4, 8), 20, 5, 4),
        ((4, 8), 1, 2, 4),
    ],
)
def test_rows_at_once(batches, left, limit, rows):
    """The smallest batch that holds what is left, within what fits in memory."""
    assert rows_of(graph(batches), left, limit) == rows


@pytest.mark.parametrize(
    ("batches", "size", "less"),
    [((), 8, 4), ((), 1, 0), ((1, 4, 8), 8, 4), ((1, 4, 8), 4, 1), ((1, 4), 1, 0), ((6, 8), 8, 6)],
)
def test_batches_are_halved(batches, size, less):
    """The next smaller batch is at most half as large, where there is one."""
    assert smaller(graph(batches), size) == less


@given(
    rows=st.integers(1, 40),
    batches=st.lists(st.integers(1, 9), max_size=3, unique=True).map(sorted).map(tuple),
    limit=st.integers(0, 9),
)
def test_every_row_comes_back_in_its_place(rows, batches, limit):
    """However rows are cut and filled up, exactly as many come back, in their order."""
    given = np.arange(rows * 2, dtype=np.float32).reshape(rows, 2)
    batch, runs = Batch.of({"x": given}, (IN,)), 0
    device = graph(batches)
    while batch.left:
        piece, taken = batch.piece(device, rows_of(device, batch.left, limit))
        batch.take(device.run(piece), len(piece["x"]), taken)
        runs += 1
    (made,) = batch.outputs(device.outputs)
    assert np.array_equal(made, given * 2)
    assert runs <= rows


def test_what_fills_up_is_a_copy_of_the_last_row():
    """Not zeros, which some graphs divide by."""
    batch = Batch.of({"x": np.array([[1, 2], [3, 4]], np.float32)}, (IN,))
    piece, taken = batch.piece(graph((4,)), 4)
    assert taken == 2
    assert piece["x"].tolist() == [[1, 2], [3, 4], [3, 4], [3, 4]]


def test_other_names_go_by_place():
    """A graph exported by another library has its own names for the same inputs, and its types."""
    ours = (IN, TensorSpec("ref", (1, 3), "float32"))
    theirs = (TensorSpec("arg0", (None, 2), "float16"), TensorSpec("arg1", (1, 3), "float32"))
    batch = Batch.of({"x": np.ones((3, 2), np.float32), "ref": np.zeros((1, 3), np.float32)}, ours)
    piece, _ = batch.piece(graph(takes=theirs), 3)
    assert piece["arg0"].shape == (3, 2)
    assert piece["arg0"].dtype == np.float16
    assert piece["arg1"].shape == (1, 3)


def test_inputs_that_are_not_asked_for():
    """A caller that names others hears which there are; a graph that takes more is no match."""
    with pytest.raises(ValueError, match="'x'"):
        Batch.of({"z": np.ones((1, 2))}, (IN,))
    batch = Batch.of({"x": np.ones((1, 2))}, (IN,))
    with pytest.raises(UnsupportedGraph):
        batch.piece(graph(takes=(IN, fixed(1, name="more"))), 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none(bad):
    """A NaN or an infinity is found; whole numbers have none."""
    with pytest.raises(NotFinite, match="output 1"):
        require_finite([np.zeros(3), np.array([1, bad], np.float16)])
    require_finite([np.zeros(3, np.float32), np.array([2**40])])
