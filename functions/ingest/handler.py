"""Ingest handles an upload: analyses it once, then plans the runs that it completes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from functions import documents
from functions.analysis import Chunk, FrameMap, Spent, Track, Upload, content_digest
from functions.errors import Code, RejectedInput
from functions.events import ObjectCreated
from functions.ingest.faces import FaceFinder
from functions.ingest.footage import FootageLimits, analyse_portrait, analyse_video
from functions.ingest.pairing import looked_at, pair, read_options
from functions.ingest.replacement import settle, supersede_earlier
from functions.ingest.settings import IngestSettings
from functions.ingest.voice import analyse_voice
from functions.input_cache import InputCache
from functions.input_keys import (
    OPTIONS_FILE,
    InputFile,
    error_key,
    is_unfinished,
    parse_input,
)
from functions.layout import FootageKeys, VoiceKeys
from functions.logs import logger
from functions.media import open_container, video_stream
from functions.options import FaceChoice, Options
from functions.progress import Progress
from functions.settings import BucketSettings
from functions.stills import is_portrait
from functions.storage import Entry, Store

log = logger()


class _Clock:
    def __init__(self) -> None:
        self._began, self._cpu = time.monotonic(), time.process_time()

    def spent(self) -> Spent:
        seconds, cpu = time.monotonic() - self._began, time.process_time() - self._cpu
        return Spent(round(seconds, 3), round(cpu, 3))


@dataclass(frozen=True)
class Ingest:
    """The collaborators of ingest's handler.

    Args:
        store: where everything is.
        buckets: their names.
        cache: for the uploads' content.
        finder: finds faces.
        settings: limits and plans.
        scratch: a folder for files in the making.
        progress: told in frames.
    """

    store: Store
    buckets: BucketSettings
    cache: InputCache
    finder: FaceFinder
    settings: IngestSettings
    scratch: Path
    progress: Progress

    def handle(self, event: ObjectCreated) -> None:
        """Handles a created object of the input bucket; others are none of ingest's business.

        Raises:
            RetryableError: the event is to come again.
        """
        if event.bucket != self.buckets.input or is_unfinished(event.key):
            return
        try:
            file = parse_input(event.key)
        except RejectedInput as refusal:
            self._refuse(error_key(event.key), event.key, refusal)
            return
        try:
            entry = self.store.head(self.buckets.input, file.key)
        except FileNotFoundError:
            return  # taken away again; the next upload is another event
        if file.is_options:
            self._look_again(file)
        fresh = not file.is_options and self._look_at(file, entry)
        self._pair(file, again=fresh)
        # Last: until then reconcile brings the upload back.
        self.store.put_new(self.buckets.work, file.handled(entry.identity), b"")

    def _look_at(self, file: InputFile, entry: Entry) -> bool:
        """Analyses a version of a file that has no record yet; False where it has."""
        record = file.upload(entry.identity)
        face = self._face(file)
        if self._is_known(file, record, face):
            return False
        try:
            upload = self._analyse(file, entry, face)
            self.store.delete(self.buckets.output, file.error)
        except RejectedInput as refusal:
            supersede_earlier(self.store, self.buckets, file, entry, digest=None)
            self._refuse(file.error, file.key, refusal)
            upload = Upload(file.file, "refused", "", refusal.code.public)
        self.store.put(self.buckets.work, record, documents.dump(upload))
        if face != self._face(file):
            # The options came meanwhile, and found nothing yet that was to be looked at again.
            self._look_at(file, entry)
        return True

    def _look_again(self, options: InputFile) -> None:
        """Analyses those of the job's footage anew in which another face is wanted now."""
        for sibling, upload in looked_at(self.store, self.buckets, options):
            if upload.role == "face":
                with suppress(FileNotFoundError):  # taken away meanwhile
                    self._look_at(sibling, self.store.head(self.buckets.input, sibling.key))

    def _face(self, file: InputFile) -> FaceChoice:
        try:
            return read_options(self.store, self.buckets, file).face
        except RejectedInput:
            return Options().face  # pairing says so, and waits until they are mended

    def _is_known(self, file: InputFile, record: str, face: FaceChoice) -> bool:
        """Whether there is a record, and what it says was analysed is still there."""
        try:
            upload = documents.load(Upload, self.store.get(self.buckets.work, record))
        except FileNotFoundError:
            return False
        if upload.role == "face" and upload.digest != content_digest(upload.digest, face):
            return False
        keys = VoiceKeys if upload.role == "voice" else FootageKeys
        document = keys(file.tenant, upload.digest).document
        return upload.role == "refused" or self.store.exists(self.buckets.work, document)

    def _analyse(self, file: InputFile, entry: Entry, face: FaceChoice) -> Upload:
        if entry.size == 0:
            raise RejectedInput(Code.EMPTY_FILE, "The file has no content.")
        if entry.size > self.settings.max_bytes:
            raise RejectedInput(
                Code.TOO_LARGE,
                f"The file has {entry.size / 1e9:.1f} GB; the limit is "
                f"{self.settings.max_bytes / 1e9:.1f} GB.",
            )
        with self.cache.hold(self.store, self.buckets.input, file.key) as (path, sha256):
            kind = kind_of(path)
            role: Literal["voice", "face"] = "voice" if kind == "voice" else "face"
            digest = content_digest(sha256) if role == "voice" else content_digest(sha256, face)
            supersede_earlier(self.store, self.buckets, file, entry, digest)
            if kind == "voice":
                self._voice(file, path, sha256)
            else:
                self._footage(file, path, sha256, kind, face)
        return Upload(file.file, role, digest, None)

    def _voice(self, file: InputFile, path: Path, sha256: str) -> None:
        keys = VoiceKeys(file.tenant, content_digest(sha256))
        if self.store.exists(self.buckets.work, keys.document):
            return
        with self._analysis(file, "voice") as (folder, clock):
            voice = analyse_voice(
                path,
                sha256,
                folder,
                max_seconds=self.settings.max_seconds,
                progress=self.progress,
            )
            self.store.put(self.buckets.work, keys.samples, folder / "voice.wav")
            self.store.put(self.buckets.work, keys.sound, folder / "voice.m4a")
            voice = replace(voice, spent=clock.spent())
            self.store.put_new(self.buckets.work, keys.document, documents.dump(voice))

    def _footage(
        self,
        file: InputFile,
        path: Path,
        sha256: str,
        kind: Literal["video", "portrait"],
        face: FaceChoice,
    ) -> None:
        keys = FootageKeys(file.tenant, content_digest(sha256, face))
        if self.store.exists(self.buckets.work, keys.document):
            return
        with self._analysis(file, kind) as (folder, clock):
            keeper = _StoreKeeper(self.store, self.buckets.work, keys)
            if kind == "portrait":
                footage = analyse_portrait(
                    path, sha256, finder=self.finder, keeper=keeper, scratch=folder, face=face
                )
            else:
                footage = analyse_video(
                    path,
                    sha256,
                    finder=self.finder,
                    limits=self._limits(),
                    keeper=keeper,
                    scratch=folder,
                    progress=self.progress,
                    face=face,
                )
            footage = replace(footage, spent=clock.spent())
            self.store.put_new(self.buckets.work, keys.document, documents.dump(footage))

    def _limits(self) -> FootageLimits:
        chosen = self.settings
        return FootageLimits(
            chosen.max_seconds,
            chosen.max_rate,
            chosen.min_face_share,
            chosen.chunk_seconds,
            chosen.threads,
        )

    @contextmanager
    def _analysis(self, file: InputFile, kind: str) -> Iterator[tuple[Path, _Clock]]:
        clock = _Clock()
        with TemporaryDirectory(dir=self.scratch, prefix="ingest-") as folder:
            yield Path(folder), clock
        log.info("ingest.analysed", key=file.key, kind=kind, seconds=clock.spent().seconds)

    def _pair(self, file: InputFile, *, again: bool) -> None:
        """Plans the group's runs.

        A file that comes again makes those due that failed, were cancelled, or lost their video.
        """
        try:
            pairings = pair(self.store, self.buckets, file, self.settings)
        except RejectedInput as refusal:
            # Only the options can be refused here; the job waits until they are mended.
            options = InputFile(file.tenant, file.job, OPTIONS_FILE)
            self._refuse(options.error, options.key, refusal)
            return
        settle(self.store, self.buckets, file, pairings, again=again)

    def _refuse(self, error_key: str, key: str, refusal: RejectedInput) -> None:
        log.warning("ingest.refused", key=key, code=refusal.code.public, what=refusal.what)
        self.store.put(self.buckets.output, error_key, documents.dump(refusal.written(key)))


def kind_of(path: Path) -> Literal["voice", "video", "portrait"]:
    """What a file is, by its content.

    Raises:
        RejectedInput: neither sound, nor moving pictures, nor a portrait.
    """
    if is_portrait(path):
        return "portrait"
    with open_container(path) as container:
        if video_stream(container) is not None:
            return "video"
        if container.streams.audio:
            return "voice"
    raise RejectedInput(Code.NOT_MEDIA, "The file holds neither sound nor pictures.")


@dataclass(frozen=True)
class _StoreKeeper:
    """Puts the analysis of a footage into the work bucket; the document comes last, elsewhere."""

    store: Store
    bucket: str
    keys: FootageKeys

    def chunk(self, chunk: Chunk, windows: Path, track: Track) -> None:
        self.store.put_new(self.bucket, self.keys.window(chunk.index), windows)
        self.store.put_new(self.bucket, self.keys.track(chunk.index), track.dump())

    def frames(self, frames: FrameMap) -> None:
        self.store.put_new(self.bucket, self.keys.frames, frames.dump())

    def poster(self, jpeg: bytes) -> None:
        self.store.put_new(self.bucket, self.keys.poster, jpeg)
