"""Gathering a footage's own mouths into a bank, once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from functions.analysis import Chunk
from functions.errors import Code, RejectedInput
from functions.infer.bank import Bank, Pixels
from functions.infer.family import FootageReader
from functions.infer.flow import MOUTH, SKIN
from functions.infer.geometry import Geometry, Surveyor
from functions.infer.lips import LOWER, UPPER, Floats, gap, half_width
from functions.infer.manifest import Crop
from functions.infer.mouth import eye_distance, head_pose, mouth_width
from functions.picture import Picture, crop_yuv

MOST: Final = 320
"""Mouths that a bank of the smallest patches holds; larger ones are fewer."""
_LOOKED_AT = 1.5  # times as many mouths are looked at; the worst third goes
_VISITED = 3000  # frames of the chunks that are opened, about
_SKIN_ROWS = 9  # in which the light is measured
_SURE = 0.6  # confidence of a face below which its mouth isn't taken
_SIZES = (256, 384, 512)
# How much larger than its patch a face may be: a video's codec has softened it already, while a
# portrait is as sharp as its camera and loses to every interpolation.
_SHRINK = {"video": 1.25, "portrait": 0.67}
_STRANGE = 2.5  # times the usual distance to its likes: no mouth, but what hides one
_ALIKE = 8.0  # grey levels: mouths no further apart are never strange to each other
_NEIGHBOURS = 4


def patch_size(side: float, kind: Literal["video", "portrait"]) -> int:
    """The side of a patch in pixels, for a crop that spans so many of the footage's pixels."""
    return next((size for size in _SIZES if side <= _SHRINK[kind] * size), _SIZES[-1])


@dataclass(frozen=True, eq=False)
class _Frames:
    """What the tracks alone tell of each frame with a sure face."""

    numbers: NDArray[np.int64]
    shapes: Floats  # (n, 4): aperture and width in eye distances, turn, nod


def gather(footage: FootageReader, crop: Crop) -> Bank:
    """Looks through a footage for the mouths that show most of what it can say.

    Args:
        footage: read chunk by chunk, and windows only of the frames that are looked at.
        crop: the model's framing; its size is chosen anew by how large the face is.

    Raises:
        RejectedInput: no frame of it has a face.
    """
    poses = np.full((footage.footage.frames, 2), np.nan, np.float32)
    found: dict[Chunk, _Frames] = {}
    sizes = []
    for chunk in footage.footage.chunks:
        track = footage.track(chunk)
        seen = track.confidence > 0
        points, frames = track.landmarks[seen], chunk.first + np.flatnonzero(seen)
        if not len(frames):
            continue
        poses[frames], width = head_pose(points), mouth_width(points)
        sizes.append(np.column_stack([eye_distance(points), width]))
        sure = track.confidence[seen] >= min(_SURE, float(track.confidence.max()))
        shapes = np.column_stack([_aperture(points), width, poses[frames]])
        found[chunk] = _Frames(frames[sure], shapes[sure])
    if not found:
        raise RejectedInput(Code.NO_FACE, "No frame of the footage shows a face.")
    eye, usual = (float(value) for value in np.median(np.concatenate(sizes), axis=0))
    crop = replace(crop, size=patch_size(eye * crop.scale, footage.footage.kind))
    visited = [found[chunk] for chunk in visits(list(found))]
    known = _Frames(
        np.concatenate([frames.numbers for frames in visited]),
        np.concatenate([frames.shapes for frames in visited]),
    )
    most = MOST * _SIZES[0] // crop.size
    looked = known.numbers[spread_out(known.shapes, round(_LOOKED_AT * most))]
    haste = _haste(known, len(poses)) * (2 / crop.scale)
    mouths = list(_look(footage, crop, looked, haste))
    return _bank(mouths, poses, crop.size, usual / crop.scale)


