"""Clean clips on disk: speaking them takes longer than anything that is done with them later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np

from training import speech
from training.mouth_tracks import Segment
from training.speech import Speech

__all__ = ["clips"]

SHORTEST: Final = 1.0  # seconds
SHARD: Final = 20  # clips a file


def clips(source: str, seconds: float, folder: Path) -> list[Speech]:
    """Return so many seconds of a source's clips, spoken now or read from the folder.

    Args:
        source: a name in `training.speech.SOURCES`.
        seconds: at least so many.
        folder: where each `SHARD` clips are kept.
    """
    found: list[Speech] = []
    number = 0
    while sum(clip.seconds for clip in found) < seconds:
        path = folder / f"{source}-{number:05d}.npz"
        if not path.exists():
            spoken = [speech.of(source, number + index) for index in range(SHARD)]
            _write(path, [clip for clip in spoken if clip.seconds >= SHORTEST])
            print(f"{source}: {number + SHARD} clips", flush=True)
        found += _read(path)
        number += SHARD
    return found


def _write(path: Path, spoken: list[Speech]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = np.concatenate([clip.samples for clip in spoken])
    said = [[clip.voice, len(clip.samples), clip.segments] for clip in spoken]
    unfinished = path.with_suffix(".part.npz")
    np.savez(
        unfinished,
        samples=np.round(np.clip(whole, -1, 1) * 32767).astype(np.int16),
        said=np.array(json.dumps(said)),
    )
    unfinished.rename(path)


def _read(path: Path) -> list[Speech]:
    with np.load(path) as stored:
        samples = stored["samples"].astype(np.float32) / np.float32(32767)
        said = json.loads(str(stored["said"]))
    found, start = [], 0
    for voice, count, segments in said:
        found.append(
            Speech(samples[start : start + count], [Segment(*row) for row in segments], voice)
        )
        start += count
    return found
