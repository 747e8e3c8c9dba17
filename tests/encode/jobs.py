"""Runs that have only to be encoded, for tests of the handler."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from functions import documents, runs
from functions.analysis import Voice, content_digest
from functions.encode.handler import Encode
from functions.encode.report import Report
from functions.encode.settings import EncodeSettings, LabelSettings
from functions.events import ObjectCreated
from functions.input_cache import InputCache
from functions.input_keys import InputFile
from functions.layout import FootageKeys, VoiceKeys
from functions.options import Options
from functions.plans import Model, Plan, make_plan
from functions.progress import silent
from functions.settings import BucketSettings
from functions.storage import Store

from .clips import Clip, write_patches_file

BUCKETS = BucketSettings()
VOICE_SECONDS = 7.3


@dataclass(frozen=True)
class Job:
    """A planned run whose segments are all inferred."""

    encode: Encode
    plan: Plan

    @property
    def store(self) -> Store:
        return self.encode.store

    def names(self, bucket: str, prefix: str = "") -> set[str]:
        return {entry.key.rpartition("/")[2] for entry in self.store.entries(bucket, prefix)}

    def patches(self, index: int) -> ObjectCreated:
        return ObjectCreated(BUCKETS.work, self.plan.keys.patches(index))

    def part(self, index: int) -> ObjectCreated:
        return ObjectCreated(BUCKETS.work, self.plan.keys.part(index))

    def run(self) -> None:
        for index in range(self.plan.segments):
            self.encode.handle(self.patches(index))
        self.encode.handle(self.part(0))

    def video(self, to: Path) -> Path:
        self.store.download(BUCKETS.output, self.plan.group.output(self.plan.output, ".mp4"), to)
        return to

    def report(self) -> Report:
        key = self.plan.group.output(self.plan.output, ".json")
        return documents.load(Report, self.store.get(BUCKETS.output, key))


def prepare(root: Path, clip: Clip, sound: Path, options: Options, labels: LabelSettings) -> Job:
    store = Store.folder(root / "store")
    scratch = root / "scratch"
    scratch.mkdir()
    face_file, voice_file = InputFile("t", "job", "face.mp4"), InputFile("t", "job", "voice.wav")
    store.put(BUCKETS.input, face_file.key, clip.path)
    store.put(BUCKETS.input, voice_file.key, b"the voice")
    sha256 = store.download(BUCKETS.input, face_file.key, root / "copy")
    footage = dataclasses.replace(clip.footage, sha256=sha256, digest=content_digest(sha256))
    voice = Voice(content_digest("1" * 64), "1" * 64, VOICE_SECONDS, 0.5, "wav")
    plan = make_plan(
        voice_file.group,
        (voice_file, voice),
        (face_file, footage),
        Model("viseme", "1"),
        options,
        segment_seconds=2.5,
        portrait_rate=25,
        output="voice-face",
        made_at=1000.0,
    )
    footage_keys = FootageKeys("t", footage.digest)
    store.put(BUCKETS.work, footage_keys.document, documents.dump(footage))
    store.put(BUCKETS.work, footage_keys.frames, clip.frame_map.dump())
    voice_keys = VoiceKeys("t", voice.digest)
    store.put(BUCKETS.work, voice_keys.document, documents.dump(voice))
    store.put(BUCKETS.work, voice_keys.sound, sound)
    runs.start(store, BUCKETS.work, plan)
    for index in range(plan.segments):
        patches = write_patches_file(root, footage, plan.segment(index))
        store.put(BUCKETS.work, plan.keys.patches(index), patches)
    encode = Encode(
        store=store,
        buckets=BUCKETS,
        cache=InputCache(root / "cache", 1 << 30),
        settings=EncodeSettings(seconds=120),
        labels=labels,
        scratch=scratch,
        progress=silent,
    )
    return Job(encode, plan)
