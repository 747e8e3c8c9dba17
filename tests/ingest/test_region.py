import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.ingest.region import Region
from functions.picture import Colour, Picture, crop_rgb

COLOUR = Colour()


def smooth_picture(width, height):
    """Slow waves of luma and chroma, so that any way of sampling them agrees."""
    y, x = np.mgrid[:height, :width]
    luma = 120 + 60 * np.sin(x / 90) * np.cos(y / 70)
    u, v = 128 + 30 * np.sin(x[::2, ::2] / 80), 128 + 30 * np.cos(y[::2, ::2] / 60)
    return Picture(*(np.rint(plane).astype(np.uint8) for plane in (luma, u, v)))


PICTURE = smooth_picture(960, 720)
regions = st.builds(
    Region, st.floats(0, 960), st.floats(0, 720), st.floats(60, 1400), st.floats(-3.1, 3.1)
)


@given(regions)
@settings(max_examples=60, deadline=None)
def test_averaging_first_moves_nothing(region):
    """A large region's crop shows the same picture as direct sampling does."""
    crop = region.crop(PICTURE, 192, COLOUR)
    direct = crop_rgb(PICTURE, region.affine(192), 192, COLOUR)
    assert crop.shape == (3, 192, 192)
    # Near the frame's edge whole blocks may leave a few pixels out, and rounding adds its part.
    assert np.abs(crop - direct).mean() < 0.01


@given(regions)
def test_the_affine_puts_the_centre_in_the_middle(region):
    """The centre maps to the crop's middle, and the side to its size."""
    affine = region.affine(192)
    np.testing.assert_allclose(affine @ [region.x, region.y, 1], [96, 96], atol=0.05)
    scale = np.sqrt(abs(np.linalg.det(affine[:, :2].astype(np.float64))))
    np.testing.assert_allclose(scale, 192 / region.side, rtol=1e-4)


def test_a_large_region_is_averaged():
    """Pixel noise, which bilinear sampling would keep, is gone from a large region's crop."""
    noise = np.random.default_rng(0).integers(0, 256, (720, 720), dtype=np.uint8)
    flat = np.full((360, 360), 128, np.uint8)
    picture, region = Picture(noise, flat, flat), Region(360, 360, 720, 0.3)
    averaged = region.crop(picture, 90, COLOUR)[:, 30:60, 30:60].std()
    direct = crop_rgb(picture, region.affine(90), 90, COLOUR)[:, 30:60, 30:60].std()
    assert averaged < 0.4 * direct
