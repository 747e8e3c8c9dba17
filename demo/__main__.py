"""`make demo`: starts the embedded default, drops a voice and two faces, shows what comes out."""

import json
import os
import shutil
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

from demo.sample_face import clip, portrait
from functions.settings import BucketSettings

OUT = Path(__file__).parent / "out"
DEADLINE = 600.0
VENV_KOUBO = Path(sys.executable).with_name("koubo")


def main() -> int:
    """Runs the demonstration; 0 when every output is there."""
    shutil.rmtree(OUT, ignore_errors=True)
    data, buckets = OUT / "data", BucketSettings()
    print("Making a face: a clip and a portrait of an astronaut (NASA, public domain).", flush=True)
    OUT.mkdir()
    faces = [clip(OUT / "astronaut.mp4"), portrait(OUT / "portrait.png")]
    command = [sys.executable, "-m", "functions.cli", "up", "--data", str(data)]
    environment = {**os.environ, "KOUBO_LOG_FILE": str(OUT / "koubo.log")}
    koubo = subprocess.Popen(command, env=environment)
    try:
        job = data / buckets.input / "default" / "demo"
        job.mkdir(parents=True)
        shutil.copy(str(files("functions") / "samples" / "voice.flac"), job / "voice.flac")
        for face in faces:
            shutil.copy(face, job / face.name)
        outputs = data / buckets.output / "default" / "demo"
        wanted = [outputs / f"voice-{face.stem}.mp4" for face in faces]
        return _wait(koubo, wanted, outputs)
    finally:
        koubo.terminate()
        koubo.wait(30)


def _wait(koubo: "subprocess.Popen[bytes]", wanted: list[Path], outputs: Path) -> int:
    """Waits for the reports, which are written after the videos, and prints what there is."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline and koubo.poll() is None:
        errors = list(outputs.glob("*.error.json"))
        if errors:
            error = json.loads(errors[0].read_text())
            print(f"{error['file']}: {error['what']} {error['fix']}")
            return 1
        if all(video.with_suffix(".json").exists() for video in wanted):
            _print(wanted)
            return 0
        time.sleep(0.2)
    why = "koubo ended too early" if koubo.poll() is not None else f"none after {DEADLINE:.0f} s"
    print(f"No videos: {why}; see {OUT / 'koubo.log'}, and `{VENV_KOUBO} doctor`")
    return 1


def _print(videos: list[Path]) -> None:
    for video in videos:
        report = json.loads(video.with_suffix(".json").read_text())
        size = "{width} x {height}, {frames} frames".format(**report["video"])
        print(f"\n{size}, made in {report['finished_at'] - report['planned_at']:.0f} s")
        for suffix, name in ((".mp4", "video"), (".jpg", "poster"), (".json", "report")):
            print(f"  {name:<7}{video.with_suffix(suffix)}")


if __name__ == "__main__":
    sys.exit(main())
