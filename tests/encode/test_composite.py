import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from functions.encode.composite import Canvas, blend, draw_mask, mix, touched
from functions.patches import Mask
from functions.picture import Affine, Picture, Plane

MASK = Mask()
WIDTH, HEIGHT = 160, 120


def noise(width: int, height: int, seed: int = 0) -> Picture:
    random = np.random.default_rng(seed)
    packed = random.integers(0, 256, (height * 3 // 2, width), np.uint8)
    return Picture.unpack(packed)


def copy(picture: Picture) -> Canvas:
    canvas = Canvas(picture.width, picture.height)
    canvas.load(picture)
    return canvas


def placed(x: float, y: float, scale: float, degrees: float, size: int) -> Affine:
    """Frame to patch: the patch's centre at (x, y), its side `size / scale` frame pixels."""
    turn = math.radians(degrees)
    linear = scale * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    return np.column_stack([linear, size / 2 - linear @ (x, y)]).astype(np.float32)


def grey_patch(size: int, y: int, u: int, v: int) -> Plane:
    return np.stack([np.full((size, size), value, np.uint8) for value in (y, u, v)])


@settings(max_examples=60, deadline=None)
@given(
    x=st.floats(-60, WIDTH + 60),
    y=st.floats(-60, HEIGHT + 60),
    scale=st.floats(0.3, 3),
    degrees=st.floats(-180, 180),
    opacity=st.floats(0, 1),
    size=st.sampled_from([32, 65, 128]),
)
def test_pixels_outside_the_mask_stay(
    *, x: float, y: float, scale: float, degrees: float, opacity: float, size: int
) -> None:
    """Wherever a patch lands, in part or wholly outside too, all else keeps its numbers."""
    source = noise(WIDTH, HEIGHT)
    patch = np.random.default_rng(1).integers(0, 256, (3, size, size), np.uint8)
    affine = placed(x, y, scale, degrees, size)
    canvas = copy(source)
    blend(canvas.picture, patch, affine, opacity, MASK)
    luma, chroma = touched((WIDTH, HEIGHT), size, affine, opacity, MASK)
    assert np.array_equal(canvas.picture.y[~luma], source.y[~luma])
    assert np.array_equal(canvas.picture.u[~chroma], source.u[~chroma])
    assert np.array_equal(canvas.picture.v[~chroma], source.v[~chroma])


def test_touched_is_no_larger_than_the_ellipse() -> None:
    """The touched pixels are the mask's: an ellipse with its feather, not the patch's square."""
    size = 100
    affine = placed(80, 60, 1, 0, size)
    luma, chroma = touched((WIDTH, HEIGHT), size, affine, 1, MASK)
    rows, columns = np.nonzero(luma)
    # Patch pixel p is frame pixel p + 30 across and p + 10 down.
    across, down = (columns - 30 - 49.5) / 42, (rows - 10 - 52.5) / 41
    feather = 4 * MASK.feather * size / 41
    assert np.hypot(across, down).max() <= 1 + feather
    assert luma.sum() >= math.pi * 42 * 41
    assert chroma.sum() == pytest.approx(luma.sum() / 4, rel=0.06)


@pytest.mark.parametrize("degrees", [0, 30])
def test_nothing_shows_at_opacity_0(degrees: float) -> None:
    """A frame without a face, opacity 0, passes through untouched."""
    source = noise(WIDTH, HEIGHT)
    canvas = copy(source)
    blend(canvas.picture, grey_patch(64, 255, 0, 0), placed(80, 60, 1, degrees, 64), 0, MASK)
    assert np.array_equal(canvas.picture.packed(), source.packed())
    luma, chroma = touched((WIDTH, HEIGHT), 64, placed(80, 60, 1, degrees, 64), 0, MASK)
    assert not luma.any()
    assert not chroma.any()


@pytest.mark.parametrize("opacity", [0.25, 0.5, 1.0])
def test_middle_of_the_mask_takes_the_patch(opacity: float) -> None:
    """In the mask's middle a picture moves towards the patch by the opacity, in all planes."""
    flat = Picture(
        np.full((120, 160), 40, np.uint8),
        np.full((60, 80), 100, np.uint8),
        np.full((60, 80), 160, np.uint8),
    )
    canvas = copy(flat)
    blend(canvas.picture, grey_patch(64, 200, 60, 220), placed(80, 60, 1, 0, 64), opacity, MASK)
    middle = canvas.picture.y[60, 80], canvas.picture.u[30, 40], canvas.picture.v[30, 40]
    for got, before, patch in zip(middle, (40, 100, 160), (200, 60, 220), strict=True):
        assert abs(int(got) - (before + opacity * (patch - before))) <= 1


@pytest.mark.parametrize("degrees", [0, 90, 17])
def test_crop_put_back_leaves_colours(degrees: float) -> None:
    """A patch cut out of a smooth picture and put back changes no number by more than 1."""
    size = 64
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    affine = placed(80, 60, 0.9, degrees, size)
    inverse = np.linalg.inv(np.vstack([affine, [0, 0, 1]]))
    patch_rows, patch_columns = np.mgrid[0:size, 0:size].astype(np.float32)
    x = inverse[0, 0] * patch_columns + inverse[0, 1] * patch_rows + inverse[0, 2]
    y = inverse[1, 0] * patch_columns + inverse[1, 1] * patch_rows + inverse[1, 2]

    def ramps(x: NDArray[np.float32], y: NDArray[np.float32]) -> list[Plane]:
        # Steep enough that chroma half a pixel off would show, and within 0..255 in the mask.
        values = (30 + x, 128 + 2.5 * (x - 80), 128 + 2.5 * (y - 60))
        return [np.clip(np.rint(value), 0, 255).astype(np.uint8) for value in values]

    luma = ramps(columns, rows)[0]
    # Chroma pixel c is centred on luma 2 c + .5.
    _, u, v = ramps(columns[::2, ::2] + 0.5, rows[::2, ::2] + 0.5)
    source = Picture(luma, u, v)
    canvas = copy(source)
    blend(canvas.picture, np.stack(ramps(x, y)), affine, 1, MASK)
    for after, before in zip(
        (canvas.picture.y, canvas.picture.u, canvas.picture.v), (luma, u, v), strict=True
    ):
        assert np.abs(after.astype(int) - before).max() <= 1


def test_decoder_memory_is_never_written() -> None:
    """The source picture may be read-only; only the canvas changes."""
    source = noise(WIDTH, HEIGHT)
    for plane in (source.y, source.u, source.v):
        plane.setflags(write=False)
    canvas = copy(source)
    blend(canvas.picture, grey_patch(64, 255, 0, 0), placed(80, 60, 1, 0, 64), 1, MASK)
    assert not np.array_equal(canvas.picture.y, source.y)


def test_canvas_packs_planes_as_ffmpeg_reads_them() -> None:
    """The bytes are Y, then U, then V, whatever the source planes' strides."""
    padded = np.random.default_rng(2).integers(0, 256, (4, 16), np.uint8)
    picture = Picture(padded[:, :8], padded[:2, 8:12], padded[2:, 8:12])
    expected = b"".join(plane.tobytes() for plane in (picture.y, picture.u, picture.v))
    assert bytes(copy(picture).data) == expected


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_mix_is_exact(under: int, over: int, alpha: int) -> None:
    """Blending is right to the nearest number, and alpha 0 and 255 are exact."""
    plane = np.full((1, 1), under, np.uint8)
    mix(plane, np.full((1, 1), over, np.uint8), np.full((1, 1), alpha, np.uint8))
    assert abs(int(plane[0, 0]) - (under + (over - under) * alpha / 255)) <= 0.5 + 1e-6


@pytest.mark.parametrize("size", [32, 96, 256])
def test_mask_ends_before_the_border(size: int) -> None:
    """The strip along the border is 0, the middle is whole, and the edge between is soft."""
    weights = draw_mask(MASK, size).plane
    strip = max(1, round(MASK.border * size))
    for edge in (weights[:strip], weights[-strip:], weights[:, :strip], weights[:, -strip:]):
        assert not edge.any()
    assert weights[size // 2, size // 2] == 255
    assert len(np.unique(weights)) > 8
