import pickle
from pathlib import Path

import pytest

from functions.errors import BadModelError

pytestmark = pytest.mark.backends("convert")

torch = pytest.importorskip("torch")


class Trap:
    """What a pickle that isn't weights may do when it is read."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.fixture
def read():
    from functions.infer.convert.checkpoint import read_weights

    return read_weights


@pytest.mark.parametrize("wrap", [lambda w: w, lambda w: {"state_dict": w, "global_step": 3}])
@pytest.mark.parametrize("zipped", [True, False])
def test_weights_are_read(read, tmp_path, wrap, zipped):
    """With and without what training code puts around them, in the old form and the new one."""
    weights = {"module.a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(1)}
    path = tmp_path / "w.pth"
    torch.save(wrap(weights), path, _use_new_zipfile_serialization=zipped)
    found = read(path)
    assert list(found) == ["a.weight", "b"]
    assert torch.equal(found["a.weight"], weights["module.a.weight"])


def test_safetensors_are_read(read, tmp_path):
    """They hold nothing but tensors by their form."""
    save_file = pytest.importorskip("safetensors.torch").save_file
    save_file({"a": torch.ones(2)}, tmp_path / "w.safetensors")
    assert torch.equal(read(tmp_path / "w.safetensors")["a"], torch.ones(2))
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    with pytest.raises(BadModelError, match="safetensors"):
        read(tmp_path / "bad.safetensors")


@pytest.mark.parametrize("how", ["torch", "pickle", "beside"])
def test_a_pickle_that_is_no_weights_never_runs(read, tmp_path, how):
    """It is refused, and what was hidden in it was not done."""
    mark, path = tmp_path / "was-here", tmp_path / "w.pth"
    held = {"a": torch.ones(1), "b": Trap(mark)} if how == "beside" else Trap(mark)
    if how == "pickle":
        path.write_bytes(pickle.dumps(held))
    else:
        torch.save(held, path)
    with pytest.raises(BadModelError, match="something else than weights"):
        read(path)
    assert not mark.exists()


@pytest.mark.parametrize("held", [torch.ones(2), [torch.ones(2)], {}, {"a": 3}, {1: torch.ones(1)}])
def test_what_has_no_named_weights_is_refused(read, tmp_path, held):
    """The error says what there is instead."""
    torch.save(held, tmp_path / "w.pth")
    with pytest.raises(BadModelError, match=r"w\.pth holds"):
        read(tmp_path / "w.pth")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"nothing of the kind" * 50])
def test_what_is_no_checkpoint_is_refused(read, tmp_path, content):
    """Cut off files and files of other kinds."""
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(BadModelError, match=r"w\.pth"):
        read(tmp_path / "w.pth")


def test_another_networks_weights_are_refused():
    """Missing names and other shapes, with the first of them."""
    from functions.infer.convert.checkpoint import fill

    with pytest.raises(BadModelError, match=r"this net.*bias"):
        fill(torch.nn.Linear(2, 2), {"weight": torch.ones(2, 2)}, "this net")
    with pytest.raises(BadModelError, match="shape"):
        fill(torch.nn.Linear(2, 2), {"weight": torch.ones(3), "bias": torch.ones(2)}, "this net")
