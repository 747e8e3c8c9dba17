"""Where the face is in each footage frame, as steady as the head itself.

Everything is smoothed along the footage, not along the output: a frame has one crop however often,
in which direction and in which segment it is shown.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from functions.analysis import Chunk, Footage, Track
from functions.infer.family import FootageReader
from functions.infer.manifest import Crop
from functions.infer.mouth import LANDMARKS, crop_affine, crop_landmarks, eye_distance, mouth_width
from functions.picture import Affine

_SMOOTHING = np.array([1, 3, 4, 3, 1]) / 12  # a raised cosine: no phase, no overshoot
_REACH = len(_SMOOTHING) // 2
_JUMP = 0.16  # of the crop's side, from one frame to the next: that is a cut
# A smaller one is a cut, too, where the two steps before and after are far shorter: ingest smooths
# a track, so the fastest nod begins and ends in steps half as long as its longest.
_SMALL_JUMP, _STANDS_OUT = 0.05, 3.0
_STEPS = 2  # of van Cittert's iteration: more bring back what the landmarks flutter
_AROUND = _STEPS + 3  # frames on either side: each step asks one further, a cut two
FADE = 3
"""Frames between one without a face and the first whose patch is whole."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """The face in the frames of one chunk.

    Args:
        affine: (n, 2, 3) float32, upright frame pixels to crop pixels.
        landmarks: (n, K, 2) float32, of `functions.infer.mouth.LANDMARKS` in the crop, -1..1.
        seen: the same with the track's smoothing undone: where lips that move fast really are.
        width: (n,) float32, of the mouth in distances between the outer eye corners.
        opacity: (n,) float32, 0 without a face, rising over `FADE` frames beside that.
        origins: (n, 2) int32, of the windows.
    """

    affine: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    seen: NDArray[np.float32]
    width: NDArray[np.float32]
    opacity: NDArray[np.float32]
    origins: NDArray[np.int32]

    def onto_window(self, place: int) -> Affine:
        """(2, 3): window pixels to crop pixels, of one frame."""
        affine = self.affine[place].astype(np.float64)
        affine[:, 2] += affine[:, :2] @ self.origins[place]
        mapping: Affine = affine.astype(np.float32)
        return mapping


class Surveyor:
    """Works out the geometry of a footage's chunks.

    Args:
        reader: the footage.
        crop: the model's framing.
    """

    def __init__(self, reader: FootageReader, crop: Crop) -> None:
        self._footage = reader.footage
        self._crop = crop
        # A chunk's neighbours are needed too: with four, walking along reads each track once.
        self._track = lru_cache(maxsize=4)(reader.track)

    def survey(self, chunk: Chunk) -> Geometry:
        """The geometry of a chunk."""
        track = self._track(chunk)
        raw = self._with_neighbours(chunk)
        smooth = _steadied(raw, self._crop.size)
        return Geometry(
            affine=smooth.astype(np.float32),
            landmarks=crop_landmarks(track.landmarks[:, LANDMARKS], smooth, self._crop.size),
            seen=crop_landmarks(self._seen(chunk), smooth, self._crop.size),
            width=mouth_width(track.landmarks),
            opacity=self._opacity(chunk),
            origins=track.origins,
        )

    def _affine(self, track: Track, frames: slice) -> NDArray[np.float64]:
        crop = self._crop
        return crop_affine(track.landmarks[frames], crop.size, crop.scale, crop.drop)

    def _with_neighbours(self, chunk: Chunk) -> NDArray[np.float64]:
        """Unsmoothed affines with `_REACH` more on either side, held where there are none."""
        before, after = self._beside(chunk)
        parts = [self._affine(self._track(chunk), slice(None))]
        if before is not None:
            parts.insert(0, self._affine(self._track(before), slice(-_REACH, None)))
        ahead = sum(len(part) for part in parts[:-1])
        if after is not None:
            parts.append(self._affine(self._track(after), slice(_REACH)))
        joined = np.concatenate(parts)
        behind = len(joined) - ahead - chunk.count
        held = ((_REACH - ahead, _REACH - behind), (0, 0), (0, 0))
        return np.pad(joined, held, mode="edge")

    def _beside(self, chunk: Chunk) -> tuple[Chunk | None, Chunk | None]:
        """The chunks that end where this one begins and begin where it ends."""
        before = after = None
        for other in self._footage.chunks:
            if other.first + other.count == chunk.first:
                before = other
            if other.first == chunk.first + chunk.count:
                after = other
        return before, after

    def _seen(self, chunk: Chunk) -> NDArray[np.float32]:
        """(n, K, 2) landmarks in the frame, unsmoothed; the neighbouring chunks help."""
        end = chunk.first + chunk.count
        frames, landmarks, seen = [], [], []
        for other in self._footage.chunks:
            low = max(chunk.first - _AROUND, other.first)
            high = min(end + _AROUND, other.first + other.count)
            if low < high:
                track, part = self._track(other), slice(low - other.first, high - other.first)
                frames.append(np.arange(low, high))
                landmarks.append(track.landmarks[part])
                seen.append(track.confidence[part] > 0)
        numbers = np.concatenate(frames)
        points, sure = np.concatenate(landmarks), np.concatenate(seen)
        sharp = _sharpened(numbers, points, sure, self._crop.scale)
        return sharp[(numbers >= chunk.first) & (numbers < end)]

    def _opacity(self, chunk: Chunk) -> NDArray[np.float32]:
        first, last = chunk.first - FADE, chunk.first + chunk.count + FADE
        seen = self._face_seen(first, last)
        distance = np.full(len(seen), FADE + 1)
        for absent in np.flatnonzero(~seen):
            away = np.abs(np.arange(len(seen)) - absent)
            distance = np.minimum(distance, away)
        opacity = distance[FADE : FADE + chunk.count] / (FADE + 1)
        return opacity.astype(np.float32)

    def _face_seen(self, first: int, last: int) -> NDArray[np.bool_]:
        """Whether each of the frames [first, last) has a face; the footage's ends are no gaps."""
        frames = np.arange(first, last)
        seen = (frames < 0) | (frames >= self._footage.frames)
        for chunk in self._footage.chunks:
            low, high = max(first, chunk.first), min(last, chunk.first + chunk.count)
            if low < high:
                confidence = self._track(chunk).confidence
                part = confidence[low - chunk.first : high - chunk.first]
                seen[low - first : high - first] = part > 0
        return seen


