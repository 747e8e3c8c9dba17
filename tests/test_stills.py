import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from functions.errors import Code, RejectedInput
from functions.media import (
    open_container,
)
from functions.picture import Picture, whole_rgb
from functions.stills import PORTRAIT_COLOUR, PORTRAIT_SIDE, is_portrait, jpeg, read_portrait

# What a picture's EXIF orientation asks a viewer to do, as numpy does it.
ORIENTATIONS: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}


def quarters() -> NDArray[np.uint8]:
    """(64, 96, 3): a picture whose four quarters have different colours."""
    colours = np.array([[(200, 30, 30), (30, 200, 30)], [(30, 30, 200), (200, 200, 30)]], np.uint8)
    return colours.repeat(32, 0).repeat(48, 1)


def shown(picture: Picture) -> NDArray[np.int64]:
    return whole_rgb(picture, PORTRAIT_COLOUR).astype(np.int64)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_portraits_are_turned_upright(tmp_path: Path, kind: str, orientation: int) -> None:
    """The camera's note of how it was held is followed, in each kind of picture."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "portrait.dat"
    options = {"quality": 98, "lossless": True} if kind == "WEBP" else {"quality": 98}
    Image.fromarray(quarters()).save(path, kind, exif=exif, **options)
    wanted = ORIENTATIONS[orientation](quarters()).astype(np.int64)
    seen = shown(read_portrait(path))
    assert seen.shape == wanted.shape
    assert is_portrait(path)
    height, width = wanted.shape[:2]
    for y in (height // 4, 3 * height // 4):
        for x in (width // 4, 3 * width // 4):
            assert np.abs(seen[y, x] - wanted[y, x]).max() <= 6


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparency_becomes_white(tmp_path: Path, kind: str) -> None:
    """A cut-out portrait stands before white, half-transparent edges in between."""
    rgba = np.zeros((32, 32, 4), np.uint8)
    rgba[:, 16:] = (255, 0, 0, 255)
    rgba[:, 8:16] = (0, 0, 0, 128)
    path = tmp_path / "cut.dat"
    Image.fromarray(rgba).save(path, kind, lossless=True)
    seen = shown(read_portrait(path))
    assert np.abs(seen[16, 4] - 255).max() <= 3
    assert np.abs(seen[16, 12] - 127).max() <= 4
    assert np.abs(seen[16, 24] - [255, 0, 0]).max() <= 6


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "RGBA", "I;16"])
def test_portraits_of_other_modes(tmp_path: Path, mode: str) -> None:
    """Grey, palette, print and 16-bit pictures are read with their own look."""
    grey = Image.fromarray(np.full((20, 30), 200, np.uint8))
    if mode == "I;16":
        image = Image.fromarray(np.full((20, 30), 200 * 257, np.uint16))
    else:
        image = grey.convert("RGB").convert(mode) if mode in ("P", "CMYK") else grey.convert(mode)
    path = tmp_path / "mode.dat"
    image.save(path, "JPEG" if mode == "CMYK" else "PNG")
    seen = shown(read_portrait(path))
    assert abs(seen.mean() - 200) < (60 if mode == "1" else 4)


def test_large_portraits_are_scaled(tmp_path: Path) -> None:
    """A camera's picture is scaled to the largest side of video, even, in its own proportions."""
    path = tmp_path / "large.jpg"
    Image.new("RGB", (4001, 3001), "orange").save(path)
    picture = read_portrait(path)
    assert picture.width == PORTRAIT_SIDE
    assert picture.height == 1440
    assert np.abs(shown(picture)[0, 0] - [255, 165, 0]).max() <= 4


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (1, 4000), (33, 47)])
def test_small_and_odd_portraits(tmp_path: Path, size: tuple[int, int]) -> None:
    """Any size becomes even, and never nothing."""
    path = tmp_path / "small.png"
    Image.new("RGB", size, "white").save(path)
    picture = read_portrait(path)
    assert picture.width % 2 == picture.height % 2 == 0
    assert min(picture.width, picture.height) >= 2


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_huge_portraits_are_refused(tmp_path: Path) -> None:
    """A small file of a huge picture is refused without decoding it."""
    path = tmp_path / "huge.png"
    Image.new("1", (12_000, 8_000)).save(path)
    with pytest.raises(RejectedInput) as caught:
        read_portrait(path)
    assert caught.value.code is Code.TOO_LARGE


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_portraits(tmp_path: Path, data: st.DataObject) -> None:
    """A picture with bytes changed or cut off is refused or shown; nothing else happens."""
    path = tmp_path / "damaged.dat"
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "WEBP"]))
    Image.fromarray(quarters()).save(path, kind)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        assert read_portrait(path).width >= 2
    except RejectedInput as caught:
        assert caught.code in (Code.NOT_MEDIA, Code.DAMAGED_MEDIA, Code.TOO_LARGE)  # noqa: PT017


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "ICO", "PPM"])
def test_other_pictures_are_no_portraits(tmp_path: Path, kind: str) -> None:
    """Only the kinds that the product names are taken."""
    path = tmp_path / "other.png"
    Image.new("RGB", (32, 32)).save(path, kind)
    assert not is_portrait(path)
    for read in (open_container(path).__enter__, lambda: read_portrait(path)):
        with pytest.raises(RejectedInput) as caught:
            read()
        assert caught.value.code is Code.NOT_MEDIA


def test_jpeg() -> None:
    """A picture survives as JPEG, in its size and nearly its colours."""
    rgb = quarters()
    with Image.open(io.BytesIO(jpeg(rgb))) as image:
        assert image.format == "JPEG"
        seen = np.asarray(image).astype(np.int64)
    assert np.abs(seen - rgb).mean() < 3
