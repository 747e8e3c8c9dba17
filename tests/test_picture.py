import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from functions.picture import (
    Colour,
    Picture,
    affine_to_upsampled_chroma,
    crop_rgb,
    crop_yuv,
    rgb_to_yuv,
    whole_rgb,
    yuv_to_rgb,
)

COLOURS = [
    Colour(matrix, full_range=full) for matrix in ("bt601", "bt709") for full in (False, True)
]
SWSCALE = {"bt601": "ITU601", "bt709": "ITU709"}


def swscale(yuv: NDArray[np.uint8], colour: Colour) -> NDArray[np.uint8]:
    """Ffmpeg's own conversion of (3, H, W) YUV 4:4:4 to (3, H, W) RGB."""
    frame = av.VideoFrame.from_ndarray(yuv, format="yuv444p")
    converted = frame.reformat(
        format="gbrp",
        src_colorspace=SWSCALE[colour.matrix],
        src_color_range="JPEG" if colour.full_range else "MPEG",
        dst_color_range="JPEG",
    )
    green, blue, red = (
        np.frombuffer(memoryview(p), np.uint8).reshape(-1, p.line_size)[:, : frame.width]
        for p in converted.planes
    )
    return np.stack([red, green, blue])


@pytest.mark.parametrize("colour", COLOURS, ids=str)
def test_rgb_is_as_ffmpeg_makes_it(colour: Colour) -> None:
    """Each matrix and range gives the colours that ffmpeg's scaler gives, within 2 of 255."""
    # Beyond video range the scaler's fast arithmetic wraps around.
    ends = (0, 255) if colour.full_range else (16, 235)
    levels = np.linspace(*ends, 18).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"))
    yuv = np.ascontiguousarray(cube.reshape(3, 18, 18 * 18))
    ours = yuv_to_rgb(yuv.astype(np.float32), colour) * 255
    assert np.abs(ours - swscale(yuv, colour)).max() <= 2


@pytest.mark.parametrize("colour", COLOURS, ids=str)
def test_full_range_601_is_jpeg(colour: Colour) -> None:
    """BT.601 over the full range is what OpenCV, as every JPEG, calls YCrCb; the others aren't."""
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 256, (40, 40, 3), np.uint8)
    y, cr, cb = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb).transpose(2, 0, 1)
    ours = rgb_to_yuv(rgb.transpose(2, 0, 1).astype(np.float32) / 255, colour)
    same = np.abs(ours.astype(int) - np.stack([y, cb, cr])).max() <= 1
    assert same is np.bool_(colour == Colour("bt601", full_range=True))


@given(st.sampled_from([*COLOURS, Colour("bt2020")]), st.integers(0, 2**32 - 1))
def test_colours_return(colour: Colour, seed: int) -> None:
    """RGB becomes YUV and RGB again within what rounding YUV to whole numbers costs."""
    rgb = np.random.default_rng(seed).random((3, 8, 8), np.float32)
    back = yuv_to_rgb(rgb_to_yuv(rgb, colour).astype(np.float32), colour)
    assert np.abs(back - rgb).max() < 2 / 255


def test_black_white_and_grey_have_no_colour() -> None:
    """Greys have chroma 128; black and white span the range."""
    for colour in COLOURS:
        grey = np.broadcast_to(np.linspace(0, 1, 5, dtype=np.float32), (3, 1, 5))
        y, u, v = rgb_to_yuv(grey, colour)
        assert (u == 128).all()
        assert (v == 128).all()
        assert (y[0, 0], y[0, -1]) == ((0, 255) if colour.full_range else (16, 235))


