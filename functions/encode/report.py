"""The report beside every video: what it was made of, by what, and how long each step took."""

from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from functions.analysis import Footage, Spent
from functions.ffmpeg_program import ffmpeg_version
from functions.options import Options
from functions.patches import Served
from functions.plans import Model, Plan

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
    """

    index: int
    first: int
    last: int
    served: Served
    seconds: float
    cpu_seconds: float
    bytes: int
    labelled: int


@dataclass(frozen=True)
class Input:
    """An input: where it was, and the SHA-256 of what it was."""

    key: str
    sha256: str


@dataclass(frozen=True)
class Face(Input):
    """The footage; `frames` and `rate` are its own, at its constant rate."""

    kind: Literal["video", "portrait"]
    frames: int
    rate: str
    frames_with_face: int
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
    stages: dict[str, StageTime]
    segments: tuple[PartReport, ...]
    versions: dict[str, str]
    planned_at: float
    finished_at: float


def make_report(
    plan: Plan,
    footage: Footage,
    parts: tuple[PartReport, ...],
    *,
    video: Video,
    label: LabelReport,
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
            decoder=footage.decoder,
        ),
        model=plan.model,
        # The default model may have stood in for some segments.
        licence=" AND ".join(dict.fromkeys(each.licence for each in served)),
        options=plan.options,
        label=label,
        stages=stages,
        segments=parts,
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