def visits(chunks: Sequence[Chunk]) -> list[Chunk]:
    """The chunks whose mouths are looked at: all, or of a long footage some from all over it."""
    frames = sum(chunk.count for chunk in chunks)
    return list(chunks[:: max(1, -(-frames // _VISITED))])


def spread_out(shapes: Floats, most: int) -> NDArray[np.int64]:
    """Places of at most so many rows, in order, so that every region of the shapes is kept.

    Args:
        shapes: (n, d).
        most: rows to keep.
    """
    if len(shapes) <= most:
        return np.arange(len(shapes))
    scale = np.maximum(np.percentile(shapes, 95, axis=0) - np.percentile(shapes, 5, axis=0), 1e-3)
    cells = np.floor((shapes - shapes.min(axis=0)) / scale * (8, 5, 3, 3)).astype(np.int64)
    _, cell = np.unique(cells, axis=0, return_inverse=True)
    cell = cell.reshape(-1)
    # The first of every cell, then the second of every cell, and so on, each taken from all over
    # the footage.
    scattered = np.random.default_rng(0).permutation(len(shapes))
    turn = np.empty(len(shapes), np.int64)
    count = np.zeros(cell.max() + 1, np.int64)
    for row in scattered:
        turn[row] = count[cell[row]]
        count[cell[row]] += 1
    order = np.lexsort((scattered, turn))
    return np.sort(order[:most])


@dataclass(frozen=True, eq=False)
class _Mouth:
    frame: int
    landmarks: Floats
    features: tuple[float, ...]
    pixels: Pixels


def _look(
    footage: FootageReader, crop: Crop, frames: NDArray[np.int64], haste: Floats
) -> Iterator[_Mouth]:
    surveyor = Surveyor(footage, crop)
    for chunk in footage.footage.chunks:
        wanted = frames[(frames >= chunk.first) & (frames < chunk.first + chunk.count)]
        if not len(wanted):
            continue
        geometry = surveyor.survey(chunk)
        chosen = wanted.tolist()
        poses = head_pose(footage.track(chunk).landmarks)
        for frame, window in zip(chosen, footage.windows(chunk, chosen), strict=True):
            pose = poses[frame - chunk.first]
            mouth = _mouth(window, geometry, frame - chunk.first, crop.size, pose)
            yield replace(mouth, frame=frame, features=(*mouth.features, float(haste[frame])))


def _mouth(window: Picture, geometry: Geometry, place: int, size: int, pose: Floats) -> _Mouth:
    rows, columns = MOUTH.at(size)
    onto = geometry.onto_window(place)
    onto[:, 2] -= columns.start, rows.start
    pixels = crop_yuv(window, onto, (columns.stop - columns.start, rows.stop - rows.start))
    landmarks = geometry.seen[place]
    light = _light(window, geometry, place, size)
    luma = np.ascontiguousarray(pixels[..., 0])
    # In 16 bits, which hold every value, and summed by OpenCV: five times as fast as in floats.
    sharp = cv2.norm(cv2.Laplacian(luma, cv2.CV_16S), cv2.NORM_L1) / luma.size
    corner = (landmarks + 1) * (size / 2) - 0.5 - (columns.start, rows.start)
    teeth = _teeth(luma, np.concatenate([corner[UPPER], corner[LOWER][::-1]]), light)
    features = (gap(landmarks), half_width(landmarks), *map(float, pose), light, teeth, sharp)
    return _Mouth(place, landmarks, features, pixels)


def _haste(known: _Frames, count: int) -> Floats:
    """(count,): how unevenly the lips part or shut, in eye distances.

    Where they do, nobody knows quite where they are: 0 where that can't be told.
    """
    gaps = np.full(count + 2, np.nan, np.float32)
    gaps[known.numbers + 1] = known.shapes[:, 0]
    haste: Floats = np.nan_to_num(np.abs(gaps[:-2] - 2 * gaps[1:-1] + gaps[2:]))
    return haste


def _light(window: Picture, geometry: Geometry, place: int, size: int) -> float:
    """How bright the skin of nose and cheeks is, of 255."""
    rows, columns = SKIN.at(size)
    onto = geometry.onto_window(place).astype(np.float64)
    onto[:, 2] -= columns.start, rows.start
    small = onto / ((rows.stop - rows.start) / _SKIN_ROWS)
    skin = cv2.warpAffine(
        window.y,
        small,
        (2 * _SKIN_ROWS, _SKIN_ROWS),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return float(skin.mean())


def _teeth(luma: Pixels, outline: NDArray[np.float64], light: float) -> float:
    """How much of the space between the lips is as bright as teeth in this light, 0..1."""
    corners = np.rint(outline * 16).astype(np.int32)
    inside = np.zeros(luma.shape, np.uint8)
    cv2.fillPoly(inside, [corners], 1, shift=4)
    shown = luma[inside > 0]
    return float((shown > 0.75 * light).mean()) if len(shown) > 0 else 0.0


def _bank(mouths: list[_Mouth], poses: Floats, size: int, rest: float) -> Bank:
    features = np.array([mouth.features for mouth in mouths], np.float32)
    numbers = np.array([mouth.frame for mouth in mouths], np.int64)
    light = np.interp(np.arange(len(poses)), numbers, features[:, 4]).astype(np.float32)
    kept = _familiar([mouth.pixels for mouth in mouths])
    sharp = features[kept, 6]
    most = MOST * _SIZES[0] // size
    if len(kept) > most:
        # What a movement or the codec blurred goes first, cell by cell as before.
        kept = kept[sharp >= np.percentile(sharp, 20)]
        kept = kept[spread_out(features[kept, :4], most)]
    return Bank(
        size,
        rest,
        numbers[kept],
        np.stack([mouths[index].landmarks for index in kept]),
        features[kept],
        poses,
        light,
        np.stack([mouths[index].pixels for index in kept]),
    )


def _familiar(mouths: list[Pixels]) -> NDArray[np.int64]:
    """Places of the mouths that look like some others: a hand before one looks like none."""
    if len(mouths) <= 2 * _NEIGHBOURS:
        return np.arange(len(mouths))
    small = [cv2.resize(mouth, (16, 12), interpolation=cv2.INTER_AREA) for mouth in mouths]
    flat = np.stack(small).reshape(len(small), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    square = (flat**2).sum(1)
    distance = np.maximum(square[:, None] + square - 2 * (flat @ flat.T), 0)
    near = np.sqrt(np.partition(distance, _NEIGHBOURS, axis=1)[:, _NEIGHBOURS] / flat.shape[1])
    return np.flatnonzero(near <= max(_STRANGE * float(np.median(near)), _ALIKE))


def _aperture(landmarks: Floats) -> Floats:
    """(n,) heights of the opening in eye distances, of (n, 468, 2) landmarks."""
    pairs = ((13, 14), (82, 87), (312, 317))
    gaps = [np.linalg.norm(landmarks[:, a] - landmarks[:, b], axis=1) for a, b in pairs]
    aperture: Floats = np.mean(gaps, axis=0) / eye_distance(landmarks)
    return aperture
