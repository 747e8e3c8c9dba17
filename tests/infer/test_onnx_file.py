"""What strangers bring instead of a graph."""

import io
import os
import pickle
import zipfile

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.errors import BadModelError
from functions.infer.backends.graph import TensorSpec
from functions.infer.onnx_file import check_file, is_pickle, read_onnx
from tests.infer.wav2lip_graphs import write_wav2lip

LIMIT = 1 << 30


def test_a_graph_says_what_it_takes_and_gives(tmp_path):
    """Names, sizes and types of inputs and outputs are read; weights are no inputs."""
    read = read_onnx(write_wav2lip(tmp_path / "a.onnx", size=192), LIMIT)
    assert read.inputs == (
        TensorSpec("mel_spectrogram", (None, 1, 80, 16), "float32"),
        TensorSpec("video_frames", (None, 6, 192, 192), "float32"),
    )
    assert read.outputs == (TensorSpec("predicted", (None, 3, 192, 192), "float32"),)
    assert read.weights == ()


def test_weights_beside_the_graph_are_named(tmp_path):
    """A graph that keeps its weights in another file says in which."""
    path = write_wav2lip(tmp_path / "a.onnx", external="a.weights")
    assert read_onnx(path, LIMIT).weights == ("a.weights",)


def test_missing_weights_are_named(tmp_path):
    """Without that file the refusal says which one is missing."""
    path = write_wav2lip(tmp_path / "a.onnx", external="a.weights")
    (tmp_path / "a.weights").unlink()
    with pytest.raises(BadModelError, match=r"a\.onnx keeps weights in 'a\.weights', .* missing"):
        read_onnx(path, LIMIT)


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd", "sub/w", "a\\..\\b", "..", ""])
def test_weights_elsewhere_are_refused(tmp_path, place):
    """A graph can't have files read that lie elsewhere than beside it."""
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    for name in (tmp_path / "secret", folder / "sub" / "w"):
        name.write_bytes(bytes(1000))
    path = write_wav2lip(folder / "a.onnx", external="w")
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = place
    path.write_bytes(model.SerializeToString())
    with pytest.raises(BadModelError, match=r"a\.onnx keeps weights (at|in)"):
        read_onnx(path, LIMIT)


def test_weights_behind_a_link_are_refused(tmp_path):
    """Nor through a link that leads out of the folder."""
    folder = tmp_path / "model"
    folder.mkdir()
    path = write_wav2lip(folder / "a.onnx", external="w")
    (folder / "w").rename(tmp_path / "elsewhere")
    (folder / "w").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadModelError, match="not beside it"):
        read_onnx(path, LIMIT)


def checkpoint() -> bytes:
    """As torch writes one: a zip with a pickle in it."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"w": 1}))
        archive.writestr("archive/data/0", bytes(64))
    return data.getvalue()


class Trap:
    """What a hostile pickle runs when it is read."""

    def __reduce__(self):
        return os.system, ("touch trapped",)


PICKLES = {
    "protocol 2": pickle.dumps({"state_dict": [1.5, "x"]}, protocol=2),
    "protocol 5": pickle.dumps(np.zeros(3), protocol=5),
    "old torch": pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2) + pickle.dumps([], protocol=2),
    "torch": checkpoint(),
    "hostile": pickle.dumps(Trap()),
}


@pytest.mark.parametrize("name", PICKLES)
def test_pickles_are_refused_unread(tmp_path, monkeypatch, name):
    """A checkpoint that calls itself ONNX is told from its first bytes, and none of it is run."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.onnx"
    path.write_bytes(PICKLES[name])
    with pytest.raises(BadModelError, match=r"model\.onnx is a pickle.*export"):
        read_onnx(path, LIMIT)
    assert not (tmp_path / "trapped").exists()


@given(st.binary(max_size=64))
def test_any_bytes_are_a_pickle_or_none(tmp_path_factory, data):
    """Whatever a file begins with, looking at it raises nothing."""
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(b"\x80" + data)
    assert is_pickle(path) in (True, False)


def test_weights_are_no_pickles(tmp_path):
    """Numbers that begin with a pickle's first byte are still numbers."""
    path = tmp_path / "weights"
    path.write_bytes(np.float32([-1.1e-38, 0.5, 0.25]).tobytes())
    (tmp_path / "more").write_bytes(b"\x80\x3f" + np.ones(8, np.float32).tobytes())
    assert not is_pickle(path)
    assert not is_pickle(tmp_path / "more")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        (b"<!DOCTYPE html><html>Sign in</html>", "web page"),
        (b"gjdigits" + bytes(40), "encrypted"),
        (b"no model at all", "not an ONNX file"),
        (bytes(1000), "not an ONNX file"),
        (b"\x08\x09", "no graph"),
    ],
    ids=["empty", "hdf5", "lfs", "page", "encrypted", "text", "zeros", "no graph"],
)
def test_other_files_are_named_for_what_they_are(tmp_path, content, said):
    """Files of other kinds are refused, the usual mistakes by their names."""
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(BadModelError, match=rf"model\.onnx .*{said}"):
        read_onnx(path, LIMIT)


def test_half_a_file_is_refused(tmp_path):
    """A download that broke off is no ONNX file, wherever it broke off."""
    whole = write_wav2lip(tmp_path / "a.onnx").read_bytes()
    for end in (len(whole) // 3, len(whole) // 2, len(whole) - 5):
        (tmp_path / "b.onnx").write_bytes(whole[:end])
        with pytest.raises(BadModelError, match=r"b\.onnx is (not an|a broken) ONNX file"):
            read_onnx(tmp_path / "b.onnx", LIMIT)


def test_a_huge_file_is_refused_unread(tmp_path):
    """A sparse file of 10 GB costs a look at its size."""
    path = tmp_path / "model.onnx"
    with path.open("wb") as file:
        file.truncate(10_000_000_000)
    with pytest.raises(BadModelError, match=r"model\.onnx has 10\.0 GB; the limit is 1\.1 GB"):
        check_file(path, LIMIT)
    with pytest.raises(BadModelError, match="without external data"):
        read_onnx(path, 1 << 40)


def test_what_is_no_file_is_refused(tmp_path):
    """A folder, a pipe and nothing at all can't be read as a model, nor waited for."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", ".", "missing"):
        with pytest.raises(BadModelError, match=r"plain file|can't be read"):
            check_file(tmp_path / name, LIMIT)


def test_a_broken_graph_says_why(tmp_path):
    """A graph whose nodes hang in the air is refused with the checker's words."""
    path = write_wav2lip(tmp_path / "a.onnx")
    model = onnx.load(path)
    model.graph.node[0].input[0] = "nowhere"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(BadModelError, match=r"a\.onnx is a broken ONNX file: .*nowhere"):
        read_onnx(path, LIMIT)
