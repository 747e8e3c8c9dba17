import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from functions.errors import RejectedInput
from functions.infer.backends import OnnxRuntime
from functions.infer.family import Span
from functions.infer.manifest import Crop
from functions.infer.viseme import Viseme
from functions.picture import Colour, rgb_to_yuv
from functions.plans import source_frames

RATE = Fraction(25)


class Script:
    """An ear that says what it was told to, whatever it hears."""

    def __init__(self, mouth):
        self.mouth = np.asarray(mouth, np.float32)

    def hear(self, samples, rate, first, last, *, level, offset=0):
        # Beyond the script there is silence, as in a recording.
        said = np.zeros((last - first, 4), np.float32)
        part = self.mouth[first:last]
        said[: len(part)] = part
        return said


@pytest.fixture(scope="module")
def scripted(manifest, interior):
    return lambda mouth: Viseme(manifest, Script(mouth), interior, "none")


@pytest.fixture(scope="module")
def model(manifest):
    return Viseme.load(manifest, OnnxRuntime(), 8)


def render(model, footage, voice, first, last, loop="pingpong", prepared=None):
    shown = tuple(source_frames(range(first, last), footage.footage.frames, loop))
    prepared = prepared or model.prepare(footage)
    return list(model.render(footage, prepared, voice, Span(first, last, RATE, shown, loop)))


def same(one, other):
    return (
        np.array_equal(one.planes, other.planes)
        and np.array_equal(one.affine, other.affine)
        and one.opacity == other.opacity
    )


@pytest.mark.parametrize("loop", ["pingpong", "restart"])
def test_segments_do_not_show(model, studio, recording, loop):
    """The same frames come out of one segment and of many, whatever the chunks and batches."""
    voice, footage = recording(1.6), studio([7, 11], faceless=[9])
    whole = render(model, footage, voice, 0, 40, loop)
    for cuts in ([0, 1, 9, 26, 40], [0, 20, 40]):
        parts = [
            patch
            for first, last in itertools.pairwise(cuts)
            for patch in render(model, footage, voice, first, last, loop)
        ]
        assert len(parts) == len(whole) == 40
        assert all(same(part, patch) for part, patch in zip(parts, whole, strict=True))


def test_a_frame_without_a_face_is_left_alone(scripted, studio, recording):
    """Its patch is transparent, and nothing is rendered for it."""
    footage = studio([6, 6], faceless=[3], gap=2)
    patches = render(scripted(np.ones((14, 4))), footage, recording(1), 0, 14, "restart")
    assert [patch.opacity == 0 for patch in patches] == [n in (3, 6, 7) for n in range(14)]
    assert all(np.ptp(patches[n].planes) == 0 for n in (3, 6, 7))


def test_a_portrait_speaks(scripted, studio, recording):
    """One frame is shown all the time: still when the mouth is still, moving when it moves."""
    # The jaw begins to fall two frames before the lips part.
    mouth = [(0, 0, 0, 0)] * 5 + [(0.8, 0, 0, 0)] * 3
    footage = studio([1], kind="portrait")
    patches = render(scripted(mouth), footage, recording(1), 0, 8)
    assert all(patch.opacity == 1 for patch in patches)
    assert np.array_equal(patches[0].planes, patches[2].planes)
    moved = np.abs(patches[6].planes[0].astype(int) - patches[0].planes[0])
    assert (moved > 40).sum() > 300


def test_a_portrait_keeps_its_grain(scripted, studio, recording):
    """What is cut out of a picture and put back gets a little sharper, as it lost a little."""
    grain = {}
    for kind in ("video", "portrait"):
        footage = studio([1], kind=kind)
        luma = footage.shots[0].picture.y
        noise = np.random.default_rng(3).normal(0, 6, luma.shape)
        luma[:] = np.clip(luma + noise, 16, 235)
        patch = render(scripted([(0, 0, 0, 0)]), footage, recording(1), 0, 1)[0]
        grain[kind] = np.diff(patch.planes[0, 60:200, 60:200].astype(float), 2).std()
    assert 1.02 < grain["portrait"] / grain["video"] < 1.3


def test_windows_are_decoded_once_for_each_pass(scripted, studio, recording):
    """A segment that turns round inside a chunk reads each of its windows once."""
    footage, model = studio([20]), scripted(np.zeros((30, 4)))
    prepared = model.prepare(footage)
    footage.decoded.clear()
    render(model, footage, recording(2), 10, 28, prepared=prepared)
    assert footage.decoded == list(range(10, 20))


def test_an_open_mouth_closes(scripted, studio, recording):
    """A presenter who never shuts her mouth does so at a p, b or m: no teeth are seen."""
    footage = studio([12])
    teeth = []
    for mouth in ((0.7, 0, 0, 0), (0, 0, 1, 0)):
        patch = render(scripted([mouth] * 12), footage, recording(1), 0, 12)[6]
        luma, _, red = patch.planes[:, 95:160, 80:176].astype(int)
        teeth.append(int(((luma > 110) & (red < 138)).sum()))
    assert teeth[0] > 200
    assert teeth[1] < 10


def test_a_large_face_has_a_large_patch(manifest, interior, studio, recording):
    """A crop that spans more than 320 of the footage's pixels is rendered at 384."""
    wide = replace(manifest, crop=Crop(256, 4.6, 0.78))
    model = Viseme(wide, Script(np.zeros((3, 4))), interior, "none")
    patches = render(model, studio([3]), recording(1), 0, 3)
    assert [patch.planes.shape for patch in patches] == [(3, 384, 384)] * 3


def test_footage_without_any_face_is_refused(scripted, studio):
    """There is nothing to prepare, and the sender is told."""
    with pytest.raises(RejectedInput, match="no_face"):
        scripted(np.zeros((1, 4))).prepare(studio([3], faceless=[0, 1, 2]))


def test_a_patch_is_in_the_footages_own_colours(scripted, studio, recording):
    """Where nothing moves, a patch's YUV is what the crop of the source's YUV is."""
    footage = studio([1])
    model = scripted([(0, 0, 0, 0)])
    (patch,) = render(model, footage, recording(1), 0, 1)
    shot = footage.shots[0].picture
    x, y = (np.linalg.inv(np.vstack([patch.affine, [0, 0, 1]])) @ [128, 36, 1])[:2]
    seen = shot.y[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3].mean()
    assert patch.planes[0, 34:39, 126:131].mean() == pytest.approx(seen, abs=4)
    grey = np.full((3, 2, 2), 0.5, np.float32)
    assert rgb_to_yuv(grey, Colour("bt601"))[0, 0, 0] == 126


def test_prepared_bytes_are_reproducible(scripted, studio):
    """Two workers that prepare the same footage write the same object."""
    model = scripted(np.zeros((1, 4)))
    assert model.prepare(studio([5])) == model.prepare(studio([5]))
