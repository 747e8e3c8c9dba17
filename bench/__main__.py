"""`make bench`: costs against a bare transcode of the same clip, in the same run.

Every figure is a ratio or a peak, since the machines that this runs on are busy with other things.
"""

import compileall
import json
import shutil
import sys
from collections import Counter
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from bench.event_latency import measure as event_latencies
from bench.measure import Usage, run
from bench.minio_cost import measure as minio_cost
from bench.mouths import measure as mouth_costs
from bench.own_models import measure as own_models
from demo.sample_face import clip
from functions.ffmpeg_program import ffmpeg_path

WORK = Path(__file__).parent / "made"
RESULTS = Path(__file__).parent / "results.json"
SECONDS = 60
SHORT = 20


@dataclass(frozen=True)
class Measured:
    """A run of Koubo, with the processor time of each stage from its log."""

    usage: Usage
    stages: dict[str, float]


def main() -> int:
    """Measures, prints, and writes `bench/results.json`."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    # As pip does when it installs: else every process that is measured may compile itself anew.
    compileall.compile_dir(WORK.parents[1] / "functions", quiet=1)
    face = clip(WORK / "720p.mp4", SECONDS)
    voices = [_voice(WORK / f"voice-{n}.wav", SECONDS, tempo) for n, tempo in enumerate((1, 1.1))]
    transcode = run(
        [
            *_ffmpeg("-i", str(face)),
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-an",
            str(WORK / "transcode.mp4"),
        ],
        WORK / "transcode.log",
        {},
    )
    first = _koubo("first", voices[0], face, "shared")
    second = _koubo("second", voices[1], face, "shared")
    minute = _long(1)
    ten_minutes = _long(10)
    total = sum(first.stages.values())
    results = {
        "cpu_ratio_to_transcode": round(first.usage.cpu / transcode.cpu, 3),
        "wall_over_duration": round(first.usage.wall / SECONDS, 3),
        "second_run_cpu_ratio": round(second.usage.cpu / first.usage.cpu, 3),
        "peak_rss_mb_1min": round(minute.usage.peak_worker_mb, 1),
        "peak_rss_mb_10min": round(ten_minutes.usage.peak_worker_mb, 1),
        "stage_share": {name: round(cpu / total, 3) for name, cpu in first.stages.items()},
        **event_latencies(),
        **minio_cost(_voice(WORK / "short.wav", SHORT, 1), clip(WORK / "short.mp4", SHORT)),
        **own_models(WORK),
        **mouth_costs(),
    }
    print(json.dumps(results, indent=1))
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    shutil.rmtree(WORK)
    return 0


def _long(minutes: int) -> Measured:
    """A run of some minutes at 1080p; the footage is as long as the voice."""
    minute = WORK / "1080p.mp4"
    if not minute.exists():
        clip(minute, SECONDS, (1920, 1080))
    face = WORK / f"1080p-{minutes}.mp4"
    loop = ("-stream_loop", str(minutes - 1), "-i", str(minute), "-c", "copy", str(face))
    run(_ffmpeg(*loop), WORK / "loop.log", {})
    voice = _voice(WORK / f"voice-{minutes}min.wav", SECONDS * minutes, 1)
    measured = _koubo(f"{minutes}min", voice, face, f"{minutes}min")
    shutil.rmtree(WORK / f"{minutes}min")
    return measured


def _voice(to: Path, seconds: float, tempo: float) -> Path:
    """The sample voice over and over, so long and at another tempo."""
    sample = str(files("functions") / "samples" / "voice.flac")
    loop = ("-stream_loop", "-1", "-i", sample, "-af", f"atempo={tempo}")
    run(_ffmpeg(*loop, "-t", str(seconds), str(to)), WORK / "voice.log", {})
    return to


def _ffmpeg(*arguments: str) -> list[str]:
    return [str(ffmpeg_path()), "-y", "-nostdin", "-v", "error", *arguments]


def _koubo(name: str, voice: Path, face: Path, data: str) -> Measured:
    log = WORK / f"{name}.jsonl"
    command = [
        *(sys.executable, "-m", "functions.cli", "run", str(voice), str(face)),
        *("-o", str(WORK / f"{name}.mp4"), "--data", str(WORK / data)),
    ]
    usage = run(command, WORK / f"{name}.log", {"KOUBO_LOG_FILE": str(log)})
    stages: Counter[str] = Counter()
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        if entry["event"] == "local.handled":
            stages[entry["function"]] += entry["cpu_seconds"]
    print(f"{name}: {usage}, stages {dict(stages)}", flush=True)
    return Measured(usage, dict(stages))


if __name__ == "__main__":
    sys.exit(main())
