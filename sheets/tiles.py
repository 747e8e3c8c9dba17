"""Cutting faces out of videos and laying them out: source above, output below."""

from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from functions.check_sights import sights
from functions.infer.mouth import crop_affine
from functions.ingest.constant_rate import at_constant_rate
from functions.ingest.faces import FaceFinder
from functions.media import open_video
from functions.picture import Affine, Colour, Picture, whole_rgb
from functions.stills import PORTRAIT_COLOUR, is_portrait, read_portrait

Rgb = NDArray[np.uint8]
FACE, MOUTH = (2.4, 0.5), (1.2, 0.8)
"""A crop's side, and how far its centre is below the eyes, in distances between the eyes."""

_LINE = 18  # pixels of a caption


def places(
    video: Path, source: Path, wanted: Collection[int], finder: FaceFinder
) -> dict[int, NDArray[np.float32]]:
    """The landmarks of the face that talks in each of the wanted frames that has one.

    Args:
        video: the finished one.
        source: the face that it was made of, see `functions.check_sights.sights`.
        wanted: numbers of frames.
        finder: finds faces.
    """
    seen = islice(sights(video, source, finder), max(wanted, default=-1) + 1)
    faces = ((index, sight.landmarks) for index, sight in enumerate(seen))
    return {index: found for index, found in faces if found is not None and index in wanted}


def cut(
    path: Path,
    rate: Fraction,
    landmarks: Mapping[int, NDArray[np.float32]],
    frames: Mapping[int, int],
    framing: tuple[float, float],
    size: int,
) -> dict[int, Rgb]:
    """(size, size, 3) crops around faces.

    Args:
        path: a video or a portrait.
        rate: frames a second at which a video's frames are counted.
        landmarks: by output frame.
        frames: for each output frame the one of this video that is wanted.
        framing: `FACE` or `MOUTH`.
        size: of a crop.
    """
    affines = {
        index: crop_affine(points[None], size, *framing)[0].astype(np.float32)
        for index, points in landmarks.items()
    }
    if is_portrait(path):
        rgb = whole_rgb(read_portrait(path), PORTRAIT_COLOUR)
        return {index: _crop(rgb, affine, size) for index, affine in affines.items()}
    crops = {}
    for number, picture, colour in _pictures(path, rate, {frames[index] for index in affines}):
        rgb = whole_rgb(picture, colour)
        for index, affine in affines.items():
            if frames[index] == number:
                crops[index] = _crop(rgb, affine, size)
    return crops


def _pictures(
    path: Path, rate: Fraction, wanted: set[int]
) -> Iterable[tuple[int, Picture, Colour]]:
    last, at = max(wanted, default=-1), 0
    with open_video(path) as video:
        for _, picture, times in at_constant_rate(video.pictures(), video.time_base, rate):
            for index in range(at, at + times):
                if index in wanted:
                    yield index, picture, video.colour
            at += times
            if at > last:
                return


def _crop(rgb: Rgb, affine: Affine, size: int) -> Rgb:
    smaller = abs(np.linalg.det(affine[:, :2])) < 0.8
    if smaller:
        # Two steps down, or the sampling alone would skip pixels.
        affine = affine.copy() * 2
        affine[:, 2] += 0.5
        size *= 2
    crop = cv2.warpAffine(
        rgb, affine, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    if smaller:
        crop = cv2.resize(crop, (size // 2, size // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(crop, np.uint8)


def grid(rows: list[list[Rgb | None]], captions: list[str], size: int) -> Image.Image:
    """Rows of crops, missing ones grey, with a caption above each column."""
    columns = max(len(row) for row in rows)
    sheet = Image.new("RGB", (columns * size, _LINE + len(rows) * size), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(13)
    for column, caption in enumerate(captions):
        draw.text((column * size + 3, 1), caption, fill="black", font=font)
    for line, row in enumerate(rows):
        for column, crop in enumerate(row):
            tile = np.full((size, size, 3), 128, np.uint8) if crop is None else crop
            sheet.paste(Image.fromarray(tile), (column * size, _LINE + line * size))
    return sheet


def stacked(parts: list[Image.Image]) -> Image.Image:
    """Pictures below each other, on white."""
    width = max(part.width for part in parts)
    whole = Image.new("RGB", (width, sum(part.height for part in parts)), "white")
    at = 0
    for part in parts:
        whole.paste(part, (0, at))
        at += part.height
    return whole
