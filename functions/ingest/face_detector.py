"""Where faces may be in a picture: the short-range detector, over the whole or over tiles."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from functions.ingest.onnx_session import open_session
from functions.ingest.region import Region
from functions.picture import Colour, Picture, Plane, yuv_to_rgb

_SIDE = 128
_MIN_SCORE = 0.5
_MIN_TILE_SCORE = 0.4  # small faces score lower; what is wrong is weeded out afterwards
_MOST_CANDIDATES = 16
_MIN_FACE = 4.0  # pixels
_FRAMINGS = (4 / 3, 2.0)  # of a mesh's region: the face fills a half, then a third of the crop
_SAME_FACE = 0.3  # overlap (intersection over union) above which two boxes are one face
_ANCHOR_GRIDS = ((16, 2), (8, 6))  # cells a side, anchors a cell; all anchors have size 1
_TILES = (1.0, 0.42)  # sides of the squares searched, of the picture's short side
_TILE_STEP = 0.6  # of a tile's side, at most: a face that fills a third of it is whole in one
_MIN_TILE = 48  # pixels; a face that is small in less has no features
_MOST_TILES = 150  # of one size; only strips, longer than eight to one, would need more
_NEARBY = 2.5  # of a mesh's region: how far around a lost face it is looked for
_ROWS = 4  # rows that are averaged into one are enough; more would only cost reading


@dataclass(frozen=True)
class Candidate:
    """What the detector takes for a face.

    Args:
        region: for the mesh to look at.
        box: x0, y0, x1, y1, picture pixels.
        score: 0..1.
    """

    region: Region
    box: tuple[float, float, float, float]
    score: float


class FaceDetector:
    """Runs the detector model.

    Args:
        model: see `FaceModels.detector`.
        threads: that one run may use.
    """

    def __init__(self, model: Path, threads: int) -> None:
        self._session = open_session(model, threads)

    def detect(
        self, picture: Picture, colour: Colour, min_score: float = _MIN_SCORE
    ) -> list[Candidate]:
        """Candidates in the whole picture, best first, no two of one face.

        Finds faces of about a seventh of the picture's longer side and more.
        """
        scale = _SIDE / max(picture.width, picture.height)
        shown = _letterboxed(picture, scale, colour)
        boxes, scores = self._session.run(None, {"picture": shown})
        return _distinct(_decode(boxes[0], scores[0, :, 0], picture, scale, min_score))

    def detect_small(self, picture: Picture, colour: Colour) -> list[Candidate]:
        """The same over overlapping square tiles: smaller faces at many times the cost."""
        found: list[Candidate] = []
        for x, y, side in _tiles(picture.width, picture.height):
            found.extend(self._detect_in(picture, x, y, side, side, colour))
        return _distinct(found)

    def detect_near(self, picture: Picture, region: Region, colour: Colour) -> list[Candidate]:
        """Candidates in and around a region of the picture, whatever their size, at one look."""
        reach = region.side * _NEARBY / 2
        x0, y0 = (max(0, int(centre - reach)) & ~1 for centre in (region.x, region.y))
        x1 = min(picture.width, int(region.x + reach)) & ~1
        y1 = min(picture.height, int(region.y + reach)) & ~1
        if x1 <= x0 or y1 <= y0:
            return []
        return self._detect_in(picture, x0, y0, x1 - x0, y1 - y0, colour)

    def _detect_in(
        self, picture: Picture, x: int, y: int, width: int, height: int, colour: Colour
    ) -> list[Candidate]:
        part = self.detect(picture.cut(x, y, width, height), colour, _MIN_TILE_SCORE)
        return [_moved(candidate, x, y) for candidate in part]

    def certainty(self, picture: Picture, region: Region, colour: Colour) -> float:
        """How sure the detector is of a face when shown it upright and well framed, 0..1.

        Args:
            picture: the frame.
            region: half as large again as the face, as a mesh gives it.
            colour: what the planes mean.
        """
        crops = [region.scaled(by).crop(picture, _SIDE, colour) for by in _FRAMINGS]
        _, logits = self._session.run(None, {"picture": np.stack(crops) * 2 - 1})
        return float(_sigmoid(logits.max(axis=(1, 2))).mean())


def _tiles(width: int, height: int) -> Iterator[tuple[int, int, int]]:
    """Squares that overlap and reach every edge: x, y, side, all even."""
    for share in _TILES:
        side = int(min(width, height) * share) & ~1
        if side < _MIN_TILE:
            continue
        places = [(x, y) for y in _starts(height, side) for x in _starts(width, side)]
        if len(places) <= _MOST_TILES:
            yield from ((x, y, side) for x, y in places)


def _starts(length: int, side: int) -> list[int]:
    count = int(np.ceil((length - side) / (_TILE_STEP * side))) + 1
    return [int(start) & ~1 for start in np.linspace(0, length - side, count)]


def _letterboxed(picture: Picture, scale: float, colour: Colour) -> NDArray[np.float32]:
    """(1, 3, 128, 128) in -1..1: the picture scaled into the middle, black around it."""
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    planes = [_shrunk(plane, size) for plane in (picture.y, picture.u, picture.v)]
    rgb = yuv_to_rgb(np.stack(planes).astype(np.float32), colour)
    shown = np.full((1, 3, _SIDE, _SIDE), -1, np.float32)
    left, top = (_SIDE - size[0]) // 2, (_SIDE - size[1]) // 2
    shown[0, :, top : top + size[1], left : left + size[0]] = rgb * 2 - 1
    return shown


def _shrunk(plane: Plane, size: tuple[int, int]) -> Plane:
    """The mean of what lies under each small pixel, or of some of it: speed is the point here."""
    rows = plane[:: max(1, plane.shape[0] // (size[1] * _ROWS))]
    # OpenCV averages whole blocks several times faster than fractions, so these go first.
    across = max(1, rows.shape[1] // (2 * size[0]))
    down = max(1, rows.shape[0] // (2 * size[1]))
    whole = (rows.shape[1] // across, rows.shape[0] // down)
    blocks = rows[: whole[1] * down, : whole[0] * across]
    halfway = cv2.resize(blocks, whole, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(halfway, size, interpolation=cv2.INTER_AREA), np.uint8)


@cache
def _anchors() -> NDArray[np.float32]:
    """(896, 2): where each anchor's centre lies, as a share of the square."""
    grids = []
    for cells, repeats in _ANCHOR_GRIDS:
        y, x = (np.mgrid[:cells, :cells] + 0.5) / cells
        grids.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), repeats, axis=0))
    return np.concatenate(grids).astype(np.float32)


