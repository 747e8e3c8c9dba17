"""The AI label: what people see at a video's start, and what machines read in its metadata.

The rules are GB 45438-2025's: the text says "AI" and "生成" (or "generated"), stands in the opening
picture for 2 seconds at least, and its characters are at least 5 % of the shorter side high.
"""

import io
import json
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from functions.encode.composite import Box, mix
from functions.options import Label
from functions.picture import Colour, Picture, Plane, rgb_to_yuv

TEXTS = {"zh": "AI生成", "en": "AI-generated"}
LEAST_HEIGHT = 0.05
"""Of the picture's shorter side: how high the letter A is."""

Corner = Literal["top-left", "top-right"]

_FONT = "NotoSansCJKsc-Bold-subset.otf"
_PLATE_OPACITY = 0.5
# In parts of the letter A's height.
_PADDING = 0.45
_MARGIN = 0.6
_ROUNDING = 0.35


@dataclass(frozen=True, eq=False)
class Overlay:
    """A rectangle to blend over a picture.

    Args:
        box: where it lies in luma; all four numbers are even.
        picture: the colours, of the box's size.
        alpha: (h, w) uint8, how far luma moves towards them.
        chroma_alpha: (h / 2, w / 2) uint8, the same for chroma.
        letter_height: of the letter A, pixels.
    """

    box: Box
    picture: Picture
    alpha: Plane
    chroma_alpha: Plane
    letter_height: int

    def draw(self, picture: Picture) -> None:
        """Blends it over a writable picture, in place."""
        box = self.box
        half = Box(box.left // 2, box.top // 2, box.right // 2, box.bottom // 2)
        mix(box.of(picture.y), self.picture.y, self.alpha)
        mix(half.of(picture.u), self.picture.u, self.chroma_alpha)
        mix(half.of(picture.v), self.picture.v, self.chroma_alpha)


def labelled_frames(label: Label, seconds: float, rate: Fraction, frames: int) -> int:
    """How many frames from the start carry the label, of a video of `frames` frames."""
    return frames if label.whole else min(frames, math.ceil(Fraction(seconds) * rate))


def render_label(label: Label, corner: Corner, width: int, height: int, colour: Colour) -> Overlay:
    """Draws the explicit label for pictures of a size.

    Args:
        label: its language.
        corner: where it goes.
        width: of the picture, even.
        height: of the picture, even.
        colour: what the picture's planes mean.
    """
    coverage, plate, letter = _draw(TEXTS[label.language], min(width, height))
    rows, columns = coverage.shape
    # A picture too small for the margins still shows the label; one too small for it, its middle.
    columns, rows = min(columns, width), min(rows, height)
    coverage, plate = _middle(coverage, rows, columns), _middle(plate, rows, columns)
    margin = round(letter * _MARGIN)
    top = _even(min(margin, height - rows))
    side = min(margin, width - columns)
    left = _even(side if corner == "top-left" else width - columns - side)

    # White text over a black plate that lets some of the picture through.
    alpha = 1 - (1 - plate * _PLATE_OPACITY) * (1 - coverage)
    grey = np.divide(coverage, alpha, out=np.zeros_like(alpha), where=alpha > 0)
    y, u, v = rgb_to_yuv(np.stack([grey] * 3), colour)
    box = Box(left, top, left + columns, top + rows)
    return Overlay(
        box, Picture(y, u[::2, ::2], v[::2, ::2]), _weights(alpha), _weights(_halve(alpha)), letter
    )


def implicit_label(producer: str, run: str) -> str:
    """The value of the `AIGC` metadata item: this is AI-generated, by whom, and which one it is."""
    fields = {
        "Label": "1",
        "ContentProducer": producer,
        "ProduceID": run,
        "ReservedCode1": "",
        "ContentPropagator": "",
        "PropagateID": "",
        "ReservedCode2": "",
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _draw(text: str, shorter: int) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
    """Coverage of the text and of its plate, 0..1, in an even rectangle; the letter's height."""
    wanted = math.ceil(shorter * LEAST_HEIGHT)
    font = _font_of_height(wanted)
    left, top, right, bottom = (round(edge) for edge in font.getbbox(text))
    padding = round(wanted * _PADDING)
    size = _even(right - left + 2 * padding + 1), _even(bottom - top + 2 * padding + 1)
    letters, plate = Image.new("L", size), Image.new("L", size)
    ImageDraw.Draw(letters).text((padding - left, padding - top), text, fill=255, font=font)
    edge = (0, 0, size[0] - 1, size[1] - 1)
    ImageDraw.Draw(plate).rounded_rectangle(edge, radius=round(wanted * _ROUNDING), fill=255)
    return _parts(letters), _parts(plate), wanted


@cache
def _font_of_height(wanted: int) -> ImageFont.FreeTypeFont:
    """The font at the smallest size at which its letter A is `wanted` pixels high."""
    data = (files("functions.encode") / "fonts" / _FONT).read_bytes()
    font = ImageFont.truetype(io.BytesIO(data), wanted)
    while _height(font) < wanted:
        font = font.font_variant(size=font.size + 1)
    return font


def _height(font: ImageFont.FreeTypeFont) -> float:
    _, top, _, bottom = font.getbbox("A")
    return bottom - top


def _parts(image: Image.Image) -> NDArray[np.float32]:
    return np.asarray(image, np.float32) / np.float32(255)


def _middle(plane: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    top, left = (plane.shape[0] - rows) // 2, (plane.shape[1] - columns) // 2
    return plane[top : top + rows, left : left + columns]


def _halve(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = plane.shape
    mean: NDArray[np.float32] = plane.reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3))
    return mean


def _weights(parts: NDArray[np.float32]) -> Plane:
    weights: Plane = np.rint(parts * 255).astype(np.uint8)
    return weights


def _even(number: int) -> int:
    return number // 2 * 2
