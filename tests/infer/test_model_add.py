"""Models on their way in: what becomes of good ones, and why bad ones are refused."""

import os
import shutil
import tomllib

import pytest

from functions.errors import BadModelError
from functions.infer.manifest import MANIFEST, read_manifest, sha256
from functions.infer.model_add import copy_model, make_model, put_in_folder, put_model, try_model
from functions.infer.model_draft import Naming
from functions.layout import ModelKeys
from functions.settings import ModelSettings
from functions.storage import Store
from tests.infer.wav2lip_graphs import write_wav2lip

SETTINGS = ModelSettings()
NAMING = Naming("wav2lip", "lips", "1", 'for "research"; 研究 only')
BUCKET = "koubo-models"


@pytest.fixture
def into(tmp_path):
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


@pytest.fixture
def made(tmp_path, into):
    """A model made of a graph with its weights beside it."""
    path = write_wav2lip(tmp_path / "a.onnx", external="w.data")
    return make_model([path], NAMING, into, SETTINGS)


def test_a_graph_becomes_a_model(made):
    """Shapes, digests and the licence line are in its `model.toml`; the weights came along."""
    assert (made.family, made.label, made.licence) == (
        "wav2lip",
        "lips 1",
        'for "research"; 研究 only',
    )
    assert made.crop.size == 96
    assert made.own == {"pads": [0, 10, 0, 0]}
    assert set(made.files) == {"generator.onnx", "w.data"}
    for name, digest in made.files.items():
        assert sha256(made.folder / name) == digest
    assert made.graph("generator").name == "generator.onnx"


def test_what_is_said_of_it_is_kept(tmp_path, into):
    """Values for the family's table, and a size for a graph that takes any."""
    path = write_wav2lip(tmp_path / "a.onnx", size="s")
    made = make_model([path], NAMING, into, SETTINGS, size=256, table={"offset": -1})
    assert made.crop.size == 256
    assert made.own == {"pads": [0, 10, 0, 0], "offset": -1}


def test_384_pixels_want_a_larger_box(tmp_path, into):
    """Its published programs take 15 pixels more below the face."""
    path = write_wav2lip(tmp_path / "a.onnx", size=384)
    assert make_model([path], NAMING, into, SETTINGS).own == {"pads": [0, 15, 0, 0]}


@pytest.mark.parametrize("name", ["", "Lips", "a/b", "..", "a b", "-a", "x" * 100])
def test_a_name_that_is_none_is_refused(tmp_path, into, name):
    """A model's name is a folder's, everywhere."""
    path = write_wav2lip(tmp_path / "a.onnx")
    for naming in (Naming("wav2lip", name, "1", "l"), Naming("wav2lip", "lips", name, "l")):
        with pytest.raises(BadModelError, match="name"):
            make_model([path], naming, into, SETTINGS)


@pytest.mark.parametrize("licence", ["", "two\nlines", "x" * 501])
def test_a_licence_is_a_line(tmp_path, into, licence):
    """Reports repeat it, so it has to be one that can be repeated."""
    path = write_wav2lip(tmp_path / "a.onnx")
    with pytest.raises(BadModelError, match="licence"):
        make_model([path], Naming("wav2lip", "lips", "1", licence), into, SETTINGS)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({"channels": 3}, "takes"),
        ({"size": 48}, "takes"),
        ({"bands": 64}, "takes"),
    ],
)
def test_another_graph_is_refused(tmp_path, into, shape, said):
    """A graph of other shapes says so, with the name that it would have had."""
    path = write_wav2lip(tmp_path / "a.onnx", **shape)
    with pytest.raises(BadModelError, match=said):
        make_model([path], NAMING, into, SETTINGS)


def test_several_graphs_or_an_unknown_family_are_refused(tmp_path, into):
    """Wav2Lip is one graph; families that need a `model.toml` say so."""
    path = write_wav2lip(tmp_path / "a.onnx")
    with pytest.raises(BadModelError, match="2 graphs"):
        make_model([path, path], NAMING, into, SETTINGS)
    with pytest.raises(BadModelError, match=r"model\.toml"):
        make_model([path], Naming("viseme", "v", "1", "l"), into, SETTINGS)
    with pytest.raises(BadModelError, match="faces of 96 pixels, not of 192"):
        make_model([path], NAMING, into, SETTINGS, size=192)


def test_a_good_model_stands_its_trial(made):
    """A made-up face and voice go through the model in a process of its own."""
    try_model(made, SETTINGS)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({"gain": float("nan")}, "lips 1.*not finite|lips 1.*NaN"),
        ({"gain": 300.0, "end": "Identity"}, "lips 1 made values from .* where 0 to 1"),
        ({"end": "GlobalMaxPool"}, "lips 1 made an output of shape"),
    ],
)
def test_a_bad_model_does_not(tmp_path, into, shape, said):
    """NaN, and values that are no picture, are found by running it."""
    path = write_wav2lip(tmp_path / "a.onnx", **shape)
    made = make_model([path], NAMING, into, SETTINGS)
    with pytest.raises(BadModelError, match=said):
        try_model(made, SETTINGS)


def test_a_trial_has_an_end(made):
    """A model that takes too long is refused for that."""
    with pytest.raises(BadModelError, match=r"lips 1 took more than 0\.01 s"):
        try_model(made, ModelSettings(trial_seconds=0.01))


