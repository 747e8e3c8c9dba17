"""Still pictures: portraits that come in, posters that go out."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from functions.errors import Code, RejectedInput
from functions.media import MAX_PIXELS
from functions.picture import Colour, Picture, Plane, rgb_to_yuv

PORTRAIT_SIDE = 1920
"""A portrait's longer side after scaling down, pixels: it becomes video of that size."""

PORTRAIT_COLOUR = Colour("bt709", full_range=False, primaries="bt709", transfer="bt709")
"""Of the video that a portrait becomes."""

_FORMATS = ("JPEG", "PNG", "WEBP")


def read_portrait(path: Path) -> Picture:
    """A portrait as the picture that its video will show: upright, scaled, even-sized.

    Transparent parts become white. The colours are BT.709 in video range.

    Raises:
        RejectedInput: `not_media`, `damaged_media` or `too_large`.
    """
    with _open_image(path) as image:
        if image.width * image.height > 8 * MAX_PIXELS:
            raise RejectedInput(
                Code.TOO_LARGE, f"The picture is {image.width}x{image.height} pixels."
            )
        try:
            image.draft("RGB", (PORTRAIT_SIDE, PORTRAIT_SIDE))
            upright = _in_8_bits(ImageOps.exif_transpose(image)).convert("RGBA")
        except (OSError, SyntaxError, ValueError) as error:
            raise RejectedInput(
                Code.DAMAGED_MEDIA, "The picture can't be read to its end."
            ) from error
    canvas = Image.new("RGBA", upright.size, "white")
    canvas.alpha_composite(upright)
    scale = min(1.0, PORTRAIT_SIDE / max(canvas.size))
    width, height = (max(2, round(side * scale) // 2 * 2) for side in canvas.size)
    rgb = canvas.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    return _from_rgb(np.asarray(rgb))


def _in_8_bits(image: Image.Image) -> Image.Image:
    """The same picture; Pillow would cut 16-bit grey off at 255 and make it white."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))


def is_portrait(path: Path) -> bool:
    """Whether the content, not the name, is a picture of a kind that counts as a portrait."""
    try:
        with _open_image(path):
            return True
    except RejectedInput:
        return False


def jpeg(rgb: Plane) -> bytes:
    """(H, W, 3) uint8 RGB as a JPEG file's bytes."""
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, "JPEG", quality=88)
    return out.getvalue()


@contextmanager
def _open_image(path: Path) -> Iterator[Image.Image]:
    try:
        image = Image.open(path, formats=_FORMATS)
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise RejectedInput(Code.NOT_MEDIA, "The file is no picture that can be read.") from error
    with image:
        yield image


def _from_rgb(rgb: Plane) -> Picture:
    scaled = rgb.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    y, u, v = rgb_to_yuv(scaled, PORTRAIT_COLOUR)

    def halve(plane: Plane) -> Plane:
        height, width = plane.shape
        quads = plane.reshape(height // 2, 2, width // 2, 2).astype(np.float32)
        mean: Plane = np.rint(np.mean(quads, axis=(1, 3))).astype(np.uint8)
        return mean

    return Picture(y, halve(u), halve(v))