def _steadied(raw: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """(n, 2, 3): affines smoothed over `_REACH` frames on either side, but not across a cut.

    Args:
        raw: (n + 2 `_REACH`, 2, 3), frame pixels to crop pixels.
        size: the crop's side, pixels.
    """
    linear, offset = raw[:, :, :2], raw[:, :, 2]
    middle = np.full(2, (size - 1) / 2)
    centres = np.linalg.solve(linear, (middle - offset)[..., None])[..., 0]
    moved = np.einsum("nij,nj->ni", linear[1:], centres[:-1]) + offset[1:] - middle
    cut = _cuts(np.linalg.norm(moved, axis=1) / size)
    scene = np.concatenate([[0], np.cumsum(cut)])
    middles = np.arange(_REACH, len(raw) - _REACH)
    first = np.searchsorted(scene, scene[middles])
    last = np.searchsorted(scene, scene[middles], side="right") - 1
    smooth = np.zeros((len(middles), 2, 3))
    for tap, weight in enumerate(_SMOOTHING):
        smooth += weight * raw[np.clip(middles - _REACH + tap, first, last)]
    return smooth


def _cuts(steps: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(n,): whether a face that moves so far, in sides of its crop, was cut away from."""
    held = np.pad(steps, 2)
    beside = np.max([held[at : at + len(steps)] for at in (0, 1, 3, 4)], axis=0)
    alone = steps > _STANDS_OUT * beside
    cuts: NDArray[np.bool_] = (steps > _JUMP) | (alone & (steps > _SMALL_JUMP))
    return cuts


def _sharpened(
    frames: NDArray[np.int64],
    landmarks: NDArray[np.float32],
    seen: NDArray[np.bool_],
    scale: float,
) -> NDArray[np.float32]:
    """(n, K, 2): a track's landmarks before ingest smoothed them, as nearly as can be told.

    Ingest weighs each frame 1/2 and its neighbours 1/4, which halves the movement of a mouth that
    shuts for one frame. Two steps of van Cittert's iteration bring most of it back.
    """
    smooth = landmarks[:, LANDMARKS]
    step = np.linalg.norm(np.diff(landmarks.mean(axis=1), axis=0), axis=1)
    near = ~_cuts(step / (eye_distance(landmarks)[1:] * scale))
    joined = (np.diff(frames) == 1) & seen[:-1] & seen[1:] & near
    inner = np.flatnonzero(joined[:-1] & joined[1:]) + 1
    sharp = smooth.copy()
    for _ in range(_STEPS):
        around = (sharp[inner - 1] + sharp[inner + 1]) * np.float32(0.25)
        sharp[inner] += smooth[inner] - sharp[inner] * np.float32(0.5) - around
    return sharp


def chunk_of(footage: Footage, frame: int) -> Chunk | None:
    """The chunk that holds a footage frame; None where no window was cut."""
    for chunk in footage.chunks:
        if chunk.first <= frame < chunk.first + chunk.count:
            return chunk
    return None