def _decode(
    boxes: NDArray[np.float32],
    logits: NDArray[np.float32],
    picture: Picture,
    scale: float,
    min_score: float,
) -> list[Candidate]:
    """Reads the anchors' answers: centre, size and six points, the first two of them the eyes."""
    scores = _sigmoid(logits)
    kept = np.flatnonzero(scores >= min_score)
    points = boxes[kept].reshape(-1, 8, 2)
    anchors = _anchors()[kept] * _SIDE
    margin = (_SIDE - np.array([picture.width, picture.height]) * scale) / 2
    candidates = []
    for score, point, anchor in zip(scores[kept], points, anchors, strict=True):
        x, y = (point[0] + anchor - margin) / scale
        width, height = point[1] / scale
        if min(width, height) < _MIN_FACE:
            continue
        across = point[3] - point[2]
        # Half as large again as the detector's box: the mesh is trained on that framing.
        region = Region(
            float(x),
            float(y),
            1.5 * float(max(width, height)),
            float(np.arctan2(across[1], across[0])),
        )
        corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        x0, y0, x1, y1 = map(float, corners)
        candidates.append(Candidate(region, (x0, y0, x1, y1), float(score)))
    return candidates


def _distinct(candidates: list[Candidate]) -> list[Candidate]:
    """Non-maximum suppression: the best of those that overlap."""
    kept: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda found: -found.score):
        if all(overlap(candidate.box, other.box) < _SAME_FACE for other in kept):
            kept.append(candidate)
    return kept[:_MOST_CANDIDATES]


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -80, 80))), np.float32)


def _moved(candidate: Candidate, x: int, y: int) -> Candidate:
    region, (x0, y0, x1, y1) = candidate.region, candidate.box
    return Candidate(
        region.moved(x, y),
        (x0 + x, y0 + y, x1 + x, y1 + y),
        candidate.score,
    )


def overlap(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> float:
    """Intersection over union of two boxes, 0..1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)
