"""Graphs of the family: their shapes, sizes and precisions, and what no such graph is."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from onnx import TensorProto

from functions.errors import BadModelError, RejectedInput
from functions.infer.backends import OnnxRuntime
from functions.infer.families.wav2lip import face_box
from functions.infer.family import Span
from functions.plans import source_frames

from .published_wav2lip import (
    RATE,
    Takes,
)


@pytest.mark.parametrize(
    "shape",
    [
        {"names": ("source", "target", "output")},
        {"names": ("input1", "input2", "o"), "face_first": True},
        {"names": ("audio_sequences", "face_sequences", "y"), "columns": "t"},
        {"batch": 1},
        {"batch": 5},
        {"size": "s", "batch": "batch"},
    ],
    ids=str,
)
def test_tensors_are_known_by_their_shapes(load_wav2lip, studio, recording, shape):
    """Names, order, fixed and free batches and sizes change nothing."""
    place, voice, span = studio([7]), recording(0.5), Span(0, 7, RATE, range(7))
    plain = list(load_wav2lip().render(place, b"", voice, span))
    other = list(load_wav2lip(**shape).render(place, b"", voice, span))
    for one, two in zip(plain, other, strict=True):
        assert np.abs(one.planes.astype(int) - two.planes).max() <= 1
        np.testing.assert_array_equal(one.affine, two.affine)


@pytest.mark.parametrize("size", [96, 192, 256, 288, 384])
def test_every_size_gives_patches_of_its_own(load_wav2lip, studio, recording, size):
    """Patches have the graph's size, and lie where the face does."""
    family = load_wav2lip(size=size)
    place = studio([2])
    patches = list(family.render(place, b"", recording(0.2), Span(0, 2, RATE, range(2))))
    assert family.manifest.crop.size == size
    assert [patch.planes.shape for patch in patches] == [(3, size, size)] * 2
    mouth = place.shots[1].landmarks[13]
    x, y = patches[1].affine @ [*mouth, 1] / size
    assert 0.3 < x < 0.7
    assert 0.55 < y < 0.85


def test_half_precision_and_weights_beside_the_graph(load_wav2lip, studio, recording):
    """A float16 graph, and one whose weights are in a file of their own, give the same pictures."""
    place, voice, span = studio([3]), recording(0.5), Span(0, 3, RATE, range(3))
    plain = list(load_wav2lip().render(place, b"", voice, span))
    for shape in ({"kind": TensorProto.FLOAT16}, {"external": "weights.data"}):
        other = list(load_wav2lip(**shape).render(place, b"", voice, span))
        apart = [np.abs(a.planes.astype(int) - b.planes) for a, b in zip(plain, other, strict=True)]
        assert np.max(apart) <= 2


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(60)])
@pytest.mark.parametrize("loop", ["pingpong", "restart"])
def test_one_patch_for_each_frame_however_it_is_cut(load_wav2lip, studio, recording, rate, loop):
    """As many patches as the video has frames, the same ones in one piece or in several."""
    place, voice = studio([4, 6], faceless=[1], gap=3), recording(1.0)
    family = load_wav2lip(at_once=3)
    frames = round(rate)
    shown = tuple(source_frames(range(frames), place.footage.frames, loop))

    def render(first, last):
        return list(family.render(place, b"", voice, Span(first, last, rate, shown[first:last])))

    whole = render(0, frames)
    assert len(whole) == frames
    pieces = [
        patch for first in range(0, frames, 7) for patch in render(first, min(first + 7, frames))
    ]
    for one, two in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(one.affine, two.affine)
        assert one.opacity == two.opacity
        assert np.abs(one.planes.astype(int) - two.planes).max() <= 1


def test_a_frame_without_a_face_passes_through(load_wav2lip, studio, recording):
    """It has no opacity, and its neighbours fade: nothing ends a run."""
    place = studio([12], faceless=[5])
    span = Span(0, 12, RATE, range(12))
    opacity = [patch.opacity for patch in load_wav2lip().render(place, b"", recording(0.5), span)]
    assert opacity[5] == 0
    assert opacity[1] == opacity[9] == 1
    assert 0 < opacity[4] == opacity[6] < 1


def test_footage_without_a_face_is_refused(load_wav2lip, studio):
    """Nothing could be painted, so nobody waits for it."""
    place = studio([2], faceless=[0, 1])
    with pytest.raises(RejectedInput, match="face"):
        load_wav2lip().prepare(place)


def test_the_mask_is_feathered_and_keeps_the_upper_face(load_wav2lip):
    """Nothing above the nose is pasted, nothing reaches the patch's border."""
    for size in (96, 384):
        mask = load_wav2lip(size=size).manifest.mask
        outside = mask.outside(size)
        assert outside[: int(size * 0.4)].all()
        assert not outside[int(size * 0.6) : int(size * 0.88), size // 3 : size * 2 // 3].any()
        assert mask.feather > 0.02


def test_the_box_ends_with_the_frame():
    """Pads and faces beyond the frame's edges are cut off, as the published programs do."""
    footage = dataclasses.replace(Takes.make((0, 0, 10, 10)).footage, width=300, height=200)
    marks = np.array([[[-5.0, 20.5], [120.5, 195.5]]], np.float32)
    box = face_box(marks, pads=(4, 10, 0, 2), frame=footage)
    np.testing.assert_allclose(box, [[0, 17, 123, 200]])


@pytest.mark.parametrize(
    ("gain", "end", "said"),
    [(np.nan, "Sigmoid", "NaN"), (1e9, "Exp", "infinity"), (300.0, "Identity", "where 0 to 1")],
)
def test_what_is_no_picture_is_refused(load_wav2lip, studio, recording, gain, end, said):
    """NaN, infinity and another range name the model instead of becoming a mouth."""
    family = load_wav2lip(gain=gain, end=end)
    # Past the router, which would look for another device first.
    family._generator = OnnxRuntime().load(family.path)
    with pytest.raises(BadModelError, match=rf"small 1.*({said})"):
        list(family.render(studio([2]), b"", recording(0.2), Span(0, 2, RATE, range(2))))


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({"channels": 3}, "takes"),
        ({"bands": 128}, "takes"),
        ({"size": 64}, "takes"),
        ({"size": 512}, "takes"),
        ({"kind": TensorProto.DOUBLE}, "float64"),
    ],
)
def test_other_shapes_are_refused(load_wav2lip, shape, said):
    """What isn't Wav2Lip's says what it takes, and what would be."""
    with pytest.raises(BadModelError, match=rf"small 1.*{said}"):
        load_wav2lip(**shape)


def test_a_wrong_table_says_what_is_wrong(load_wav2lip):
    """A key of `[wav2lip]` that nobody knows, or a value that can't be, is named."""
    with pytest.raises(BadModelError, match="ofset"):
        load_wav2lip(table={"ofset": 1})
    with pytest.raises(BadModelError, match="pads"):
        load_wav2lip(table={"pads": [1, 2]})
