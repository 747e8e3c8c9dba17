"""The lip-sync check: whether the mouth that is seen does what the voice says.

What is seen is the lips' aperture, measured by landmarks; what is heard are the ear's tracks. Both
are put into sums that add up, so that a run's segments are measured wherever they are made, and
judged together. Nothing here needs a model or a picture.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from functions.check_evidence import Evidence, vertex
from functions.settings import CheckSettings

FARTHEST = 8
"""Frames by which a mouth may be late or early and still be measured."""

CLOSED = 0.02
"""Aperture under which lips are closed, in distances between the outer eye corners."""

_DUE = 0.5  # of the ear's `close`: from there on a closure is heard
_BESIDE = 1  # frames before and after a heard closure in which it still counts
_FEWEST_FRAMES = 20  # with fewer, a correlation says nothing
_FEWEST_CLOSURES = 4
_TELLING = 0.3  # correlation under which the best lag is an accident
# Grey levels: a source that flickers less does not speak, and one that does must flicker more.
# Talking presenters had 3 to 9, a gently moving still 1.5.
_STILL = 2.0

_UPPER, _LOWER = (13, 82, 312), (14, 87, 317)  # the inner lips: middle, and a little beside it
_CORNERS, _EYES = (61, 291), (33, 263)

Floats = NDArray[np.floating]


def aperture(landmarks: Floats) -> NDArray[np.float64]:
    """How far the lips are apart, (n,), in distances between the outer eye corners.

    Args:
        landmarks: (n, 468, 2), pixels, MediaPipe's numbering.
    """
    gaps = np.linalg.norm(landmarks[:, _UPPER] - landmarks[:, _LOWER], axis=2).mean(axis=1)
    return np.asarray(gaps / _eyes(landmarks), np.float64)


def width(landmarks: Floats) -> NDArray[np.float64]:
    """From corner to corner of the mouth, (n,), in distances between the outer eye corners.

    Args:
        landmarks: see `aperture`.
    """
    across = np.linalg.norm(landmarks[:, _CORNERS[1]] - landmarks[:, _CORNERS[0]], axis=1)
    return np.asarray(across / _eyes(landmarks), np.float64)


def _eyes(landmarks: Floats) -> Floats:
    eyes = np.linalg.norm(landmarks[:, _EYES[1]] - landmarks[:, _EYES[0]], axis=1)
    return np.asarray(np.maximum(eyes, 1.0))


@dataclass(frozen=True)
class Tally:
    """Sums over some frames of a video; tallies of other frames add to it.

    Args:
        frames: whose aperture was measured and compared with the voice.
        seen: sum of the apertures.
        seen_squared: sum of their squares.
        heard: sums of the heard openings, one for each lag from -`FARTHEST` to `FARTHEST` frames.
        heard_squared: sums of their squares.
        both: sums of the products of the two.
        closures_due: closures that are heard and were looked at.
        closures_made: those of them in which the lips are seen closed.
        flicker: sum of the mouth's second differences in time, grey levels.
        source_flicker: the same of the source's mouth in the same frames.
        sharpness: sum of the mouth's Laplacian, grey levels.
        source_sharpness: the same of the source's mouth in the same frames.
    """

    frames: int = 0
    seen: float = 0.0
    seen_squared: float = 0.0
    heard: tuple[float, ...] = (0.0,) * (2 * FARTHEST + 1)
    heard_squared: tuple[float, ...] = (0.0,) * (2 * FARTHEST + 1)
    both: tuple[float, ...] = (0.0,) * (2 * FARTHEST + 1)
    closures_due: int = 0
    closures_made: int = 0
    flicker: float = 0.0
    flickers: int = 0
    source_flicker: float = 0.0
    sharpness: float = 0.0
    source_sharpness: float = 0.0

    def __add__(self, other: "Tally") -> "Tally":
        def add(one: tuple[float, ...], two: tuple[float, ...]) -> tuple[float, ...]:
            return tuple(a + b for a, b in zip(one, two, strict=True))

        return Tally(
            self.frames + other.frames,
            self.seen + other.seen,
            self.seen_squared + other.seen_squared,
            add(self.heard, other.heard),
            add(self.heard_squared, other.heard_squared),
            add(self.both, other.both),
            self.closures_due + other.closures_due,
            self.closures_made + other.closures_made,
            self.flicker + other.flicker,
            self.flickers + other.flickers,
            self.source_flicker + other.source_flicker,
            self.sharpness + other.sharpness,
            self.source_sharpness + other.source_sharpness,
        )


def tally_sync(seen: Floats, places: NDArray[np.int64], heard: Floats) -> Tally:
    """How apertures go with a voice, at every lag.

    Args:
        seen: (n,) apertures.
        places: (n,) where in `heard` each one's own frame is; at least `FARTHEST` from both ends.
        heard: (m,) the ear's `open`, one a frame.
    """
    seen = np.asarray(seen, np.float64)
    # A mouth that is late by k frames shows what was heard k frames before.
    lags = np.arange(-FARTHEST, FARTHEST + 1)
    shifted = np.asarray(heard, np.float64)[places[None] - lags[:, None]]
    return Tally(
        frames=len(seen),
        seen=float(seen.sum()),
        seen_squared=float((seen**2).sum()),
        heard=_floats(shifted.sum(axis=1)),
        heard_squared=_floats((shifted**2).sum(axis=1)),
        both=_floats((shifted * seen).sum(axis=1)),
    )


def closures(close: Floats) -> list[tuple[int, int]]:
    """The closures that are heard, as frames [first, last), a frame of leeway on either side.

    Args:
        close: (n,) the ear's `close`, one a frame.
    """
    due = np.concatenate([[False], np.asarray(close) >= _DUE, [False]])
    edges = np.flatnonzero(due[1:] != due[:-1]).reshape(-1, 2)
    return [(max(0, a - _BESIDE), min(len(close), b + _BESIDE)) for a, b in edges.tolist()]


def tally_closures(seen: Floats, due: list[tuple[int, int]]) -> Tally:
    """Which closures are made.

    Args:
        seen: (n,) apertures, NaN where nothing could be measured.
        due: see `closures`; those of which a frame wasn't measured are left out.
    """
    looked_at = [seen[a:b] for a, b in due if np.isfinite(seen[a:b]).all()]
    made = sum(bool(part.min() <= CLOSED) for part in looked_at)
    return Tally(closures_due=len(looked_at), closures_made=made)


@dataclass(frozen=True)
class Check:
    """What was found, for people and for the gate.

    Args:
        verdict: `unmeasured` where too little could be seen or heard to tell.
        why: what fell short, or why nothing could be told; empty where all is well.
        frames: that were looked at.
        r: correlation of the lips' aperture with what the voice says.
        lag: frames by which the mouth comes late; None where it can't be told.
        closures_due: lips that the voice closes, such as at p, b and m.
        closures_made: those at which they are seen closed.
        flicker: of the mouth, as a multiple of the source's own; None where that does not speak.
        sharpness: of the mouth, as a multiple of the source's; None without a source.
        confidence: how far mouth and voice going together stands out from chance, in deviations;
            None in a report, which sees a sample, and of a video that is too short.
    """

    verdict: Literal["passed", "failed", "unmeasured"]
    why: tuple[str, ...]
    frames: int = 0
    r: float | None = None
    lag: float | None = None
    closures_due: int = 0
    closures_made: int = 0
    flicker: float | None = None
    sharpness: float | None = None
    confidence: float | None = None


def judge(
    tally: Tally, limits: CheckSettings, evidence: Evidence | None = None, *, made: bool = True
) -> Check:
    """Judges what was measured by the operator's limits.

    Args:
        tally: what was measured.
        limits: what passes.
        evidence: whether mouth and voice go together better than with chance, where it is known.
        made: the mouth was made to follow the voice, so all limits hold. People as they were filmed
            need only say what is heard, and when it is heard.
    """
    scores = _scores(tally)
    if scores is None:
        return Check("unmeasured", ("too little mouth or voice to compare",), tally.frames)
    r, lag = scores[FARTHEST], _lag(scores)
    if evidence is not None and r < limits.min_r and evidence.confidence >= limits.min_confidence:
        lag = evidence.lag
    found = _found(tally, r, lag, evidence)
    if made:
        why = _made_short(found, limits)
    elif r >= limits.min_r or (found.confidence or 0) >= limits.min_confidence:
        why = _late(found, limits)
    elif evidence is None or not evidence.is_enough:
        return replace(found, why=("too short to tell it from chance",))
    elif evidence.confidence >= limits.chance_confidence:
        says = f"confidence {evidence.confidence:.1f}, below {limits.min_confidence:.1f}"
        return replace(found, why=(f"too little to tell it from chance: {says}",))
    else:
        says = f"confidence {evidence.confidence:.1f}, below {limits.chance_confidence:.1f}"
        why = [f"mouth and voice go together as by chance: {says}"]
    return replace(found, verdict="failed" if why else "passed", why=tuple(why))


def _found(tally: Tally, r: float, lag: float | None, evidence: Evidence | None) -> Check:
    flicker = sharpness = None
    if tally.source_flicker > _STILL * tally.flickers:
        flicker = round(tally.flicker / tally.source_flicker, 3)
    if tally.source_sharpness > 0:
        sharpness = round(tally.sharpness / tally.source_sharpness, 3)
    return Check(
        "unmeasured",
        (),
        tally.frames,
        round(r, 3),
        None if lag is None else round(lag, 2),
        tally.closures_due,
        tally.closures_made,
        flicker,
        sharpness,
        None if evidence is None else round(evidence.confidence, 2),
    )


def _made_short(found: Check, limits: CheckSettings) -> list[str]:
    """What a mouth that was made to follow its voice falls short of."""
    why = _late(found, limits)
    if found.r is not None and found.r < limits.min_r:
        why.insert(0, f"r is {found.r:.2f}, below {limits.min_r:.2f}")
    due, made = found.closures_due, found.closures_made
    if due >= _FEWEST_CLOSURES and made < limits.min_closures * due:
        why.append(f"{made} of {due} closures are made, below {limits.min_closures:.0%}")
    if found.flicker is not None and found.flicker > limits.max_flicker:
        most = limits.max_flicker
        why.append(f"flicker is {found.flicker:.2f} times the source's, above {most:.2f}")
    if found.sharpness is not None and found.sharpness < limits.min_sharpness:
        least = limits.min_sharpness
        why.append(f"sharpness is {found.sharpness:.2f} times the source's, below {least:.2f}")
    return why


def _late(found: Check, limits: CheckSettings) -> list[str]:
    if found.lag is None or abs(found.lag) <= limits.max_lag:
        return []
    return [f"the mouth is off by {found.lag:+.1f} frames, more than {limits.max_lag:.1f}"]


def _scores(tally: Tally) -> list[float] | None:
    """Pearson's correlation at each lag; None where one side hardly varies."""
    count = tally.frames
    if count < _FEWEST_FRAMES:
        return None
    spread = tally.seen_squared - tally.seen**2 / count
    scores = []
    for heard, squared, both in zip(tally.heard, tally.heard_squared, tally.both, strict=True):
        heard_spread = squared - heard**2 / count
        # An hour's sums are rounded to some 1e-10; a mouth that speaks spreads by far more.
        if min(spread, heard_spread) < 1e-6 * count:
            return None
        scores.append((both - tally.seen * heard / count) / float(np.sqrt(spread * heard_spread)))
    return scores


def _lag(scores: list[float]) -> float | None:
    best = int(np.argmax(scores))
    if scores[best] < _TELLING:
        return None
    return vertex(np.array(scores), best)


def _floats(values: Floats) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
