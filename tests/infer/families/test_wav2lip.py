"""Wav2Lip against an independent reading of what is published about it."""

from fractions import Fraction

import cv2
import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.wav2lip_graph import write_wav2lip as write_published
from functions.infer.backends import OnnxRuntime
from functions.infer.families.wav2lip import Wav2Lip, window_begin
from functions.infer.family import Span
from functions.infer.model_add import make_model
from functions.infer.router import Router
from functions.picture import rgb_to_yuv, yuv_to_rgb
from functions.settings import ModelSettings

from .conftest import NAMING
from .published_wav2lip import RATE, Spy, Takes, published_input, published_mel


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(50), Fraction(12)])
def test_windows_are_the_published_ones(load_wav2lip, recording, rate):
    """Each frame hears the 16 columns from int(80 i / rate) on, to 1e-4, as long as they last."""
    voice = recording(2.0)
    mel = published_mel(voice.sound)
    frames = round(2 * rate)
    heard = load_wav2lip().hear(voice, Span(0, frames, rate, range(frames)))
    assert heard.shape == (frames, 1, 80, 16)
    compared = 0
    for frame in range(frames):
        start = int(frame * 80 / float(rate))
        if start + 16 <= mel.shape[1]:
            compared += 1
            np.testing.assert_allclose(heard[frame, 0], mel[:, start : start + 16], atol=1e-4)
    assert compared >= frames - float(rate) * 0.2 - 1


def test_the_end_is_heard_to_the_end(load_wav2lip, recording):
    """10 s at 25 frames a second have 250 windows, not 247; past the end they hold silence."""
    voice = recording(10.0)
    mel = published_mel(voice.sound)
    heard = load_wav2lip().hear(voice, Span(240, 250, RATE, range(10)))
    start = int(249 * 3.2)
    left = mel.shape[1] - start
    assert left < 16
    np.testing.assert_allclose(heard[-1, 0, :, :left], mel[:, start:], atol=1e-4)
    # Two columns more reach back into the recording.
    assert (heard[-1, 0, :, left + 2 :] == -4).all()


@settings(max_examples=20)
@given(st.integers(0, 60), st.integers(1, 30), st.sampled_from([(25, 1), (30000, 1001), (60, 1)]))
def test_a_window_does_not_depend_on_the_cut(first, count, rate):
    """A frame hears the same bits in whatever segment it comes."""
    rate = Fraction(*rate)
    begins = [window_begin(frame, rate) for frame in range(first, first + count)]
    assert begins == [int(Fraction(80) * frame / rate) for frame in range(first, first + count)]


def test_windows_begin_later_by_the_offset(load_wav2lip, recording):
    """An offset of k columns is the window k columns later, before the start there is silence."""
    voice = recording(1.0)
    mel = published_mel(voice.sound)
    span = Span(0, 25, RATE, range(25))
    late = load_wav2lip(table={"offset": 3}).hear(voice, span)
    np.testing.assert_allclose(late[5, 0], mel[:, 19:35], atol=1e-4)
    early = load_wav2lip(table={"offset": -20}).hear(voice, span)
    assert (early[0, 0] == -4).all()


@pytest.mark.parametrize(
    "box",
    [(100, 90, 196, 186), (100, 80, 292, 272), (60, 100, 252, 196)],
    ids=["as it is", "halved", "squeezed"],
)
def test_faces_are_the_published_ones(load_wav2lip, recording, box):
    """Blue first, in 0..1, three channels black below, three whole: to 1e-4 of the resized crop."""
    takes = Takes.make(box, step=4)
    family = load_wav2lip(table={"pads": [0, 0, 0, 0]})
    family._generator = spy = Spy(family._generator)
    span = Span(0, 6, RATE, range(6))
    assert len(list(family.render(takes, b"", recording(0.5), span))) == 6
    given = np.concatenate([inputs["video_frames"] for inputs in spy.given])
    wanted = np.stack([published_input(takes.picture(i), box, 96) for i in range(6)])
    np.testing.assert_allclose(given, wanted, atol=1e-4)


def check_patches(family, voice):
    """Our patches equal a bare run of the graph on inputs made by hand, to one step of 255."""
    box = (100, 80, 292, 272)
    takes = Takes.make(box, step=4)
    session = onnxruntime.InferenceSession(family.path, providers=["CPUExecutionProvider"])
    mel = published_mel(voice.sound)
    outside = family.manifest.mask.outside(96)
    for frame, patch in enumerate(family.render(takes, b"", voice, Span(0, 6, RATE, range(6)))):
        start = int(frame * 3.2)
        window = mel[None, None, :, start : start + 16].astype(np.float32)
        face = published_input(takes.picture(frame), box, 96)[None].astype(np.float32)
        [made] = session.run(None, {family._mel.name: window, family._face.name: face})
        wanted = rgb_to_yuv(np.ascontiguousarray(made[0, ::-1]), takes.footage.colour)
        assert np.abs(patch.planes.astype(int) - wanted)[:, ~outside].max() <= 1
        # Where the patch goes: the box's corners to the patch's.
        corners = patch.affine @ [[99.5, 291.5], [79.5, 271.5], [1, 1]]
        np.testing.assert_allclose(corners, [[-0.5, 95.5], [-0.5, 95.5]], atol=1e-3)
    assert not outside[48:90, 30:66].any()


def test_patches_are_what_the_graph_makes_of_published_inputs(load_wav2lip, recording):
    """Crops, order, windows and the way back are right together, on a small graph."""
    check_patches(load_wav2lip(table={"pads": [0, 0, 0, 0]}), recording(0.5))


@pytest.mark.slow
def test_the_published_network_makes_the_same_patches(tmp_path, recording):
    """And on the published architecture in its full size, 145 MB of random weights."""
    path, into = write_published(tmp_path / "wav2lip.onnx"), tmp_path / "model"
    into.mkdir()
    table = {"pads": [0, 0, 0, 0]}
    manifest = make_model([path], NAMING, into, ModelSettings(), table=table)
    family = Wav2Lip.load(manifest, Router((OnnxRuntime(),)), 4)
    family.path = path
    check_patches(family, recording(0.5))


def test_a_real_photograph_looks_like_the_published_crop(load_wav2lip, studio, recording):
    """A photograph's crop is OpenCV's resize of it, but for whole pixels: 2/255 apart."""
    family = load_wav2lip(table={"pads": [0, 0, 0, 0]})
    family._generator = spy = Spy(family._generator)
    place = studio([1], kind="portrait")
    list(family.render(place, b"", recording(0.1), Span(0, 1, RATE, (0,))))
    face = spy.given[0]["video_frames"][0, 3:]
    picture, marks = place.shots[0].picture, place.shots[0].landmarks
    yuv = np.stack([picture.y, *(cv2.resize(p, picture.y.shape) for p in (picture.u, picture.v))])
    rgb = yuv_to_rgb(yuv.astype(np.float32), place.footage.colour)
    left, top, right, bottom = np.rint([*marks.min(axis=0) + 0.5, *marks.max(axis=0) + 0.5])
    crop = rgb[:, int(top) : int(bottom), int(left) : int(right)].transpose(1, 2, 0)
    wanted = cv2.resize(crop, (96, 96)).transpose(2, 0, 1)[::-1]
    assert np.abs(face - wanted).mean() < 2 / 255
