"""The face's track through the footage: smoothed without delay in phase, its gaps filled.

A 3-tap Hanning window (1/4, 1/2, 1/4) takes the mesh's flutter away; it is symmetric, so nothing
lags. Where a neighbour is missing (the face was lost, the scene was cut, the footage ends) the
landmarks stay as they are: a lopsided window would shift a moving face.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from functions.ingest.faces import Face
from functions.ingest.mouth_view import View

LONGEST_GAP = 3
"""Frames that a blink of the tracker may last and still be bridged."""
GAP_CONFIDENCE = 0.3

_NEAR = 0.5  # of the face's size: how far it may move across a bridged gap
_ALIKE = 1.3  # how much its size may change


@dataclass(frozen=True, eq=False)
class TrackEntry:
    """The face in one frame.

    Args:
        landmarks: (468, 2) float32, frame pixels. In a gap of `LONGEST_GAP` frames at most those of
            the nearest frame with a face, in a longer one those of the last; None before the first
            face ever.
        confidence: 0..1; 0 where there is no face, `GAP_CONFIDENCE` at most where the landmarks
            are interpolated.
        view: of what surrounds the mouth; None where there is no face.
        scene: counts the footage's cuts.
    """

    landmarks: NDArray[np.float32] | None
    confidence: float
    view: View | None = None
    scene: int = 0


class TrackSmoother:
    """Turns faces, pushed frame by frame, into entries, one a frame and in order.

    It looks ahead by one frame, in a gap by `LONGEST_GAP` + 1, and holds no more than that.
    """

    def __init__(self) -> None:
        self._pending: deque[Face | None] = deque()
        # The frame just before the first pending one, when that has the same face.
        self._before: Face | None = None
        self._held: TrackEntry | None = None

    def push(self, face: Face | None) -> list[TrackEntry]:
        """Takes the next frame's face and gives the entries that are now certain."""
        self._pending.append(face)
        return self._drain(ended=False)

    def flush(self) -> list[TrackEntry]:
        """Gives the entries that are left; the smoother may then be used for another footage."""
        entries = self._drain(ended=True)
        self._before, self._held = None, None
        return entries

    def _drain(self, *, ended: bool) -> list[TrackEntry]:
        entries: list[TrackEntry] = []
        while self._pending:
            if self._pending[0] is not None:
                if len(self._pending) == 1 and not ended:
                    break
                entries.append(self._smoothed(self._pending[0]))
            else:
                filled = self._filled(ended=ended)
                if not filled:
                    break
                entries.extend(filled)
        return entries

    def _smoothed(self, face: Face) -> TrackEntry:
        self._pending.popleft()
        after = self._pending[0] if self._pending else None
        landmarks = face.landmarks
        if self._before is not None and face.followed and after is not None and after.followed:
            around = self._before.landmarks + after.landmarks
            landmarks = (face.landmarks * 0.5 + around * 0.25).astype(np.float32)
        self._before = face
        self._held = TrackEntry(landmarks, face.confidence, face.view, face.scene)
        return self._held

    def _filled(self, *, ended: bool) -> list[TrackEntry]:
        """Entries for the faceless frames in front; none while it is open how the gap ends."""
        gap = 0
        while gap < len(self._pending) and self._pending[gap] is None:
            gap += 1
        after = self._pending[gap] if gap < len(self._pending) else None
        before = self._held
        # Once a gap is longer than can be bridged, the held entry's confidence is 0.
        bridgeable = before is not None and before.confidence > 0 and gap <= LONGEST_GAP
        if bridgeable and after is None and not ended:
            return []
        for _ in range(gap):
            self._pending.popleft()
        self._before = None
        if before is None:
            return [TrackEntry(None, 0.0)] * gap
        if bridgeable and after is not None:
            return _bridge(before, after, gap)
        self._held = TrackEntry(before.landmarks, 0.0, scene=before.scene)
        return [self._held] * gap


def _bridge(before: TrackEntry, after: Face, gap: int) -> list[TrackEntry]:
    """Interpolates between two near faces; otherwise each frame holds the nearer one's."""
    assert before.landmarks is not None
    steps = [(i + 1) / (gap + 1) for i in range(gap)]
    if not _near(before.landmarks, after.landmarks):
        return [
            TrackEntry(before.landmarks, 0.0, scene=before.scene)
            if step <= 0.5
            else TrackEntry(after.landmarks, 0.0, scene=after.scene)
            for step in steps
        ]
    confidence = min(GAP_CONFIDENCE, before.confidence, after.confidence)
    moved = after.landmarks - before.landmarks
    return [
        TrackEntry(
            (before.landmarks + moved * step).astype(np.float32), confidence, scene=before.scene
        )
        for step in steps
    ]


def _near(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    sizes = [float(np.ptp(landmarks, axis=0).max()) for landmarks in (one, other)]
    move = float(np.linalg.norm(one.mean(axis=0) - other.mean(axis=0)))
    return move < _NEAR * min(sizes) and max(sizes) < _ALIKE * min(sizes)
