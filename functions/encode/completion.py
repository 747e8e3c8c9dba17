"""A run whose last part is there becomes its video, poster and report."""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from functions import documents
from functions.analysis import Footage, Spent, Voice
from functions.encode.assemble import assemble, poster
from functions.encode.label import TEXTS, implicit_label
from functions.encode.report import (
    LabelReport,
    PartReport,
    Report,
    StageTime,
    check_of,
    make_report,
    video_report,
)
from functions.encode.segment import VideoFormat
from functions.encode.settings import EncodeSettings, LabelSettings
from functions.errors import RetryableError
from functions.layout import VoiceKeys
from functions.logs import logger
from functions.plans import Plan
from functions.runs import Done
from functions.settings import BucketSettings, CheckSettings
from functions.storage import Store

log = logger()

_POSTER_SECOND = 1
_HASH_CHUNK = 1 << 20


@dataclass(frozen=True)
class Outputs:
    """What a run has come to, before it is put anywhere.

    Args:
        video: a file.
        poster: a JPEG.
        report: how the video was made.
        done: where all of it belongs.
    """

    video: Path
    poster: bytes
    report: Report
    done: Done


@dataclass(frozen=True)
class Completion:
    """Makes a run's outputs of its parts.

    Args:
        store: where everything is.
        buckets: their names.
        settings: limits of ffmpeg.
        labels: the operator's side of the AI label.
        checks: what the lip-sync check demands.
    """

    store: Store
    buckets: BucketSettings
    settings: EncodeSettings
    labels: LabelSettings
    checks: CheckSettings

    def make(self, plan: Plan, footage: Footage, folder: Path) -> Outputs:
        """Joins a run's parts, in a folder for files in the making; nothing is put anywhere.

        Raises:
            FileNotFoundError: an object of the run is missing.
            RejectedInput: the lip-sync check failed, and the operator made that a gate.
            RetryableError: the store or ffmpeg failed.
        """
        wall, cpu = time.monotonic(), time.thread_time()
        parts = tuple(self._part_report(plan, index) for index in range(plan.segments))
        check = check_of(parts, self.checks)
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
            check=check,
            analysed=self._analysed(plan, footage),
            assembly=assembly,
            finished_at=done.finished_at,
        )
        return Outputs(video, jpeg, report, done)

    def put(self, plan: Plan, outputs: Outputs) -> None:
        """Puts video, poster and report at the output, and last that the run is done."""
        output, done = self.buckets.output, outputs.done
        # An earlier run of the same names may have left it.
        self.store.delete(output, plan.group.output(plan.output, ".error.json"))
        self.store.put(output, done.video, outputs.video)
        self.store.put(output, done.poster, outputs.poster)
        self.store.put(output, done.report, documents.dump(outputs.report))
        self.store.put_new(self.buckets.work, plan.keys.done, documents.dump(done))
        log.info("encode.video_made", video=done.video, frames=plan.frames)

    def later_run(self, plan: Plan, done: Done) -> str | None:
        """The later run of files with the same names that has its video there already."""
        try:
            there = documents.load(Report, self.store.get(self.buckets.output, done.report))
        except (FileNotFoundError, RetryableError):
            return None  # none there, or no report of ours
        return there.run if there.planned_at > plan.made_at else None

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

    def _label_report(
        self, plan: Plan, parts: tuple[PartReport, ...], implicit: str
    ) -> LabelReport:
        labelled = sum(part.labelled for part in parts)
        text = TEXTS[plan.options.label_language] if labelled else ""
        return LabelReport(explicit=text, frames=labelled, implicit=implicit)

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
