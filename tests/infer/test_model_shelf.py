"""Which model is found where, and which ones stay in memory."""

import shutil

import pytest

from functions.errors import BadModelError
from functions.infer import model_shelf
from functions.infer.backends import OnnxRuntime
from functions.infer.manifest import SHIPPED
from functions.infer.model_add import make_model, put_in_folder, put_model
from functions.infer.model_draft import Naming
from functions.infer.model_shelf import LoadedModels, ModelShelf, load_family
from functions.infer.router import Router
from functions.infer.weight_cache import WeightCache
from functions.layout import ModelKeys
from functions.models import remove
from functions.plans import Model
from functions.settings import ModelSettings
from functions.storage import Store
from tests.infer.wav2lip_graphs import write_wav2lip

BUCKET = "koubo-models"
LIMIT = 1 << 30


@pytest.fixture
def made(tmp_path):
    """Makes a model's folder."""

    def make(name, seed=0):
        into = tmp_path / "making" / f"{name}-{seed}"
        into.mkdir(parents=True)
        path = write_wav2lip(tmp_path / f"{name}.onnx", seed=seed)
        return make_model([path], Naming("wav2lip", name, "1", "CC0-1.0"), into, ModelSettings())

    return make


@pytest.fixture
def shelf(tmp_path):
    store = Store.folder(tmp_path / "store")
    folder = tmp_path / "models"
    return ModelShelf(store, BUCKET, WeightCache(tmp_path / "cache", LIMIT, LIMIT), folder)


@pytest.fixture
def loaded(shelf):
    return LoadedModels(shelf, Router((OnnxRuntime(),)), 4)


def test_the_packages_models_come_first(shelf, made):
    """A model of the package is never looked for elsewhere, one of the folder before the bucket."""
    assert shelf.find(Model("viseme", "1")).folder == SHIPPED / "viseme" / "1"
    put_in_folder(made("lips", seed=1), shelf.folder)
    bucket = made("lips", seed=2)
    put_model(shelf.store, BUCKET, bucket)
    assert shelf.find(Model("lips", "1")).folder == shelf.folder / "lips" / "1"
    shutil.rmtree(shelf.folder)
    assert shelf.find(Model("lips", "1")).files == bucket.files


@pytest.mark.parametrize("name", ["../lips", "a/b", "", ".."])
def test_a_name_that_leads_elsewhere_is_none(shelf, name):
    """A plan can't make infer look outside of where models are."""
    for model in (Model(name, "1"), Model("lips", name)):
        with pytest.raises(BadModelError, match="no model's name"):
            shelf.find(model)


def test_a_folder_that_is_called_otherwise_is_refused(shelf, made):
    """What lies under one name and calls itself another would be reported as that."""
    place = put_in_folder(made("lips"), shelf.folder)
    place.parent.rename(shelf.folder / "other")
    with pytest.raises(BadModelError, match="holds model lips 1"):
        shelf.find(Model("other", "1"))


def test_a_model_is_loaded_once(loaded, made):
    """The second segment gets the model that the first one loaded."""
    put_model(loaded.shelf.store, BUCKET, made("lips"))
    wanted = Model("lips", "1")
    assert loaded(wanted) is loaded(wanted)


def test_a_replaced_model_is_loaded_anew(loaded, made):
    """Other weights under the name of ones that were taken away are noticed at the next segment."""
    store = loaded.shelf.store
    put_model(store, BUCKET, made("lips", seed=1))
    first = loaded(Model("lips", "1"))
    remove(store, BUCKET, ModelKeys("lips", "1"))
    with pytest.raises(BadModelError, match="model lips 1 is not in the bucket"):
        loaded(Model("lips", "1"))
    second = made("lips", seed=2)
    put_model(store, BUCKET, second)
    assert loaded(Model("lips", "1")) is not first
    assert loaded(Model("lips", "1")).manifest.files == second.files


def test_only_the_latest_stay_in_memory(loaded, made):
    """One more than fits lets go of the one that was used longest ago."""
    models = [Model(f"lips-{n}", "1") for n in range(4)]
    for model in models:
        put_model(loaded.shelf.store, BUCKET, made(model.name))
    families = [loaded(model) for model in models[:3]]
    assert loaded(models[0]) is families[0]
    loaded(models[3])
    assert len(loaded._families) == 3
    assert loaded(models[0]) is families[0]
    assert loaded(models[1]) is not families[1]


def test_every_family_is_known_by_its_name(made):
    """The registry has the families of the guide, and another name is refused with these."""
    assert set(model_shelf.FAMILIES) == {"viseme", "wav2lip", "ultralight", "musetalk"}
    manifest = made("lips")
    object.__setattr__(manifest, "family", "latentsync")
    with pytest.raises(BadModelError, match=r"model lips 1 .*'latentsync'; known are viseme"):
        load_family(manifest, Router((OnnxRuntime(),)), 4)
