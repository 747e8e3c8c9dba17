from pathlib import Path

import pytest

from functions.errors import BadModelError
from functions.infer.backends.artefact import artefact_for
from functions.infer.backends.faults import NoArtefact
from functions.infer.manifest import sha256

MANIFEST = """
family = "wav2lip"
name = "mine"
version = "1"
licence = "mine"
sample_rate = 16000
[crop]
size = 96
[files]
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model with `g.onnx` and `g.om`, and `g.pt2` that `model.toml` doesn't list."""
    for suffix in (".onnx", ".om", ".pt2"):
        (tmp_path / f"g{suffix}").write_bytes(suffix.encode())
    listed = [f'"{name}" = "{sha256(tmp_path / name)}"\n' for name in ("g.onnx", "g.om")]
    (tmp_path / "model.toml").write_text(MANIFEST + "".join(listed))
    return tmp_path


def test_the_first_kind_that_the_model_has(model: Path) -> None:
    """Of one stem, the kind that the backend likes best; the caller may name any of them."""
    assert artefact_for(model / "g.onnx", (".om", ".onnx")).name == "g.om"
    assert artefact_for(model / "g.om", (".onnx",)).name == "g.onnx"


def test_what_is_not_listed_is_not_there(model: Path) -> None:
    """A file beside `model.toml` that it doesn't list is nobody's."""
    with pytest.raises(NoArtefact, match=r"no \.pt2 of its graph g"):
        artefact_for(model / "g.onnx", (".pt2",))


def test_artefacts_are_checked(model: Path) -> None:
    """Another artefact than the one that the caller has checked is checked here."""
    (model / "g.om").write_bytes(b"another one")
    with pytest.raises(BadModelError, match=r"g\.om.*damaged"):
        artefact_for(model / "g.onnx", (".om",))


def test_graphs_outside_models(tmp_path: Path) -> None:
    """Without a `model.toml` what lies there counts; with nothing there, the file is named."""
    (tmp_path / "g.pt2").write_bytes(b"x")
    assert artefact_for(tmp_path / "g.pt2", (".pt2",)) == tmp_path / "g.pt2"
    with pytest.raises(BadModelError, match=r"other\.onnx is missing"):
        artefact_for(tmp_path / "other.onnx", (".onnx",))
