import shutil

import pytest

from functions.errors import NotSetUpError
from functions.infer.manifest import MANIFEST, SHIPPED, find_model, read_manifest
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


def test_a_damaged_file_is_refused(tmp_path):
    """One changed byte is noticed before the file is loaded."""
    folder = tmp_path / "viseme" / "1"
    shutil.copytree(SHIPPED / "viseme" / "1", folder)
    damaged = bytearray((folder / "ear.onnx").read_bytes())
    damaged[100] ^= 1
    (folder / "ear.onnx").write_bytes(damaged)
    manifest = find_model("viseme", "1", shipped=tmp_path)
    assert manifest.file("mouth.onnx")
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
