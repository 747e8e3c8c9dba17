"""The lip-sync check of a segment: a sample of its frames is looked at while they are made.

The mouth is measured where it will be seen: on the face window, the patch laid over it. A frame
costs one run of the face mesh, some sixty frames of a segment are looked at, and what is found is
a `Tally` that travels with the patches.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from functions.analysis import Chunk, Footage, Track
from functions.check import FARTHEST, Tally, closures, tally_closures, tally_sync
from functions.check_mouth import Luma, mouth_luma, tally_looks
from functions.infer.backends import Graph
from functions.infer.ear import Ear, reach
from functions.infer.family import FootageReader, Patch, Span, VoiceReader
from functions.infer.geometry import chunk_of
from functions.infer.mouth import LEFT_EYE, RIGHT_EYE
from functions.patches import Mask
from functions.picture import Affine, Colour, Picture, crop_rgb, yuv_to_rgb

_EVERY = 16  # frames, of which three in a row are looked at
_MOST_CLOSURES = 6  # in so many frames:
_PER_FRAMES = 200
_SIDE = 192  # of the mesh's crop
_FRAMING = 1.5  # side of that crop to the longer side of the face
# The mesh's refined lips come as four rings; these are the inner one's middles, and a little beside
# them: landmarks 87, 14, 317 below and 82, 13, 312 above.
_LOWER, _UPPER = [24, 25, 26], [34, 35, 36]
_LOOKS = (96, 640)  # smallest and largest side at which mouths are compared, pixels


@dataclass(frozen=True)
class Meter:
    """Measures mouths in the making.

    Args:
        mesh: the face mesh, see `functions.ingest.face_models.FaceModels`.
        ear: says what a mouth should do.
    """

    mesh: Graph
    ear: Ear

    def watch(self, footage: FootageReader, voice: VoiceReader, span: Span, mask: Mask) -> "Watch":
        """Chooses what to look at in some frames."""
        low, high = reach(span.rate, span.first - FARTHEST, span.last + FARTHEST)
        samples = voice.samples(low, high)
        heard = self.ear.hear(
            samples,
            span.rate,
            span.first - FARTHEST,
            span.last + FARTHEST,
            level=voice.level,
            offset=max(low, 0),
        )
        due = _thinned(closures(heard[FARTHEST:-FARTHEST, 2]), span.last - span.first)
        return Watch(self.mesh, Witness(footage), mask, span, heard[:, 0], due)


class Witness:
    """A `FootageReader` that keeps the wanted windows of those that it reads for others.

    Args:
        reader: what is read.
    """

    def __init__(self, reader: FootageReader) -> None:
        self._reader = reader
        self.wanted: set[int] = set()
        self._kept: dict[int, Picture] = {}

    @property
    def footage(self) -> Footage:
        """See `FootageReader`."""
        return self._reader.footage

    def track(self, chunk: Chunk) -> Track:
        """See `FootageReader`."""
        return self._reader.track(chunk)

    def windows(self, chunk: Chunk, frames: Sequence[int]) -> Iterator[Picture]:
        """See `FootageReader`."""
        for frame, picture in zip(frames, self._reader.windows(chunk, frames), strict=True):
            if frame in self.wanted:
                self._kept[frame] = picture
            yield picture

    def kept(self, name: str, make: Callable[[], bytes]) -> bytes:
        """See `FootageReader`."""
        return self._reader.kept(name, make)

    def window(self, chunk: Chunk, frame: int) -> Picture:
        """One frame's window, read again where nobody has read it."""
        if frame not in self._kept:
            self._kept[frame] = next(self._reader.windows(chunk, [frame]))
        return self._kept[frame]


