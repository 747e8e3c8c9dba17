"""Lip sync, measured from outside: landmarks on a finished video against what was said."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from functions.infer.mouth import LEFT_EYE, RIGHT_EYE
from functions.ingest.faces import FaceFinder, FaceFollower
from functions.media import open_video

LIPS_APART = ((13, 14), (82, 87), (312, 317))
"""Inner edge of the upper lip over that of the lower one: middle, and a little to both sides."""

Floats = NDArray[np.float64]


def aperture(video: Path, finder: FaceFinder, first: int = 0, last: int | None = None) -> Floats:
    """How far the lips are apart in each frame, in distances between the outer eye corners.

    Args:
        video: with one face in every frame.
        finder: finds it.
        first: frame to begin with.
        last: frame after the last one; to the end without it.
    """
    follower = FaceFollower(finder)
    found = []
    with open_video(video) as file:
        for index, (_, picture) in enumerate(file.pictures()):
            if last is not None and index >= last:
                break
            if index < first:
                continue
            face = follower.follow(picture, file.colour)
            assert face is not None, f"no face in frame {index}"
            gaps = [np.linalg.norm(face.landmarks[a] - face.landmarks[b]) for a, b in LIPS_APART]
            eyes = np.linalg.norm(face.landmarks[RIGHT_EYE] - face.landmarks[LEFT_EYE])
            found.append(float(np.mean(gaps) / eyes))
    return np.array(found)


@dataclass(frozen=True)
class Match:
    """How two tracks go together.

    Args:
        r: Pearson's correlation as they stand.
        lag: frames by which the first comes late, where they go together best.
    """

    r: float
    lag: float

    def __str__(self) -> str:
        return f"r {self.r:.3f}, lag {self.lag:+.2f} frames"


def match(seen: Floats, said: NDArray[np.floating], farthest: int = 10) -> Match:
    """Compares what is seen with what was said, both one value a frame."""
    count = min(len(seen), len(said))
    a, b = np.asarray(seen[:count]), np.asarray(said[:count], np.float64)
    lags = range(-farthest, farthest + 1)
    scores = [_correlation(a, b, lag) for lag in lags]
    best = int(np.argmax(scores))
    lag = float(lags[best])
    if 0 < best < len(scores) - 1:
        # The vertex of the parabola through the best score and its neighbours.
        before, top, after = scores[best - 1 : best + 2]
        lag += 0.5 * (before - after) / (before - 2 * top + after)
    return Match(scores[farthest], lag)


def _correlation(a: Floats, b: Floats, lag: int) -> float:
    late, early = (a[lag:], b[: len(b) - lag]) if lag >= 0 else (a[:lag], b[-lag:])
    return float(np.corrcoef(late, early)[0, 1])


def frame_times(video: Path) -> Iterator[Fraction]:
    """When each frame is shown, in seconds."""
    with open_video(video) as file:
        for pts, _ in file.pictures():
            yield pts * file.time_base
