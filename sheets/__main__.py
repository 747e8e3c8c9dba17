"""`make sheets`: every face with every voice, a contact sheet of each video, and what it measures.

    python -m sheets [--faces DIR] [--voices DIR] [--to DIR] [--seconds N] [--told]

Without folders a clip and a portrait that come with the demo speak the sample voice. Where a voice
has its phones beside it, as `VOICE.phones.json`, they are what a video is measured against; without
them it is what the ear hears.
"""

import argparse
import shutil
import subprocess
import sys
import wave
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

from demo.sample_face import clip, portrait
from functions import documents
from functions.check import FARTHEST
from functions.check_video import Listened, listen
from functions.encode.report import Report
from functions.ffmpeg_program import ffmpeg_path
from functions.infer.backends import OnnxRuntime
from functions.infer.ear import Ear
from functions.infer.manifest import DEFAULT_MODEL, find_model
from functions.ingest.face_models import find
from functions.ingest.faces import FaceFinder
from functions.logs import set_up
from functions.settings import CacheSettings, CheckSettings, LogSettings
from sheets.figures import COLUMNS, Subject, measure
from sheets.page import Shown, write_page
from sheets.sheet import draw
from sheets.workshop import Told, Workshop
from training.mouth_tracks import Segment, read_segments

TO = Path(__file__).parent / "made"
FACES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".jpg", ".jpeg", ".png", ".webp")
VOICES = (".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg")


@dataclass(frozen=True)
class Voice:
    """A recording, cut.

    Args:
        path: of what is left of it.
        seconds: it lasts.
        listened: for the ear.
        phones: what is said when, where somebody knows.
    """

    path: Path
    seconds: float
    listened: Listened
    phones: list[Segment] | None

    @property
    def wanted(self) -> Listened | tuple[list[Segment], float]:
        """What a video is measured against."""
        return (self.phones, self.seconds) if self.phones else self.listened


def main() -> int:
    """Makes and measures the videos; 1 where a face or voice was refused."""
    asked = _arguments()
    set_up(LogSettings(level="ERROR"))
    shutil.rmtree(asked.to, ignore_errors=True)
    asked.to.mkdir(parents=True)
    faces = _files(asked.faces, FACES) if asked.faces else _own_faces(asked.to)
    voices = _files(asked.voices, VOICES) if asked.voices else _own_voices()
    ear = Ear(OnnxRuntime().load(find_model(*DEFAULT_MODEL).file("ear.onnx")))
    finder = FaceFinder(find(CacheSettings().models))
    shown: list[Shown] = []
    refused: list[tuple[str, str]] = []
    print(*COLUMNS, sep="  ")
    for path in voices:
        voice = _voice(path, asked.to, asked.seconds, ear)
        ways = ("ear", "told") if asked.told and voice.phones else ("ear",)
        for face in faces:
            for by in ways:
                one = _made(voice, face, by, asked.to, finder, refused)
                if one:
                    print(*one.figures.cells, sep="  ", flush=True)
                    shown.append(one)
        write_page(asked.to, shown, refused)
    for name, why in refused:
        print(f"{name}: {why}", file=sys.stderr)
    print(asked.to / "index.html")
    return 1 if refused else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sheets")
    parser.add_argument("--faces", type=Path, help="a folder of videos and portraits")
    parser.add_argument("--voices", type=Path, help="a folder of recordings")
    parser.add_argument("--to", type=Path, default=TO, help="a folder, emptied first")
    parser.add_argument("--seconds", type=float, default=12, help="of each voice, at most")
    parser.add_argument(
        "--told", action="store_true", help="also tell the mouth the phones, where they are known"
    )
    return parser.parse_args()


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes)


def _own_faces(to: Path) -> list[Path]:
    folder = to / "faces"
    folder.mkdir()
    return [clip(folder / "astronaut.mp4"), portrait(folder / "portrait.png")]


def _own_voices() -> list[Path]:
    return [Path(str(files("functions") / "samples" / "voice.flac"))]


def _voice(path: Path, to: Path, seconds: float, ear: Ear) -> Voice:
    """The beginning of a recording."""
    folder = to / "voices"
    heard = folder / path.stem
    heard.mkdir(parents=True)
    cut = folder / f"{path.stem}.wav"
    command = [str(ffmpeg_path()), "-y", "-nostdin", "-v", "error", "-i", str(path.absolute())]
    subprocess.run([*command, "-t", str(seconds), str(cut)], check=True, timeout=600)
    with closing(wave.open(str(cut))) as file:
        lasts = file.getnframes() / file.getframerate()
    beside = path.with_name(f"{path.stem}.phones.json")
    phones = None
    if beside.exists():
        known = read_segments(beside)
        phones = [segment for segment in known if segment.start < lasts]
    return Voice(cut, lasts, listen(cut, ear, heard), phones)


def _made(
    voice: Voice,
    face: Path,
    by: str,
    to: Path,
    finder: FaceFinder,
    refused: list[tuple[str, str]],
) -> Shown | None:
    """A video, its sheet and figures; None where it was refused."""
    name = f"{voice.path.stem}-{face.stem}-{by}"
    video = to / f"{name}.mp4"
    # What is told and what is heard are one run to Koubo, so each has a folder of its own.
    workshop = Workshop((to / "data" / by).absolute())
    told = Told(voice.phones, voice.seconds) if by == "told" and voice.phones else None
    why = workshop.make(voice.path, face, video, told)
    if why:
        refused.append((name, why))
        return None
    report = documents.load(Report, video.with_suffix(".json").read_bytes())
    rate, sheet = Fraction(report.video.rate), video.with_suffix(".png")
    mouth = voice.listened.tracks(rate, report.video.frames)[FARTHEST:-FARTHEST]
    draw(video, face, report.face.frames, rate, mouth, finder, sheet)
    subject = Subject(video, face, report.label.frames, (face.stem, voice.path.stem, by))
    figures = measure(subject, rate, voice.wanted, finder, CheckSettings())
    return Shown(video, sheet, figures)


if __name__ == "__main__":
    sys.exit(main())
