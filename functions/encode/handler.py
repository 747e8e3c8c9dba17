"""Encode handles patches and parts: patches become a part, and the last part becomes the video."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from functions import documents, runs
from functions.analysis import Footage, FrameMap
from functions.encode.completion import Completion, video_format
from functions.encode.label import (
    Overlay,
    labelled_frames,
    render_label,
)
from functions.encode.report import (
    PartReport,
)
from functions.encode.segment import VideoFormat, compose, encode_segment
from functions.encode.settings import EncodeSettings, LabelSettings
from functions.encode.source import SourceFrames
from functions.errors import Code, RejectedInput, ReplacedInputError, RetryableError
from functions.events import ObjectCreated
from functions.input_cache import InputCache
from functions.layout import FootageKeys, RunKeys, parse_run_object
from functions.logs import logger
from functions.patches import Patches
from functions.plans import Plan, load_plan, source_frames
from functions.process import Finished
from functions.progress import Progress
from functions.settings import BucketSettings, CheckSettings
from functions.standing import look_again, standing, twin_of
from functions.storage import Store

log = logger()


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
        checks: what the lip-sync check demands.
    """

    store: Store
    buckets: BucketSettings
    cache: InputCache
    settings: EncodeSettings
    labels: LabelSettings
    scratch: Path
    progress: Progress
    checks: CheckSettings = field(default_factory=CheckSettings)

    def handle(self, event: ObjectCreated) -> None:
        """Handles new patches or a new part; anything else is none of encode's business.

        A run whose inputs were replaced ends as superseded, quietly: theirs is another run.

        Raises:
            RejectedInput: an input was taken away.
            RetryableError: the event is to come again.
        """
        item = parse_run_object(event.key) if event.bucket == self.buckets.work else None
        if item is None or item.kind == "segment":
            return
        try:
            plan = load_plan(self.store, event.bucket, RunKeys(item.tenant, item.run))
        except FileNotFoundError:
            log.info("encode.run_is_gone")
            return
        state = runs.read_state(self.store, event.bucket, plan.keys)
        if state.phase in ("done", "superseded"):
            # Whoever ended the run may have been killed while tidying up.
            self._tidy(plan)
        whole = state.encoded >= plan.segments
        due = item.kind == "patches" or whole
        if state.ended or not due or not self._stands(plan, whole=whole):
            return
        try:
            if item.kind == "patches":
                self._encode(plan, item.index)
            else:
                self._assemble(plan)
        except ReplacedInputError:
            # Sooner noticed than by ingest, whose event is on its way.
            self._supersede(plan, plan.face.key)
        except FileNotFoundError as error:
            # Somebody else may have finished the run, and tidied up, while we worked.
            if not self._ended(plan):
                raise RetryableError(f"an object of the run is missing: {error}") from error

    def _stands(self, plan: Plan, *, whole: bool) -> bool:
        """Whether the run's inputs are as they were when it was planned, or it has ended by that.

        A run that is whole but for the assembly needs its inputs no more.
        """
        sources = (plan.voice, plan.face)
        found = [(source, standing(self.store, self.buckets, source)) for source in sources]
        for source in (source for source, how in found if how == "gone" and not whole):
            twin = twin_of(self.store, self.buckets, source)
            if twin is None:
                raise _taken_away(source.key)
            # Planned under another name the run goes on, which ingest sees to.
            self._supersede(plan, source.key)
            look_again(self.store, self.buckets, twin)
            return False
        for source in (source for source, how in found if how == "replaced"):
            self._supersede(plan, source.key)
            return False
        return True

    def _supersede(self, plan: Plan, key: str | None, by: str | None = None) -> None:
        runs.supersede(self.store, self.buckets.work, plan.keys, time.time(), key=key, by=by)
        if key is not None:
            look_again(self.store, self.buckets, key)
        self._tidy(plan)

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
                tally=patches.header.tally,
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
        order = source_frames(span, footage.frames, plan.options.loop)
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
            completion = Completion(
                self.store, self.buckets, self.settings, self.labels, self.checks
            )
            outputs = completion.make(plan, self._footage(plan), folder)
            if self._ended(plan):
                return
            later = completion.later_run(plan, outputs.done)
            if later is not None:
                self._supersede(plan, None, later)
                return
            completion.put(plan, outputs)
        self._tidy(plan)

    def _label(self, plan: Plan, video: VideoFormat) -> tuple[int, Overlay | None]:
        """How many frames of the video carry the explicit label, and the label."""
        if not self.labels.shown_to(plan.group.tenant):
            log.warning("encode.explicit_label_off")
            return 0, None
        label = plan.options.label
        count = labelled_frames(label, self.labels.seconds, plan.rate, plan.frames)
        overlay = render_label(label, self.labels.corner, video.width, video.height, video.colour)
        return count, overlay

    def _footage(self, plan: Plan) -> Footage:
        key = FootageKeys(plan.group.tenant, plan.face.digest).document
        return documents.load(Footage, self.store.get(self.buckets.work, key))

    @contextmanager
    def _source(self, plan: Plan) -> Iterator[Path]:
        """The uploaded footage, as it was when it was analysed."""
        with ExitStack() as held:
            hold = self.cache.hold(self.store, self.buckets.input, plan.face.key, plan.face.sha256)
            try:
                path, _ = held.enter_context(hold)
            except FileNotFoundError as error:
                raise _taken_away(plan.face.key) from error
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


def _taken_away(key: str) -> RejectedInput:
    return RejectedInput(Code.TAKEN_AWAY, f"{key} was taken away before its video was made.")
