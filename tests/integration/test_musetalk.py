"""MuseTalk's four graphs, small ones, from a model in the bucket to two videos of one footage."""

from pathlib import Path

import av
import pytest
import soundfile

from functions.infer.model_add import put_model
from functions.layout import FootageKeys
from tests.infer.musetalk_graphs import write_model

from .in_process import BUCKETS, TENANT, Chain


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory, voice_file: Path) -> list[Path]:
    """Two recordings of 1.7 s that differ."""
    folder = tmp_path_factory.mktemp("voices")
    sound, rate = soundfile.read(voice_file, dtype="int16")
    paths = [folder / f"{name}.wav" for name in ("one", "other")]
    for path, start in zip(paths, (0, 20_000), strict=True):
        soundfile.write(path, sound[start : start + 27_210], rate)
    return paths


def test_latents_are_kept_for_the_next_voice(
    chain: Chain, tmp_path: Path, voices: list[Path], short_face: Path
) -> None:
    """Each video has all its frames; what the first run encoded the second one finds."""
    put_model(chain.store, BUCKETS.models, write_model(tmp_path / "model"))
    kept = []
    for job, voice in zip(("first", "second"), voices, strict=True):
        chain.drop(job, "koubo.toml", b'model = "small"')
        plan = chain.make(job, voice, short_face)
        with av.open(str(chain.video(plan))) as video:
            assert sum(1 for _ in video.decode(video=0)) == plan.frames == 43
        keys = FootageKeys(TENANT, plan.face.digest)
        prefix = keys.prepared("small", "1", "").rstrip("/")
        entries = {entry.key: entry.etag for entry in chain.store.entries(BUCKETS.work, prefix)}
        assert keys.prepared("small", "1", "latents-0000.npz") in entries
        kept.append(entries)
    assert kept[0] == kept[1]
