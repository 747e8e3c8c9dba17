"""What whole runs of the command cost, against a bare transcode, and whether memory stays flat."""

import json
import sys
from collections import Counter
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from bench.measure import Usage, run
from demo.sample_face import clip
from functions.ffmpeg_program import ffmpeg_path

SECONDS = 60
"""Of the clip whose costs are measured."""
SHORT, TIMES = 30, 10
"""Seconds of the short video whose memory is measured, and how many times as long the other is."""


@dataclass(frozen=True)
class Measured:
    """A run of Koubo, with the processor time of each stage from its log."""

    usage: Usage
    stages: dict[str, float]


def costs(work: Path) -> dict[str, object]:
    """Two voices with the same minute of 720p: ratios to a transcode of it, in the same run."""
    face = clip(work / "720p.mp4", SECONDS)
    voices = [voice(work / f"voice-{n}.wav", SECONDS, tempo) for n, tempo in enumerate((1, 1.1))]
    output = ("-c:v", "libx264", "-preset", "veryfast", "-an", str(work / "transcode.mp4"))
    transcode = run(_ffmpeg("-i", str(face), *output), work / "transcode.log", {})
    first = _koubo(work, "first", voices[0], face)
    second = _koubo(work, "second", voices[1], face)
    total = sum(first.stages.values())
    return {
        "cpu_ratio_to_transcode": round(first.usage.cpu / transcode.cpu, 3),
        "wall_over_duration": round(first.usage.wall / SECONDS, 3),
        "second_run_cpu_ratio": round(second.usage.cpu / first.usage.cpu, 3),
        "stage_share": {name: round(cpu / total, 3) for name, cpu in first.stages.items()},
    }


def memory(work: Path) -> dict[str, object]:
    """The largest worker's peak at 1080p, for two lengths of which the longer passes every bound.

    A bank looks at 3000 frames at most, a segment has some 8 seconds, a chunk of windows some 100
    frames, so at five minutes whatever still grows would be seen. The encoder works at its fastest:
    it is a program of its own, whose memory isn't counted here and only its time would be felt.
    """
    short = clip(work / "1080p.mp4", SHORT, (1920, 1080))
    long = work / "1080p-long.mp4"
    loop = ("-stream_loop", str(TIMES - 1), "-i", str(short), "-c", "copy", str(long))
    run(_ffmpeg(*loop), work / "loop.log", {})
    options = work / "koubo.toml"
    options.write_text('quality = "speed"\n')
    peaks: dict[str, object] = {}
    for name, face, seconds in (("30s", short, SHORT), ("5min", long, SHORT * TIMES)):
        said = voice(work / f"voice-{name}.wav", seconds, 1)
        measured = _koubo(work, name, said, face, "--options", str(options))
        peaks[f"peak_rss_mb_{name}"] = round(measured.usage.peak_worker_mb, 1)
    return peaks


def voice(to: Path, seconds: float, tempo: float) -> Path:
    """The sample voice over and over, so long and at another tempo."""
    sample = str(files("functions") / "samples" / "voice.flac")
    loop = ("-stream_loop", "-1", "-i", sample, "-af", f"atempo={tempo}")
    run(_ffmpeg(*loop, "-t", str(seconds), str(to)), to.with_suffix(".log"), {})
    return to


def _ffmpeg(*arguments: str) -> list[str]:
    return [str(ffmpeg_path()), "-y", "-nostdin", "-v", "error", *arguments]


def _koubo(work: Path, name: str, said: Path, face: Path, *options: str) -> Measured:
    """One run; all of a part keep their analyses in one place."""
    log = work / f"{name}.jsonl"
    command = [
        *(sys.executable, "-m", "functions.cli", "run", str(said), str(face)),
        *("-o", str(work / f"{name}.mp4"), "--data", str(work / "data"), *options),
    ]
    usage = run(command, work / f"{name}.log", {"KOUBO_LOG_FILE": str(log)})
    stages: Counter[str] = Counter()
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        if entry["event"] == "local.handled":
            stages[entry["function"]] += entry["cpu_seconds"]
    print(f"{name}: {usage}, stages {dict(stages)}", flush=True)
    return Measured(usage, dict(stages))
