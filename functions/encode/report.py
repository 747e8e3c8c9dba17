"""The report beside every video: what it was made of, by what, and how long each step took."""

from dataclasses import dataclass, replace
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from functions.analysis import Footage, Spent
from functions.check import Check, Tally, judge
from functions.errors import Code, RejectedInput
from functions.ffmpeg_program import ffmpeg_version
from functions.logs import logger
from functions.options import Options
from functions.patches import Served
from functions.plans import Model, Plan
from functions.settings import CheckSettings

log = logger()

_PACKAGES = ("koubo", "av", "numpy", "onnxruntime", "opencv-python-headless")


@dataclass(frozen=True)
class PartReport:
    """How one part was made: the content of `NNNN.part.json`.

    Args:
        index: of the segment.
        first: output frame.
        last: one past the last output frame.
        served: who rendered its patches.
        seconds: of wall time in encode.
        cpu_seconds: of processor time in encode, the encoder's process with it.
        bytes: of the part.
        labelled: its frames that carry the explicit label.
        tally: what the lip-sync check measured; the report has it for the whole video instead.
    """

    index: int
    first: int
    last: int
    served: Served
    seconds: float
    cpu_seconds: float
    bytes: int
    labelled: int
    tally: Tally | None = None


@dataclass(frozen=True)
class Input:
    """An input: where it was, and the SHA-256 of what it was."""

    key: str
    sha256: str


@dataclass(frozen=True)
class Face(Input):
    """The footage; `frames` and `rate` are its own, at its constant rate.

    `frames_with_mouth_hidden` are among those with a face, and stay as they are.
    """

    kind: Literal["video", "portrait"]
    frames: int
    rate: str
    frames_with_face: int
    frames_with_mouth_hidden: int
    decoder: str


@dataclass(frozen=True)
class Video:
    """The finished video; `rate` is a fraction, `seconds` is `frames / rate`."""

    key: str
    sha256: str
    bytes: int
    width: int
    height: int
    frames: int
    rate: str
    seconds: float


@dataclass(frozen=True)
class LabelReport:
    """The AI label.

    Args:
        explicit: what people read; empty where the operator switched it off.
        frames: that carry it.
        implicit: the `AIGC` metadata as written.
    """

    explicit: str
    frames: int
    implicit: str


@dataclass(frozen=True)
class StageTime:
    """Time that a stage took, all its segments together.

    Ingest's is what the analyses of voice and footage took when they were made, be it for this run
    or for an earlier one.
    """

    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Report:
    """The content of the `.json` beside the video."""

    run: str
    video: Video
    voice: Input
    voice_seconds: float
    face: Face
    model: Model
    licence: str
    options: Options
    label: LabelReport
    check: Check
    stages: dict[str, StageTime]
    segments: tuple[PartReport, ...]
    versions: dict[str, str]
    planned_at: float
    finished_at: float


def check_of(parts: tuple[PartReport, ...], limits: CheckSettings) -> Check:
    """What the segments' samples say of the whole video.

    Raises:
        RejectedInput: it doesn't pass, and the operator made that a gate.
    """
    tallies = [part.tally for part in parts if part.tally is not None]
    if len(tallies) < len(parts):
        return Check("unmeasured", ("infer had no face mesh to measure with",))
    check = judge(sum(tallies, Tally()), limits)
    if check.verdict == "failed":
        log.warning("encode.check_failed", why=check.why, r=check.r, lag=check.lag)
        if limits.gate:
            raise RejectedInput(Code.OUT_OF_SYNC, f"Lip sync: {'; '.join(check.why)}.")
    return check


def make_report(
    plan: Plan,
    footage: Footage,
    parts: tuple[PartReport, ...],
    *,
    video: Video,
    label: LabelReport,
    check: Check,
    analysed: Spent,
    assembly: StageTime,
    finished_at: float,
) -> Report:
    """Puts together what is known of a finished run."""
    served = [part.served for part in parts]
    stages = {
        "ingest": StageTime(analysed.seconds, analysed.cpu_seconds),
        "infer": StageTime(
            sum(each.seconds for each in served), sum(each.cpu_seconds for each in served)
        ),
        "encode": StageTime(
            sum(part.seconds for part in parts), sum(part.cpu_seconds for part in parts)
        ),
        "assemble": assembly,
    }
    return Report(
        run=plan.run,
        video=video,
        voice=Input(plan.voice.key, plan.voice.sha256),
        voice_seconds=plan.seconds,
        face=Face(
            plan.face.key,
            plan.face.sha256,
            kind=footage.kind,
            frames=footage.frames,
            rate=str(footage.rate),
            frames_with_face=footage.faces,
            frames_with_mouth_hidden=footage.hidden,
            decoder=footage.decoder,
        ),
        model=plan.model,
        # The default model may have stood in for some segments.
        licence=" AND ".join(dict.fromkeys(each.licence for each in served)),
        options=plan.options,
        label=label,
        check=check,
        stages=stages,
        segments=tuple(replace(part, tally=None) for part in parts),
        versions=versions(),
        planned_at=plan.made_at,
        finished_at=finished_at,
    )


def video_report(plan: Plan, footage: Footage, key: str, sha256: str, size: int) -> Video:
    """What the report says of the finished file."""
    rate: Fraction = plan.rate
    return Video(
        key,
        sha256,
        size,
        footage.width,
        footage.height,
        plan.frames,
        str(rate),
        round(float(plan.frames / rate), 6),
    )


def versions() -> dict[str, str]:
    """Of the programs and libraries that make the video, as far as they are installed here."""
    found = {"ffmpeg": ffmpeg_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            # The function's image has only what the function needs.
            continue
    return found