@given(st.integers(1, 20), st.integers(1, 20), st.data())
def test_pictures_pack_and_cut(half_height: int, half_width: int, data: st.DataObject) -> None:
    """Packing loses nothing, and a cut is the same rectangle of all three planes."""
    height, width = 2 * half_height, 2 * half_width
    rng = np.random.default_rng(half_height)
    packed = rng.integers(0, 256, (height * 3 // 2, width), np.uint8)
    picture = Picture.unpack(packed)
    assert (picture.width, picture.height) == (width, height)
    assert np.array_equal(picture.packed(), packed)
    x, y = (2 * data.draw(st.integers(0, half - 1)) for half in (half_width, half_height))
    w, h = (
        2 * data.draw(st.integers(1, half)) for half in (half_width - x // 2, half_height - y // 2)
    )
    cut = picture.cut(x, y, w, h)
    assert np.array_equal(cut.y, picture.y[y : y + h, x : x + w])
    for ours, whole in ((cut.u, picture.u), (cut.v, picture.v)):
        assert np.array_equal(ours, whole[y // 2 : (y + h) // 2, x // 2 : (x + w) // 2])
    assert np.array_equal(Picture.unpack(cut.packed()).packed(), cut.packed())


def test_packed_is_what_ffmpeg_takes() -> None:
    """The packed array is PyAV's own array of a yuv420p frame."""
    rng = np.random.default_rng(2)
    packed = rng.integers(0, 256, (36 * 3 // 2, 50), np.uint8)
    frame = av.VideoFrame.from_ndarray(packed, format="yuv420p")
    u = frame.planes[1]
    assert np.array_equal(
        np.frombuffer(memoryview(u), np.uint8).reshape(-1, u.line_size)[:, :25],
        Picture.unpack(packed).u,
    )


def ramp(width: int, height: int) -> Picture:
    """Luma grows by 2 a pixel in x, u by 2 a luma pixel in x, v by 2 a luma pixel in y.

    A chroma sample stands between two luma samples: sample c is the value at 2c + 0.5.
    """
    x = np.arange(width)
    centres_x, centres_y = np.arange(width // 2) * 2 + 0.5, np.arange(height // 2) * 2 + 0.5
    half = (height // 2, width // 2)
    return Picture(
        np.broadcast_to(20 + 2 * x, (height, width)).astype(np.uint8),
        np.broadcast_to(20 + 2 * centres_x, half).astype(np.uint8),
        np.broadcast_to((20 + 2 * centres_y)[:, None], half).astype(np.uint8),
    )


@pytest.mark.parametrize("angle", [0.0, 7.0, -31.0])
@pytest.mark.parametrize("scale", [0.6, 1.0, 1.7])
def test_crops_take_luma_and_chroma_from_the_same_place(angle: float, scale: float) -> None:
    """Luma and both chroma planes of a crop show the place that the matrix says."""
    picture, size, colour = ramp(96, 96), 32, Colour("bt709", full_range=True)
    affine = cv2.getRotationMatrix2D((47.3, 50.1), angle, scale).astype(np.float32)
    affine[:, 2] += np.float32(size / 2) - np.float32([47.3, 50.1])
    back = cv2.invertAffineTransform(affine)
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    x = back[0, 0] * columns + back[0, 1] * rows + back[0, 2]
    y = back[1, 0] * columns + back[1, 1] * rows + back[1, 2]
    expected = yuv_to_rgb(np.stack([20 + 2 * x, 20 + 2 * x, 20 + 2 * y]), colour)
    crop = crop_rgb(picture, affine, size, colour)
    assert crop.shape == (3, size, size)
    inside = (expected > 0) & (expected < 1)
    assert inside.mean() > 0.2
    # One step of the ramp a pixel is 2 of 255; the largest weight of chroma is 1.9.
    assert np.abs(crop - expected)[inside].max() < 0.6 * 2 * 2.9 / 255


def test_beyond_the_border_the_edge_goes_on() -> None:
    """A crop that reaches out of the picture repeats its edge, in all planes."""
    picture = Picture.unpack(np.full((12, 8), 100, np.uint8))
    affine = np.array([[1, 0, 20], [0, 1, 20]], np.float32)
    crop = crop_rgb(picture, affine, 16, Colour())
    assert np.ptp(crop, axis=(1, 2)).max() == 0


def test_identity_for_chroma() -> None:
    """The identity on luma places chroma's first sample at a quarter of a luma pixel: .5."""
    identity = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    chroma = affine_to_upsampled_chroma(identity)
    assert np.allclose(chroma @ [0, 0, 1], [0.5, 0.5])
    assert np.allclose(chroma @ [3, 2, 1], [6.5, 4.5])


def test_whole_pictures_are_as_crops() -> None:
    """The whole picture as RGB is what an identity crop shows."""
    picture, colour = ramp(64, 64), Colour("bt601", full_range=True)
    whole = whole_rgb(picture, colour)
    crop = crop_rgb(picture, np.array([[1, 0, 0], [0, 1, 0]], np.float32), 64, colour)
    assert whole.shape == (64, 64, 3)
    assert np.abs(whole.transpose(2, 0, 1) - crop * 255).max() <= 2.5


def waves(size: int, length: float) -> Picture:
    """Grey waves of so many pixels, in luma and in chroma."""
    place = np.arange(size)
    luma = np.rint(120 + 60 * np.sin(2 * np.pi * place / length)).astype(np.uint8)
    y = np.tile(luma, (size, 1))
    u = np.tile(luma[::2], (size // 2, 1))
    return Picture(y, u, np.ascontiguousarray(u.T))


def test_an_unconverted_crop_is_the_converted_one() -> None:
    """The same crop in YUV, turned into RGB, is `crop_rgb`'s, but for its sharper luma."""
    picture, colour = waves(128, 40), Colour("bt601")
    affine = np.array([[0.9, 0.1, -5], [-0.1, 0.9, 3]], np.float32)
    yuv = crop_yuv(picture, affine, (80, 64))
    assert yuv.shape == (64, 80, 3)
    rgb = yuv_to_rgb(list(yuv.transpose(2, 0, 1)), colour)
    whole = crop_rgb(picture, affine, 80, colour)[:, :64]
    assert np.abs(rgb - whole)[:, 4:-4, 4:-4].max() < 0.03


def test_a_crop_of_a_huge_face_has_no_moire() -> None:
    """Stripes too fine for the crop become grey instead of other stripes."""
    affine = np.array([[0.2, 0, 0], [0, 0.2, 0]], np.float32)
    fine = crop_yuv(waves(512, 4.1), affine, (96, 96))[8:-8, 8:-8, 0]
    assert np.ptp(fine.astype(int)) < 25
    # Coarse ones are all there, and in their place.
    coarse = crop_yuv(waves(512, 80), affine, (96, 96))[48, :, 0].astype(float)
    expected = 120 + 60 * np.sin(2 * np.pi * (np.arange(96) / 0.2) / 80)
    assert np.abs(coarse - expected)[4:-4].max() < 12


def test_a_crop_beyond_the_border_repeats_the_edge() -> None:
    """No black comes in where a face is cut off by the frame."""
    picture = waves(64, 16)
    affine = np.array([[1, 0, 20], [0, 1, 20]], np.float32)
    crop = crop_yuv(picture, affine, (96, 96))
    assert np.array_equal(crop[50, :15, 0], np.full(15, picture.y[30, 0]))
