import pytest

from functions.errors import BadModelError
from functions.infer.families.musetalk_graphs import MASK, draft
from functions.infer.onnx_file import read_onnx
from tests.infer.musetalk_graphs import GRAPHS, write_model


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("musetalk"))


def test_bare_graphs_are_told_apart_by_what_they_take(small):
    """Whatever they are called and in whatever order they come."""
    graphs = [read_onnx(small.folder / f"{stem}.onnx", 1 << 30) for stem in sorted(GRAPHS)]
    made = draft("small 1", graphs[::-1], None)
    assert made.files == {f"{stem}.onnx": small.folder / f"{stem}.onnx" for stem in GRAPHS}
    assert (made.size, made.mask) == (256, MASK)


@pytest.mark.parametrize("count", [0, 3, 5])
def test_other_numbers_of_graphs_are_no_model(small, count):
    """One that is missing, or there twice, is named with what all of them take."""
    graphs = [read_onnx(small.folder / f"{stem}.onnx", 1 << 30) for stem in sorted(GRAPHS)]
    with pytest.raises(BadModelError, match="not one"):
        draft("small 1", (graphs + graphs[:1])[:count], None)
    with pytest.raises(BadModelError, match="256"):
        draft("small 1", graphs, 96)
