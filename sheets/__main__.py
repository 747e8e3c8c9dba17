"""`make sheets`: every face with every voice, and a contact sheet of each video.

    python -m sheets [--faces DIR] [--voices DIR] [--to DIR] [--seconds N]

Without folders a clip and a portrait that come with the demo speak the sample voices.
"""

import argparse
import html
import json
import shutil
import subprocess
import sys
import wave
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from demo.sample_face import clip, portrait
from functions.ffmpeg_program import ffmpeg_path
from functions.infer.backends import OnnxRuntime
from functions.infer.ear import Ear
from functions.infer.manifest import DEFAULT_MODEL, find_model
from functions.ingest.face_models import find
from functions.ingest.faces import FaceFinder
from functions.ingest.voice import analyse_voice
from functions.plans import source_frames
from functions.progress import silent
from functions.settings import CacheSettings
from sheets.moments import Tracks, moments, strip
from sheets.tiles import FACE, MOUTH, Rgb, cut, grid, places, stacked

TO = Path(__file__).parent / "made"
FACES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".jpg", ".jpeg", ".png", ".webp")
VOICES = (".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg")
RUN_SECONDS = 3600
_FACE, _TILE, _ROW = 256, 128, 12


@dataclass(frozen=True)
class Made:
    """A finished video and what it was made of."""

    voice: Path
    face: Path
    video: Path

    @property
    def report(self) -> dict[str, object]:
        """Koubo's report of it."""
        report: dict[str, object] = json.loads(self.video.with_suffix(".json").read_text("utf-8"))
        return report


def main() -> int:
    """Makes the videos, the sheets and `index.html`; 1 where a face or voice was refused."""
    asked = _arguments()
    shutil.rmtree(asked.to, ignore_errors=True)
    asked.to.mkdir(parents=True)
    faces = _files(asked.faces, FACES) if asked.faces else _own_faces(asked.to)
    voices = _files(asked.voices, VOICES) if asked.voices else _own_voices()
    finder = FaceFinder(find(CacheSettings().models))
    ear = Ear(OnnxRuntime().load(find_model(*DEFAULT_MODEL).file("ear.onnx")))
    sheets, refused = [], 0
    for voice in voices:
        cut_voice = _cut(voice, asked.to, asked.seconds)
        made = _videos(cut_voice, faces, asked.to)
        refused += len(faces) - len(made)
        for one in made:
            picture = one.video.with_suffix(".png")
            _sheet(one, ear, finder, picture)
            print(picture, flush=True)
            sheets.append((one, picture))
    _index(asked.to / "index.html", sheets)
    print(asked.to / "index.html")
    return 1 if refused else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sheets")
    parser.add_argument("--faces", type=Path, help="a folder of videos and portraits")
    parser.add_argument("--voices", type=Path, help="a folder of recordings")
    parser.add_argument("--to", type=Path, default=TO, help="a folder, emptied first")
    parser.add_argument("--seconds", type=float, default=12, help="of each voice, at most")
    return parser.parse_args()


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes)


def _own_faces(to: Path) -> list[Path]:
    folder = to / "faces"
    folder.mkdir()
    return [clip(folder / "astronaut.mp4"), portrait(folder / "portrait.png")]


def _own_voices() -> list[Path]:
    return [Path(str(files("functions") / "samples" / "voice.flac"))]


def _cut(voice: Path, to: Path, seconds: float) -> Path:
    """The beginning of a recording."""
    folder = to / "voices"
    folder.mkdir(exist_ok=True)
    cut_voice = folder / f"{voice.stem}.wav"
    command = [str(ffmpeg_path()), "-y", "-nostdin", "-v", "error", "-i", str(voice.absolute())]
    subprocess.run([*command, "-t", str(seconds), str(cut_voice)], check=True, timeout=600)
    return cut_voice


def _videos(voice: Path, faces: list[Path], to: Path) -> list[Made]:
    """What Koubo makes of a voice and all faces; faces that it refuses are left out."""
    folder = to / voice.stem
    folder.mkdir()
    made = []
    for face in faces:
        video = folder / f"{face.stem}.mp4"
        command = [sys.executable, "-m", "functions.cli", "run", str(voice), str(face)]
        command += ["-o", str(video), "--data", str(to / "data")]
        done = subprocess.run(command, check=False, timeout=RUN_SECONDS)
        if done.returncode == 0:
            made.append(Made(voice, face, video))
    return made


def _sheet(made: Made, ear: Ear, finder: FaceFinder, to: Path) -> None:
    """Writes a sheet: the moments above, the strip below."""
    report = made.report
    rate = Fraction(report["video"]["rate"])  # type: ignore[index]  # JSON
    shown_in = report["face"]["frames"]  # type: ignore[index]
    mouth = _hear(made.voice, ear, rate, report["video"]["frames"])  # type: ignore[index]
    picked, row = moments(mouth), strip(mouth)
    wanted = {moment.frame for moment in picked} | set(row)
    landmarks = places(made.video, rate, wanted, finder)
    own = {frame: frame for frame in wanted}
    source = dict(zip(range(len(mouth)), source_frames(range(len(mouth)), shown_in, "pingpong")))  # noqa: B905 -- both are as long as the video

    def rows(framing: tuple[float, float], size: int) -> tuple[dict[int, Rgb], dict[int, Rgb]]:
        before = cut(made.face, rate, landmarks, source, framing, size)
        return before, cut(made.video, rate, landmarks, own, framing, size)

    before, after = rows(FACE, _FACE)
    frames = [moment.frame for moment in picked]
    captions = [f"{moment.what}, frame {moment.frame}" for moment in picked]
    parts = [grid([[one.get(f) for f in frames] for one in (before, after)], captions, _FACE)]
    before, after = rows(MOUTH, _TILE)
    for first in range(0, len(row), _ROW):
        frames = list(row)[first : first + _ROW]
        tiles = [[one.get(f) for f in frames] for one in (before, after)]
        parts.append(grid(tiles, [str(frame) for frame in frames], _TILE))
    stacked(parts).save(to)


def _hear(voice: Path, ear: Ear, rate: Fraction, frames: int) -> Tracks:
    """What the mouth should do in every frame."""
    with TemporaryDirectory() as folder:
        heard = analyse_voice(voice, "", Path(folder), max_seconds=1e6, progress=silent)
        with wave.open(str(Path(folder) / "voice.wav")) as file:
            data = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    samples = data.astype(np.float32) * np.float32(1 / 32768)
    return ear.hear(samples, rate, 0, frames, level=heard.level)


def _index(to: Path, sheets: list[tuple[Made, Path]]) -> None:
    """Writes a page with every sheet, its video and what the lip-sync check found."""
    lines = ["<!doctype html><meta charset=utf-8><title>Contact sheets</title>"]
    lines.append("<style>body{font-family:sans-serif}img{max-width:100%}</style>")
    for made, picture in sheets:
        name = html.escape(f"{made.face.stem}, {made.voice.stem}")
        found = html.escape(json.dumps(made.report["check"], ensure_ascii=False))
        video, image = (path.relative_to(to.parent).as_posix() for path in (made.video, picture))
        lines.append(f'<h2><a href="{html.escape(video)}">{name}</a></h2><p>{found}</p>')
        lines.append(f'<img src="{html.escape(image)}" alt="{name}">')
    to.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