def test_a_folder_is_copied_whole(made, tmp_path):
    """A model's folder is taken as it is, byte for byte."""
    to = tmp_path / "copy"
    to.mkdir()
    copied = copy_model(made.folder, to, SETTINGS)
    assert copied.digest == made.digest
    assert copied.files == made.files


def rewrite(folder, old, new):
    """Changes a folder's `model.toml`."""
    path = folder / MANIFEST
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


@pytest.mark.parametrize(
    "name", ["../w.data", "/etc/passwd", "a/../../w", "..", "w.data/", "model.toml", "C:w", "w."]
)
def test_a_manifest_that_leads_elsewhere_is_refused(made, tmp_path, name):
    """A file's name in `model.toml` is a name, and no path."""
    rewrite(made.folder, '"w.data"', f'"{name}"')
    with pytest.raises(BadModelError, match="no file beside it"):
        read_manifest(made.folder)
    with pytest.raises(BadModelError, match="no file beside it"):
        copy_model(made.folder, tmp_path, SETTINGS)


@pytest.mark.parametrize("name", ["w.pth", "w.PT", "w.ckpt", "w.pkl"])
def test_a_manifest_with_checkpoints_is_refused(made, name):
    """Pickles are refused by their names before anybody looks at them."""
    rewrite(made.folder, '"w.data"', f'"{name}"')
    with pytest.raises(BadModelError, match="pickles run code"):
        read_manifest(made.folder)


def test_links_out_of_the_folder_are_refused(made, tmp_path):
    """A model's folder can't make us copy somebody else's file."""
    secret = tmp_path / "secret"
    shutil.move(made.folder / "w.data", secret)
    (made.folder / "w.data").symlink_to(secret)
    to = tmp_path / "copy"
    to.mkdir()
    with pytest.raises(BadModelError, match=r"elsewhere|not beside it"):
        copy_model(made.folder, to, SETTINGS)


def test_a_changed_file_is_refused(made, tmp_path):
    """A folder whose file isn't the one that was listed is damaged."""
    data = bytearray((made.folder / "w.data").read_bytes())
    data[3] ^= 1
    (made.folder / "w.data").write_bytes(data)
    with pytest.raises(BadModelError, match=r"w\.data .*another SHA-256"):
        copy_model(made.folder, tmp_path, SETTINGS)
    with pytest.raises(BadModelError, match=r"w\.data .*damaged"):
        made.graph("generator")


def test_weights_that_are_not_listed_are_refused(made, tmp_path):
    """A graph that keeps weights in a file without a digest is refused."""
    rewrite(made.folder, f'"w.data" = "{made.files["w.data"]}"\n', "")
    to = tmp_path / "copy"
    to.mkdir()
    with pytest.raises(BadModelError, match=r"'w\.data', which its model\.toml doesn't list"):
        copy_model(made.folder, to, SETTINGS)


def test_a_huge_file_in_a_folder_is_refused(made, tmp_path):
    """10 GB of nothing are not copied, nor hashed."""
    with (made.folder / "w.data").open("wb") as file:
        file.truncate(10_000_000_000)
    with pytest.raises(BadModelError, match=r"w\.data has 10\.0 GB"):
        copy_model(made.folder, tmp_path, SETTINGS)


def test_a_model_is_put_into_the_bucket_once(made):
    """All of its files are there, and a second one of the same version is refused."""
    store = Store.memory()
    put_model(store, BUCKET, made)
    keys = ModelKeys("lips", "1")
    assert {entry.key for entry in store.entries(BUCKET, "lips")} == {
        keys.manifest,
        keys.file("generator.onnx"),
        keys.file("w.data"),
    }
    with pytest.raises(BadModelError, match=r"lips 1 already.*--version"):
        put_model(store, BUCKET, made)


def test_a_shipped_models_name_is_taken(made, tmp_path):
    """A model of one's own can't stand in for one of the package."""
    rewrite(made.folder, '"lips"', '"viseme"')
    with pytest.raises(BadModelError, match="viseme 1 comes with the package"):
        put_model(Store.memory(), BUCKET, read_manifest(made.folder))
    with pytest.raises(BadModelError, match="viseme 1 comes with the package"):
        put_in_folder(read_manifest(made.folder), tmp_path)


def test_a_model_is_put_into_a_folder_once(made, tmp_path):
    """It lies where `KOUBO_MODELS_FOLDER` is looked through."""
    again = tmp_path / "again"
    shutil.copytree(made.folder, again)
    root = tmp_path / "models"
    assert read_manifest(put_in_folder(made, root)).label == "lips 1"
    assert os.listdir(root / "lips" / "1")  # noqa: PTH208 -- any file at all
    with pytest.raises(BadModelError, match="can't be made"):
        put_in_folder(read_manifest(again), root)


def test_what_is_written_is_toml(made):
    """The manifest is plain TOML with the family's table under its name."""
    values = tomllib.loads((made.folder / MANIFEST).read_text("utf-8"))
    assert values["wav2lip"] == {"pads": [0, 10, 0, 0]}
    assert values["mask"]["centre"] == [0.5, 0.74]
    assert values["sample_rate"] == 16000
