import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.errors import BadModelError, NotSetUpError
from functions.infer.manifest import (
    MANIFEST,
    SHIPPED,
    Manifest,
    find_model,
    parse_manifest,
    read_manifest,
    sha256,
)
from functions.patches import Mask


def test_the_shipped_model_is_whole(manifest):
    """Every file of the default model is there with the content that its manifest names."""
    assert (manifest.family, manifest.label) == ("viseme", "viseme 1")
    for name in manifest.files:
        assert manifest.file(name).is_file()


def test_the_shipped_model_is_small(manifest):
    """The weights in the package stay below 5 MiB together."""
    assert sum(manifest.file(name).stat().st_size for name in manifest.files) <= 5 << 20


def test_framing_and_mask_are_read(manifest):
    """The crop and the mask of the file reach the dataclass."""
    assert (manifest.crop.size, manifest.crop.scale, manifest.crop.drop) == (256, 1.85, 0.78)
    assert manifest.mask == Mask()


def test_a_graph_is_for_faces_of_the_crops_size(manifest):
    """Or for faces of any size; for another size it is refused with both."""
    manifest.check_size(256)
    manifest.check_size(None)
    with pytest.raises(BadModelError, match="faces at 256 pixels and has a graph for 96"):
        manifest.check_size(96)


def test_a_damaged_file_is_refused(tmp_path):
    """One changed byte is noticed before the file is loaded."""
    folder = tmp_path / "viseme" / "1"
    shutil.copytree(SHIPPED / "viseme" / "1", folder)
    damaged = bytearray((folder / "ear.onnx").read_bytes())
    damaged[100] ^= 1
    (folder / "ear.onnx").write_bytes(damaged)
    manifest = find_model("viseme", "1", shipped=tmp_path)
    assert manifest.file("interior.png")
    with pytest.raises(NotSetUpError, match=r"ear\.onnx .* damaged"):
        manifest.file("ear.onnx")
    with pytest.raises(NotSetUpError, match=r"lacks its file other\.onnx"):
        manifest.file("other.onnx")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("family =", "familly ="), "familly"),
        (("size = 256", 'size = "big"'), "size"),
        (("[crop]", "[crop"), "can't be read"),
    ],
)
def test_a_wrong_manifest_says_what_is_wrong(tmp_path, change, complaint):
    """A key that we don't know, a value that can't be and broken TOML are all named."""
    text = (SHIPPED / "viseme" / "1" / MANIFEST).read_text("utf-8")
    (tmp_path / MANIFEST).write_text(text.replace(*change), "utf-8")
    with pytest.raises(NotSetUpError, match=complaint):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("name", "version"),
    [("viseme", "2"), ("other", "1"), ("..", "1"), ("viseme", ".."), ("a/b", "1"), ("", "")],
)
def test_a_model_that_is_not_there(name, version):
    """Unknown models, and names that lead elsewhere, are no models."""
    with pytest.raises(NotSetUpError):
        find_model(name, version)


GOOD = (SHIPPED / "viseme" / "1" / MANIFEST).read_bytes()


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_any_content_is_a_manifest_or_refused(content):
    """Whatever a `model.toml` holds, instead of ours or behind it, nothing else comes of it."""
    for data in (content, GOOD + content):
        with suppress(BadModelError):
            assert isinstance(parse_manifest(data, Path("models/x/1")), Manifest)


@pytest.mark.parametrize(
    "content",
    [
        b"a = " + b"[" * 100_000,
        b"a = " + b"9" * 10_000,
        b"#" * 1_000_000,
        GOOD + b"[own]\nx = 1",
        b'folder = "/etc"\n' + GOOD,
        b'digest = "x"\n' + GOOD,
        GOOD.replace(b'licence = "Apache-2.0"\n', b""),
        GOOD.replace(b'"viseme"', b'"../viseme"'),
    ],
    ids=["brackets", "digits", "long", "own", "folder", "digest", "no licence", "name"],
)
def test_what_a_manifest_can_not_be(content):
    """Endless nesting, other people's keys, no licence, and names that are paths are refused."""
    with pytest.raises(BadModelError, match=r"model\.toml"):
        parse_manifest(content, Path("models/x/1"))


def test_artefacts_of_one_graph_share_its_name(tmp_path):
    """A graph's files are found by its name, the ONNX one first, and all of them are checked."""
    text = GOOD.decode().split("[files]")[0] + "[files]\n"
    for name in ("generator.om", "generator.onnx", "other.onnx", "weights.data"):
        (tmp_path / name).write_bytes(name.encode())
        text += f'"{name}" = "{sha256(tmp_path / name)}"\n'
    manifest = parse_manifest(text.encode(), tmp_path)
    assert manifest.artefacts("generator") == ["generator.onnx", "generator.om"]
    assert manifest.graph("generator") == tmp_path / "generator.onnx"
    (tmp_path / "other.onnx").write_bytes(b"x")
    manifest.graph("generator")
    for name in ("generator.om", "weights.data"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(BadModelError, match=f"{name} .*damaged"):
            manifest.graph("generator")
        (tmp_path / name).write_bytes(name.encode())
    with pytest.raises(BadModelError, match="lacks its graph encoder"):
        manifest.graph("encoder")
