from pathlib import Path

import pytest

from functions.infer.backends.compiled import compiled_folder, working_in
from functions.infer.manifest import find_model


def test_a_folder_for_each_version_of_a_graph(tmp_path: Path) -> None:
    """Another content, or another compiler, has another folder; the same has the same."""
    graph = tmp_path / "g.onnx"
    graph.write_bytes(b"one")
    first = compiled_folder(tmp_path / "kept", graph, "cann")
    assert first.is_dir()
    assert compiled_folder(tmp_path / "kept", graph, "cann") == first
    assert compiled_folder(tmp_path / "kept", graph, "tvm-1") != first
    graph.write_bytes(b"two")
    assert compiled_folder(tmp_path / "kept", graph, "cann") != first


def test_models_are_told_by_name(tmp_path: Path) -> None:
    """Whoever looks into the cache sees whose it is."""
    graph = find_model("viseme", "1").folder / "ear.onnx"
    assert compiled_folder(tmp_path, graph, "cann").relative_to(tmp_path).parts[0] == "viseme-1"


def test_the_working_directory_comes_back(tmp_path: Path) -> None:
    """A library that writes where it stands writes there, and nobody else notices."""
    before = Path.cwd()
    with working_in(tmp_path):
        Path("made.om").write_bytes(b"x")
    assert (tmp_path / "made.om").is_file()
    with pytest.raises(ValueError, match="it fails"), working_in(tmp_path):
        raise ValueError("it fails")
    assert Path.cwd() == before
