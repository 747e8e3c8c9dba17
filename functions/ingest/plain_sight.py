"""Whether the mouth is in plain sight: no hand, microphone or hair before it, no profile.

Skin around a mouth looks much the same in all frames of a scene, but for how the head is turned.
What a frame shows there is compared with what this very footage shows at such a pose, so that a
beard or a scar is nothing unusual, while a finger is. Where the lips' colour is gone or the mesh is
far less sure of the face than usual, that counts too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from functions.ingest.mouth_view import SKIN_PLACES, View
from functions.ingest.track import TrackEntry

# What each of the four numbers of a place may change by without meaning anything.
_FLOOR = np.array([4.0, 1.5, 1.5, 4.0])
_FARTHEST = 8.0  # deviations; more says no more
# How often the median deviation one has that counts nothing for what is usual, and its limits.
_OUTLYING, _OUTLYING_LIMITS = 4.0, (3.0, 5.0)
_WORST = 20  # numbers of a frame by which that is judged
_WORST_SKIN, _WORST_LIPS = 5, 3  # places by which that is judged in the end
_ROUNDS = 6
_RIDGE = 0.02
_FEW = 12  # frames: of a scene of so many, places may deviate twice as much
# Of a pose's numbers. A mouth that hardly moves but for what comes before it must not have that
# explained by how it then seems to move.
_LEAST_SPREAD = np.array([1e-6] * 6 + [0.05, 0.05])
# Each alone may say that something is in the way. Talking presenters reached at most 0.92 of them
# for five frames; see docs/decisions/0019.
_LIMITS = (2.8, 2.6, 12.0)  # skin, lips, and by how much the mesh's logit fell
_HIDDEN, _STILL_HIDDEN = 0.95, 0.7
_BESIDE = 2  # frames on either side of which the median is taken, and that are hidden as well
_FEWEST = 40  # frames of a scene before anything is called unusual
_MOST_KEPT = 600
_SOME, _ALIKE = 0.25, 0.5  # of a new scene's frames so many no odder: the scene goes on


class PlainSight:
    """Takes the confidence from entries whose mouth is hidden, in order, some hundred at a time.

    What is usual is learned from the entries themselves and from a thinned-out memory of those
    before them in the same scene; a jump cut begins no new one. A scene of less than 40 frames is
    too short to tell.
    """

    def __init__(self) -> None:
        self.hidden = 0
        """Frames in which a face was seen and its mouth was not in plain sight."""
        self._scene = -1
        self._kept: list[View] = []
        self._every, self._passed = 1, 0

    def judge(self, entries: Sequence[TrackEntry]) -> list[TrackEntry]:
        """The entries, with confidence 0 where the mouth is hidden."""
        judged: list[TrackEntry] = []
        begin = 0
        for end in range(1, len(entries) + 1):
            if end == len(entries) or entries[end].scene != entries[begin].scene:
                judged += self._judge_scene(entries[begin:end])
                begin = end
        return judged

    def _judge_scene(self, entries: Sequence[TrackEntry]) -> list[TrackEntry]:
        views = [entry.view for entry in entries]
        seen = [one for one in views if one is not None]
        if entries[0].scene != self._scene:
            self._scene = entries[0].scene
            if not self._goes_on(seen):
                self._kept, self._every, self._passed = [], 1, 0
        hidden = np.zeros(len(entries), np.bool_)
        if len(self._kept) + len(seen) >= _FEWEST and seen:
            usual = Usual.learn(self._kept + seen)
            scores = np.array([0.0 if one is None else usual.oddness(one) for one in views])
            hidden = _widened(_reaching(_median(scores)))
        hidden |= np.array([one is not None and one.is_profile for one in views])
        self._keep(seen)
        gone = hidden & np.array([entry.confidence > 0 for entry in entries])
        self.hidden += int(gone.sum())
        return [
            replace(entry, confidence=0.0) if away else entry
            for entry, away in zip(entries, gone, strict=True)
        ]

    def _goes_on(self, seen: list[View]) -> bool:
        """Whether a new scene shows what the last one did: the cut was a jump cut."""
        if len(self._kept) < _FEWEST or not seen:
            return False
        usual = Usual.learn(self._kept)
        # Not all of them: it may be just after the cut that something comes before the mouth.
        return float(np.quantile([usual.oddness(one) for one in seen], _SOME)) < _ALIKE

    def _keep(self, views: list[View]) -> None:
        for one in views:
            if self._passed % self._every == 0:
                self._kept.append(one)
            self._passed += 1
        while len(self._kept) > _MOST_KEPT:
            self._kept = self._kept[::2]
            self._every *= 2


@dataclass(frozen=True, eq=False)
class Usual:
    """What a scene usually shows around the mouth, at every pose.

    Args:
        model: (8, 184), places from `View.pose` scaled by `centre` and `spread`.
        centre: (8,) subtracted from a pose.
        spread: (8,) by which it is then divided.
        scale: (184,) how much each number deviates.
        logit: the usual one.
    """

    model: NDArray[np.float64]
    centre: NDArray[np.float64]
    spread: NDArray[np.float64]
    scale: NDArray[np.float64]
    logit: float

    @staticmethod
    def learn(views: list[View]) -> "Usual":
        """A robust fit: frames that stand out lose their say, round by round."""
        places = np.stack([one.places.reshape(-1) for one in views]).astype(np.float64)
        poses = np.stack([one.pose for one in views]).astype(np.float64)
        centre, spread = poses.mean(axis=0), np.maximum(poses.std(axis=0), _LEAST_SPREAD)
        centre[0], spread[0] = 0.0, 1.0
        poses = (poses - centre) / spread
        ridge = _RIDGE * len(views) * np.diag([0.0] + [1.0] * (poses.shape[1] - 1))
        floor = np.tile(_FLOOR, places.shape[1] // len(_FLOOR))
        # At first as if the pose changed nothing: something that stays for a while stays at one
        # pose, which would explain it away.
        model = np.zeros((poses.shape[1], places.shape[1]))
        model[0] = np.median(places, axis=0)
        weights = np.ones(len(views))
        for turn in range(_ROUNDS):
            if turn:
                weighted = poses * weights[:, None]
                model = np.linalg.solve(weighted.T @ poses + ridge, weighted.T @ places)
            off = np.abs(places - poses @ model)
            scale = np.maximum(1.4826 * np.median(off, axis=0), floor)
            worst = np.sort(np.minimum(off / scale, _FARTHEST), axis=1)[:, -_WORST:].mean(axis=1)
            # Tukey's biweight: what is far out has no say at all, whatever its pose.
            limit = np.clip(_OUTLYING * np.median(worst), *_OUTLYING_LIMITS)
            weights = np.maximum(1e-3, 1 - (worst / limit) ** 2) ** 2
        # A fit follows the few frames that it is made of more closely than those that are to come.
        scale = scale * (1 + _FEW / len(views))
        return Usual(model, centre, spread, scale, float(np.median([one.logit for one in views])))

    def oddness(self, one: View) -> float:
        """How unusual a view is; about 1 is something before the mouth."""
        explained = ((one.pose - self.centre) / self.spread) @ self.model
        off = np.minimum(np.abs(one.places.reshape(-1) - explained) / self.scale, _FARTHEST)
        places = np.sqrt((off.reshape(one.places.shape) ** 2).mean(axis=1))
        skin, lips = np.sort(places[:SKIN_PLACES]), np.sort(places[SKIN_PLACES:])
        worst = skin[-_WORST_SKIN:].mean(), lips[-_WORST_LIPS:].mean()
        found = (*worst, self.logit - one.logit)
        return float(max(value / limit for value, limit in zip(found, _LIMITS, strict=True)))


def _median(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each score and its neighbours: one odd frame is the mesh's doing."""
    reach = range(len(scores))
    near = [scores[max(0, i - _BESIDE) : i + _BESIDE + 1] for i in reach]
    return np.array([np.median(part) for part in near])


def _reaching(scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Runs of odd frames that are very odd somewhere."""
    odd = np.concatenate([[False], scores > _STILL_HIDDEN, [False]])
    runs = np.flatnonzero(odd[1:] != odd[:-1]).reshape(-1, 2)
    reached = np.zeros(len(scores), np.bool_)
    for first, last in runs.tolist():
        reached[first:last] = scores[first:last].max() > _HIDDEN
    return reached


def _widened(flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    # "same" would be as long as the window where that is the longer one.
    return np.convolve(flags, np.ones(2 * _BESIDE + 1))[_BESIDE : _BESIDE + len(flags)] > 0
