"""Encode handles patches and parts: patches become a part, and the last part becomes the video."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from functions import documents, runs
from functions.analysis import Footage, FrameMap, Spent, Voice
from functions.encode.assemble import assemble, poster
from functions.encode.label import (
    TEXTS,
    Overlay,
    implicit_label,
    labelled_frames,
    render_label,
)
from functions.encode.report import (
    LabelReport,
    PartReport,
    Report,
    StageTime,
    make_report,
    video_report,
)
from functions.encode.segment import VideoFormat, compose, encode_segment
from functions.encode.settings import EncodeSettings, LabelSettings
from functions.encode.source import SourceFrames
from functions.errors import RetryableError
from functions.events import ObjectCreated
from functions.layout import FootageKeys, RunKeys, VoiceKeys, parse_run_object
from functions.logs import logger
from functions.patches import Patches
from functions.process import Finished
from functions.progress import Progress
from functions.runs import Done, Plan
from functions.settings import BucketSettings
from functions.storage import InputCache, Store

log = logger()

_POSTER_SECOND = 1
_HASH_CHUNK = 1 << 20


@dataclass(frozen=True)
class Encode:
    """The collaborators of encode's handler.

    Args:
        store: where everything is.
        buckets: their names.
        cache: for the footage's source.
        settings: limits of ffmpeg.
        labels: the operator's side of the AI label.
        scratch: a folder for files in the making.
        progress: told in frames of the segment.
    """

    store: Store
    buckets: BucketSettings
    cache: InputCache
    settings: EncodeSettings
    labels: LabelSettings
    scratch: Path
    progress: Progress

    def handle(self, event: ObjectCreated) -> None:
        """Handles new patches or a new part; anything else is none of encode's business.

        Raises:
            RetryableError: the event is to come again.
        """
        item = parse_run_object(event.key) if event.bucket == self.buckets.work else None
        if item is None or item.kind == "segment":
            return
        try:
            plan = runs.load_plan(self.store, event.bucket, RunKeys(item.tenant, item.run))
        except FileNotFoundError:
            log.info("encode.run_is_gone")
            return
        state = runs.read_state(self.store, event.bucket, plan.keys)
        if state.phase == "done":
            # Whoever finished the run may have been killed while tidying up.
            self._tidy(plan)
        if state.ended:
            return
        try:
            if item.kind == "patches":
                self._encode(plan, item.index)
            elif state.encoded >= plan.segments:
                self._assemble(plan)
        except FileNotFoundError as error:
            # Somebody else may have finished the run, and tidied up, while we worked.
            if not self._ended(plan):
                raise RetryableError(f"an object of the run is missing: {error}") from error

    def _encode(self, plan: Plan, index: int) -> None:
        keys, work, span = plan.keys, self.buckets.work, plan.segment(index)
        if self.store.exists(work, keys.part(index)):
            return
        wall, cpu = time.monotonic(), time.thread_time()
        patches = Patches.load(self.store.get(work, keys.patches(index)))
        if (patches.header.first, patches.header.last) != (span.start, span.stop):
            raise RetryableError(f"the patches of segment {index} are for other frames")
        with self._folder(plan) as folder:
            part = folder / f"{index:04d}.mp4"
            labelled, finished = self._encode_to(part, plan, patches)
            report = PartReport(
                index=index,
                first=span.start,
                last=span.stop,
                served=patches.header.served,
                seconds=round(time.monotonic() - wall, 3),
                cpu_seconds=round(time.thread_time() - cpu + finished.cpu_seconds, 3),
                bytes=part.stat().st_size,
                labelled=max(0, min(labelled, span.stop) - span.start),
            )
            self.store.put(work, keys.part_report(index), documents.dump(report))
            self.store.put_new(work, keys.part(index), part)
        log.info("encode.part_made", frames=len(span), seconds=report.seconds)

    def _encode_to(self, part: Path, plan: Plan, patches: Patches) -> tuple[int, Finished]:
        """Encodes a segment; returns how many frames of the video are labelled, too."""
        footage = self._footage(plan)
        map_key = FootageKeys(plan.group.tenant, plan.face.digest).frames
        frame_map = FrameMap.load(self.store.get(self.buckets.work, map_key))
        span = range(patches.header.first, patches.header.last)
        order = runs.source_frames(span, footage.frames, plan.options.loop)
        video = video_format(plan, footage)
        labelled, overlay = self._label(plan, video)
        with self._source(plan) as path:
            source = SourceFrames(
                path, footage, frame_map, part.parent, self.settings.scratch_bytes
            )
            finished = encode_segment(
                compose(source.pictures(order), patches, overlay, labelled, video),
                len(span),
                part,
                video,
                limits=self.settings.limits,
                on_progress=lambda done: self.progress(done, len(span)),
            )
        return labelled, finished

    def _assemble(self, plan: Plan) -> None:
        with self._folder(plan) as folder:
            self._assemble_in(folder, plan)
        self._tidy(plan)

    def _assemble_in(self, folder: Path, plan: Plan) -> None:
        work, output = self.buckets.work, self.buckets.output
        wall, cpu = time.monotonic(), time.thread_time()
        footage = self._footage(plan)
        parts = tuple(self._part_report(plan, index) for index in range(plan.segments))
        implicit = implicit_label(self.labels.producer, plan.run)
        video = self._join(plan, footage, folder, implicit)
        jpeg = poster(video, min(int(plan.rate * _POSTER_SECOND), plan.frames - 1))
        digest, size = _sha256(video), video.stat().st_size
        assembly = StageTime(round(time.monotonic() - wall, 3), round(time.thread_time() - cpu, 3))
        done = Done(
            run=plan.run,
            video=plan.group.output(plan.output, ".mp4"),
            poster=plan.group.output(plan.output, ".jpg"),
            report=plan.group.output(plan.output, ".json"),
            frames=plan.frames,
            finished_at=time.time(),
        )
        report = make_report(
            plan,
            footage,
            parts,
            video=video_report(plan, footage, done.video, digest, size),
            label=self._label_report(plan, parts, implicit),
            analysed=self._analysed(plan, footage),
            assembly=assembly,
            finished_at=done.finished_at,
        )
        if self._ended(plan):
            return
        if self._is_superseded(plan, done):
            log.warning("encode.superseded", video=done.video)
        else:
            self.store.put(output, done.video, video)
            self.store.put(output, done.poster, jpeg)
            self.store.put(output, done.report, documents.dump(report))
        self.store.put_new(work, plan.keys.done, documents.dump(done))
        log.info("encode.video_made", video=done.video, frames=plan.frames)

    def _is_superseded(self, plan: Plan, done: Done) -> bool:
        """Whether a later run of files with the same names has its video there already."""
        try:
            there = documents.load(Report, self.store.get(self.buckets.output, done.report))
        except (FileNotFoundError, RetryableError):
            return False  # none there, or no report of ours
        return there.planned_at > plan.made_at

    def _join(self, plan: Plan, footage: Footage, folder: Path, implicit: str) -> Path:
        work = self.buckets.work
        paths = []
        for index in range(plan.segments):
            path = folder / f"{index:04d}.mp4"
            self.store.download(work, plan.keys.part(index), path)
            paths.append(path)
        sound = folder / "voice.m4a"
        self.store.download(work, VoiceKeys(plan.group.tenant, plan.voice.digest).sound, sound)
        video = folder / "video.mp4"
        assemble(
            paths,
            sound,
            video,
            video_format(plan, footage),
            frames=plan.frames,
            metadata={"title": plan.output, "AIGC": implicit},
            limits=self.settings.limits,
        )
        return video

    def _label(self, plan: Plan, video: VideoFormat) -> tuple[int, Overlay | None]:
        """How many frames of the video carry the explicit label, and the label."""
        if not self.labels.shown_to(plan.group.tenant):
            log.warning("encode.explicit_label_off")
            return 0, None
        label = plan.options.label
        count = labelled_frames(label, self.labels.seconds, plan.rate, plan.frames)
        overlay = render_label(label, self.labels.corner, video.width, video.height, video.colour)
        return count, overlay

    def _label_report(
        self, plan: Plan, parts: tuple[PartReport, ...], implicit: str
    ) -> LabelReport:
        labelled = sum(part.labelled for part in parts)
        text = TEXTS[plan.options.label_language] if labelled else ""
        return LabelReport(explicit=text, frames=labelled, implicit=implicit)

    def _footage(self, plan: Plan) -> Footage:
        key = FootageKeys(plan.group.tenant, plan.face.digest).document
        return documents.load(Footage, self.store.get(self.buckets.work, key))

    def _analysed(self, plan: Plan, footage: Footage) -> Spent:
        key = VoiceKeys(plan.group.tenant, plan.voice.digest).document
        voice = documents.load(Voice, self.store.get(self.buckets.work, key))
        return Spent(
            round(voice.spent.seconds + footage.spent.seconds, 3),
            round(voice.spent.cpu_seconds + footage.spent.cpu_seconds, 3),
        )

    def _part_report(self, plan: Plan, index: int) -> PartReport:
        data = self.store.get(self.buckets.work, plan.keys.part_report(index))
        return documents.load(PartReport, data)

    @contextmanager
    def _source(self, plan: Plan) -> Iterator[Path]:
        """The uploaded footage, as it was when it was analysed."""
        with ExitStack() as held:
            hold = self.cache.hold(self.store, self.buckets.input, plan.face.key, plan.face.sha256)
            try:
                path, _ = held.enter_context(hold)
            except FileNotFoundError as error:
                raise RetryableError(
                    f"{plan.face.key} was taken away before its video was made; upload it again"
                ) from error
            yield path

    @contextmanager
    def _folder(self, plan: Plan) -> Iterator[Path]:
        with TemporaryDirectory(dir=self.scratch, prefix=f"encode-{plan.run}-") as folder:
            yield Path(folder)

    def _ended(self, plan: Plan) -> bool:
        state = runs.read_state(self.store, self.buckets.work, plan.keys)
        # A run without segments was removed while we worked.
        return state.ended or state.segments == 0

    def _tidy(self, plan: Plan) -> None:
        """Removes what only the making of the video needed; plan, segments and done stay."""
        reports = {plan.keys.part_report(index) for index in range(plan.segments)}
        for entry in list(self.store.entries(self.buckets.work, plan.keys.prefix)):
            item = parse_run_object(entry.key)
            if entry.key in reports or (item is not None and item.kind != "segment"):
                self.store.delete(self.buckets.work, entry.key)


def video_format(plan: Plan, footage: Footage) -> VideoFormat:
    """What all parts of a run have in common."""
    return VideoFormat(
        footage.width, footage.height, plan.rate, footage.colour, plan.options.quality
    )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_HASH_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