@dataclass
class Watch:
    """Looks on while a segment's patches are made; `footage` is to be read through it.

    Args:
        mesh: the face mesh.
        footage: keeps the windows that are wanted.
        mask: under which patches are laid on.
        span: the frames.
        heard: the ear's `open`, `FARTHEST` frames longer on either side.
        due: closures to look at.
    """

    mesh: Graph
    footage: Witness
    mask: Mask
    span: Span
    heard: NDArray[np.float32]
    due: list[tuple[int, int]]
    _patches: dict[int, Patch] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.footage.wanted = {self.span.shown[place] for place in self._wanted()}

    def look(self, patches: Iterable[Patch]) -> Iterator[Patch]:
        """Passes patches on, one for each frame, and remembers some."""
        wanted = self._wanted()
        for place, patch in enumerate(patches):
            if place in wanted:
                self._patches[place] = replace(patch, planes=patch.planes.copy())
            yield patch

    def tally(self) -> Tally:
        """What was seen; once all patches have passed."""
        found = np.full(len(self.span.shown), np.nan)
        sights: dict[int, _Sight] = {}
        tracks: dict[int, Track] = {}
        for place in sorted(self._patches):
            patch, frame = self._patches[place], self.span.shown[place]
            chunk = chunk_of(self.footage.footage, frame)
            if chunk is None or patch.opacity < 1:
                continue
            if chunk.index not in tracks:
                tracks = {chunk.index: self.footage.track(chunk)}
            sights[place] = self._sight(patch, chunk, frame, tracks[chunk.index])
            found[place] = sights[place].aperture(self.mesh)
        total = self._sync(found) + tally_closures(found, self.due)
        for middle in self._spaced():
            row = [sights[place] for place in range(middle - 1, middle + 2) if place in sights]
            if len(row) == 3:
                side = row[1].side
                total += tally_looks([s.made(side) for s in row], [s.source(side) for s in row])
        return total

    def _sync(self, found: NDArray[np.float64]) -> Tally:
        spaced = [place for middle in self._spaced() for place in range(middle - 1, middle + 2)]
        places = np.array([place for place in spaced if np.isfinite(found[place])], np.int64)
        return tally_sync(found[places], places + FARTHEST, self.heard)

    def _spaced(self) -> Sequence[int]:
        """The middles of three frames in a row."""
        count = len(self.span.shown)
        return range(max(1, min(_EVERY // 2, count - 2)), count - 1, _EVERY)

    def _wanted(self) -> set[int]:
        spaced = {place + step for place in self._spaced() for step in (-1, 0, 1)}
        return spaced | {place for first, last in self.due for place in range(first, last)}

    def _sight(self, patch: Patch, chunk: Chunk, frame: int, track: Track) -> "_Sight":
        place = frame - chunk.first
        window, origin = self.footage.window(chunk, frame), track.origins[place]
        points = track.landmarks[place] - origin
        affine = _moved(patch.affine, origin)
        return _Sight(window, points, patch, affine, self.mask, self.footage.footage.colour)


@dataclass(frozen=True, eq=False)
class _Sight:
    """One frame to look at: its window, the landmarks in it, the patch and where it goes."""

    window: Picture
    points: NDArray[np.float32]
    patch: Patch
    affine: Affine
    mask: Mask
    colour: Colour

    def aperture(self, mesh: Graph) -> float:
        """See `functions.check.aperture`."""
        crop = _face_crop(self.points)
        shown = crop_rgb(self.window, crop, _SIDE, self.colour)
        rgb = yuv_to_rgb(list(self.patch.planes), self.colour)
        onto = _compose(crop, np.asarray(cv2.invertAffineTransform(self.affine), np.float32))
        for plane, patch in zip(shown, rgb, strict=True):
            _lay(plane, patch, onto, self.mask)
        lips = mesh.run({"picture": shown[None]})[1][0]
        gap = np.linalg.norm(lips[_UPPER] - lips[_LOWER], axis=1).mean()
        eyes = self.points[LEFT_EYE] - self.points[RIGHT_EYE]
        distance = max(float(np.linalg.norm(eyes)), 1.0)
        return float(gap / (distance * np.sqrt(abs(np.linalg.det(crop[:, :2])))))

    @property
    def side(self) -> int:
        """Of the patch as it will be seen, in the footage's pixels."""
        zoom = float(np.sqrt(abs(np.linalg.det(self.affine[:, :2].astype(np.float64)))))
        return int(np.clip(self.patch.planes.shape[1] / max(zoom, 1e-3), *_LOOKS))

    def made(self, side: int) -> Luma:
        """The patch's luma at a size, as it will be seen."""
        plane = cv2.resize(self.patch.planes[0], (side, side), interpolation=cv2.INTER_CUBIC)
        return np.asarray(plane, np.float32)

    def source(self, side: int) -> Luma:
        """The same square of the source at the same size."""
        # Between two grids of pixels that cover one square, centres are half a pixel's share apart.
        factor = side / self.patch.planes.shape[1]
        scaled = self.affine.astype(np.float64) * factor
        scaled[:, 2] += (factor - 1) / 2
        return mouth_luma(self.window.y, scaled.astype(np.float32), side)


def _thinned(due: list[tuple[int, int]], frames: int) -> list[tuple[int, int]]:
    """At most so many closures, evenly chosen."""
    most = max(1, -(-frames * _MOST_CLOSURES // _PER_FRAMES))
    if len(due) <= most:
        return due
    return [due[round(place)] for place in np.linspace(0, len(due) - 1, most)]


def _face_crop(points: NDArray[np.float32]) -> Affine:
    """The upright square in which the mesh looks for a face with these landmarks, see `Mesh`."""
    across = points[LEFT_EYE] - points[RIGHT_EYE]
    angle = float(np.arctan2(across[1], across[0]))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    upright = points @ turn
    low, high = upright.min(axis=0), upright.max(axis=0)
    scale = _SIDE / (_FRAMING * max(1.0, float((high - low).max())))
    linear = turn.T * scale
    shift = _SIDE / 2 - linear @ (turn @ ((low + high) / 2))
    return np.column_stack([linear, shift]).astype(np.float32)


def _lay(plane: NDArray[np.float32], patch: NDArray[np.float32], onto: Affine, mask: Mask) -> None:
    """Lays a patch onto a crop, in place."""
    size, side = patch.shape[0], plane.shape[0]
    zoom = float(np.sqrt(abs(np.linalg.det(onto[:, :2].astype(np.float64)))))
    blurred = cv2.blur(patch, (2, 2)) if zoom < 0.6 else patch
    weights = _weights(mask, size)
    alpha = cv2.warpAffine(weights, onto, (side, side), flags=cv2.INTER_LINEAR)
    over = cv2.warpAffine(
        blurred, onto, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    plane += (over - plane) * alpha


def _weights(mask: Mask, size: int) -> NDArray[np.float32]:
    """(size, size), about the mask that encode draws."""
    place = (np.arange(size) + 0.5) / size
    x = (place - mask.centre[0]) / mask.radii[0]
    y = (place - mask.centre[1]) / mask.radii[1]
    inside = 1 - np.hypot(x[None], y[:, None])
    soft = np.clip(0.5 + inside * mask.radii[0] / (4 * mask.feather), 0, 1)
    return np.asarray(soft, np.float32)


def _moved(affine: Affine, origin: NDArray[np.int32]) -> Affine:
    """The mapping for coordinates that start at a window's corner."""
    moved = affine.astype(np.float64)
    moved[:, 2] += moved[:, :2] @ origin
    return moved.astype(np.float32)


def _compose(second: Affine, first: Affine) -> Affine:
    """One mapping after another."""
    whole = np.vstack([first.astype(np.float64), [0, 0, 1]])
    return np.asarray(second.astype(np.float64) @ whole, np.float32)
