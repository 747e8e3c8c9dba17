import shutil
from pathlib import Path

import pytest

from functions.aside import TENANT, Aside
from functions.errors import Code, RejectedInput
from functions.ingest.face_models import FaceModels
from functions.layout import FootageKeys, VoiceKeys
from functions.settings import BucketSettings, CacheSettings
from functions.storage import Store

BUCKETS = BucketSettings()
VOICE = Path(__file__).parents[1] / "functions" / "samples" / "voice.flac"


@pytest.fixture
def aside(tmp_path: Path, face_models: FaceModels) -> Aside:
    root = tmp_path / "aside"
    root.mkdir()
    return Aside(Store.folder(root), root, CacheSettings())


def test_a_voice_and_a_face(aside: Aside, face_portrait: Path) -> None:
    """Both are analysed, nothing is planned, and the files themselves stay where they were."""
    voice = VoiceKeys(TENANT, aside.analyse(VOICE, "voice"))
    footage = FootageKeys(TENANT, aside.analyse(face_portrait, "footage"))
    assert aside.store.exists(BUCKETS.work, voice.document)
    assert aside.store.exists(BUCKETS.work, footage.document)
    assert not list(aside.store.entries(BUCKETS.work, f"{TENANT}/runs"))
    assert VOICE.exists()
    assert face_portrait.exists()


def test_what_is_refused(aside: Aside, tmp_path: Path) -> None:
    """Ingest's own reason is told with the file's name."""
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    with pytest.raises(RejectedInput, match=r"text\.mp4: The file is no audio") as caught:
        aside.analyse(path, "footage")
    assert caught.value.code is Code.NOT_MEDIA


def test_the_other_kind(aside: Aside, tmp_path: Path, face_portrait: Path) -> None:
    """A recording is no face and a portrait no voice, whatever they are called."""
    path = tmp_path / ".face.mp4.part"
    shutil.copyfile(VOICE, path)
    with pytest.raises(RejectedInput, match="a recording, without pictures") as caught:
        aside.analyse(path, "footage")
    assert caught.value.code is Code.NO_FACE
    with pytest.raises(RejectedInput, match="where a recording is wanted"):
        aside.analyse(face_portrait, "voice")
