import pytest
from skimage.data import astronaut

from functions.calibration import analysed
from functions.errors import KouboError, RejectedInput
from functions.settings import BucketSettings
from functions.stills import jpeg
from functions.storage import Store
from tests.infer.conftest import make_studio
from tests.infer.musetalk_graphs import write_model

WORK = BucketSettings().work


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("musetalk"))


def test_a_footage_of_the_store_is_found_by_its_digest(small, tmp_path):
    """It is read where it lies; the voice is the sample in the package."""
    store, studio = Store.folder(tmp_path / "store"), make_studio([3, 2])
    studio.store(store, WORK, tmp_path)
    digest = studio.footage.digest
    with analysed(small, digest, None, store, "default") as (footage, voice):
        assert footage.footage == studio.footage
        assert voice.samples(0, 16000).shape == (16000,)
        assert footage.kept("x", lambda: b"1") == b"1"
    # What the model kept with it stays there for its runs.
    assert store.get(WORK, footage.keys.prepared("small", "1", "x")) == b"1"
    with (
        pytest.raises(KouboError, match="another"),
        analysed(small, digest, None, store, "another"),
    ):
        pass


def test_a_file_is_analysed_and_nothing_of_it_stays(small, tmp_path):
    """Whatever the voice is called; the store of runs isn't touched."""
    face = tmp_path / "my face.jpg"
    face.write_bytes(jpeg(astronaut()))
    store = Store.folder(tmp_path / "store")
    with analysed(small, str(face), None, store, "default") as (footage, voice):
        place = footage.store.root
        assert footage.footage.kind == "portrait"
        assert footage.footage.faces == 1
        assert voice.level > 0
    assert not place.exists()
    assert not (tmp_path / "store").exists()


def test_a_voice_that_is_a_picture_is_refused(small, tmp_path):
    """By what it is."""
    face = tmp_path / "face.jpg"
    face.write_bytes(jpeg(astronaut()))
    with (
        pytest.raises(RejectedInput, match=r"face\.jpg: .* a recording is wanted"),
        analysed(small, str(face), face, Store.memory(), "default"),
    ):
        pass
