"""Wav2Lip against an independent reading of what is published about it."""

import dataclasses
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import cv2
import numpy as np
import onnxruntime
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from bench.wav2lip_graph import write_wav2lip as write_published
from functions.analysis import Chunk, Footage, Track
from functions.errors import BadModelError, RejectedInput
from functions.infer.backends import OnnxRuntime
from functions.infer.families.wav2lip import Wav2Lip, face_box, window_begin
from functions.infer.family import Span
from functions.infer.model_add import make_model
from functions.infer.model_draft import Naming
from functions.infer.router import Router
from functions.picture import Colour, Picture, rgb_to_yuv, yuv_to_rgb
from functions.plans import source_frames
from functions.settings import ModelSettings
from tests.infer.wav2lip_graphs import write_wav2lip

NAMING = Naming("wav2lip", "small", "1", "CC0-1.0")
RATE = Fraction(25)
SIDE = 400


@pytest.fixture
def load(tmp_path):
    """Makes a model of a graph with these shapes, and loads it."""

    def make(*, table=None, at_once=4, **shape):
        into = tmp_path / f"model-{len(list(tmp_path.iterdir()))}"
        into.mkdir()
        path = write_wav2lip(tmp_path / f"{into.name}.onnx", **shape)
        manifest = make_model([path], NAMING, into, ModelSettings(), table=table)
        family = Wav2Lip.load(manifest, Router((OnnxRuntime(),)), at_once)
        family.path = path
        return family

    return make


@dataclass(frozen=True)
class Takes:
    """Frames of luma noise in flat colours, with a face whose box has whole pixels."""

    footage: Footage
    box: tuple[int, int, int, int]
    step: int

    @staticmethod
    def make(box, frames=6, step=1):
        footage = Footage(
            digest="d",
            sha256="",
            kind="video",
            width=SIDE,
            height=SIDE,
            rate_numerator=25,
            rate_denominator=1,
            frames=frames,
            colour=Colour("bt601"),
            rotation=0,
            faces=frames,
            chunks=(Chunk(0, 0, frames, SIDE, SIDE),),
            poster_frame=0,
            container="",
            decoder="",
        )
        return Takes(footage, box, step)

    def track(self, chunk):
        left, top, right, bottom = self.box
        # Points count from the centres of pixels, boxes from their edges.
        points = np.full((chunk.count, 468, 2), ((left + right) / 2, (top + bottom) / 2))
        points[:, 10], points[:, 152] = (left - 0.5, top - 0.5), (right - 0.5, bottom - 0.5)
        points[:, 33, 0] -= 20
        points[:, 263, 0] += 20
        zeros = np.zeros((chunk.count, 2), np.int32)
        return Track(points.astype(np.float32), np.ones(chunk.count, np.float32), zeros)

    def picture(self, frame):
        random = np.random.default_rng(frame)
        # Steps of four keep averages of four whole, and no colour is one that must be clipped.
        y = random.integers(90, 180, (SIDE, SIDE)) // self.step * self.step
        half = (SIDE // 2, SIDE // 2)
        u, v = np.full(half, 118 + frame, np.uint8), np.full(half, 138 - frame, np.uint8)
        return Picture(y.astype(np.uint8), u, v)

    def windows(self, chunk, first, last):
        return (self.picture(frame) for frame in range(first, last))


def bgr_of(picture):
    """BT.601 in its common form, without rounding: (H, W, 3) in 0..1."""
    y = (picture.y.astype(np.float64) - 16) * 255 / 219
    u, v = float(picture.u[0, 0]) - 128.0, float(picture.v[0, 0]) - 128.0
    red = y + 1.402 * v * 255 / 224
    green = y - (0.114 * 1.772 * u + 0.299 * 1.402 * v) / 0.587 * 255 / 224
    blue = y + 1.772 * u * 255 / 224
    return np.clip(np.stack([blue, green, red], axis=2) / 255, 0, 1)


def published_input(picture, box, size):
    """The published inference, in numbers: crop, resize, black lower half, then the whole."""
    left, top, right, bottom = box
    crop = bgr_of(picture)[top:bottom, left:right]
    rows, columns = crop.shape[0] // size, crop.shape[1] // size
    # A bilinear resize by 1/2 takes the average of two, by 1 nothing at all.
    assert {rows, columns} <= {1, 2}
    face = crop.reshape(size, rows, size, columns, 3).mean(axis=(1, 3))
    masked = face.copy()
    masked[size // 2 :] = 0
    return np.concatenate([masked, face], axis=2).transpose(2, 0, 1)


@cache
def slaney_bank():
    """80 triangles of unit area from 55 to 7600 Hz, evenly spaced on Slaney's scale."""

    def mel(hz):
        return hz * 3 / 200 if hz < 1000 else 15 + np.log(hz / 1000) * 27 / np.log(6.4)

    def hertz(value):
        return value * 200 / 3 if value < 15 else 1000 * np.exp((value - 15) * np.log(6.4) / 27)

    corners = [hertz(value) for value in np.linspace(mel(55), mel(7600), 82)]
    bank = np.zeros((80, 401))
    for band, (low, middle, high) in enumerate(
        zip(corners[:-2], corners[1:-1], corners[2:], strict=True)
    ):
        for point in range(401):
            up = (20 * point - low) / (middle - low)
            down = (high - 20 * point) / (high - middle)
            bank[band, point] = max(0, min(up, down)) * 2 / (high - low)
    return bank


def published_mel(sound):
    """[80, 1 + n // 200] by decibels and normalisation, as the published settings put it."""
    emphasised = scipy.signal.lfilter([1, -0.97], [1], sound.astype(np.float64))
    padded = np.pad(emphasised, 400)
    window = scipy.signal.get_window("hann", 800)
    columns = [padded[at : at + 800] * window for at in range(0, len(sound) + 1, 200)]
    magnitude = np.abs(np.fft.rfft(columns, axis=1)).T
    decibels = 20 * np.log10(np.maximum(10 ** (-100 / 20), slaney_bank() @ magnitude)) - 20
    return np.clip(8 * (decibels + 100) / 100 - 4, -4, 4)


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(50), Fraction(12)])
def test_windows_are_the_published_ones(load, recording, rate):
    """Each frame hears the 16 columns from int(80 i / rate) on, to 1e-4, as long as they last."""
    voice = recording(2.0)
    mel = published_mel(voice.sound)
    frames = round(2 * rate)
    heard = load().hear(voice, Span(0, frames, rate, range(frames)))
    assert heard.shape == (frames, 1, 80, 16)
    compared = 0
    for frame in range(frames):
        start = int(frame * 80 / float(rate))
        if start + 16 <= mel.shape[1]:
            compared += 1
            np.testing.assert_allclose(heard[frame, 0], mel[:, start : start + 16], atol=1e-4)
    assert compared >= frames - float(rate) * 0.2 - 1


def test_the_end_is_heard_to_the_end(load, recording):
    """10 s at 25 frames a second have 250 windows, not 247; past the end they hold silence."""
    voice = recording(10.0)
    mel = published_mel(voice.sound)
    heard = load().hear(voice, Span(240, 250, RATE, range(10)))
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


def test_windows_begin_later_by_the_offset(load, recording):
    """An offset of k columns is the window k columns later, before the start there is silence."""
    voice = recording(1.0)
    mel = published_mel(voice.sound)
    span = Span(0, 25, RATE, range(25))
    late = load(table={"offset": 3}).hear(voice, span)
    np.testing.assert_allclose(late[5, 0], mel[:, 19:35], atol=1e-4)
    early = load(table={"offset": -20}).hear(voice, span)
    assert (early[0, 0] == -4).all()


class Spy:
    """A graph that keeps what it was given, by the names of a small graph."""

    def __init__(self, graph):
        self._graph = graph
        self.given = []

    def __getattr__(self, name):
        return getattr(self._graph, name)

    def run(self, inputs):
        self.given.append(inputs)
        return self._graph.run(inputs)


@pytest.mark.parametrize(
    "box",
    [(100, 90, 196, 186), (100, 80, 292, 272), (60, 100, 252, 196)],
    ids=["as it is", "halved", "squeezed"],
)
def test_faces_are_the_published_ones(load, recording, box):
    """Blue first, in 0..1, three channels black below, three whole: to 1e-4 of the resized crop."""
    takes = Takes.make(box, step=4)
    family = load(table={"pads": [0, 0, 0, 0]})
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


def test_patches_are_what_the_graph_makes_of_published_inputs(load, recording):
    """Crops, order, windows and the way back are right together, on a small graph."""
    check_patches(load(table={"pads": [0, 0, 0, 0]}), recording(0.5))


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


def test_a_real_photograph_looks_like_the_published_crop(load, studio, recording):
    """A photograph's crop is OpenCV's resize of it, but for whole pixels: 2/255 apart."""
    family = load(table={"pads": [0, 0, 0, 0]})
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
def test_tensors_are_known_by_their_shapes(load, studio, recording, shape):
    """Names, order, fixed and free batches and sizes change nothing."""
    place, voice, span = studio([7]), recording(0.5), Span(0, 7, RATE, range(7))
    plain = list(load().render(place, b"", voice, span))
    other = list(load(**shape).render(place, b"", voice, span))
    for one, two in zip(plain, other, strict=True):
        assert np.abs(one.planes.astype(int) - two.planes).max() <= 1
        np.testing.assert_array_equal(one.affine, two.affine)


@pytest.mark.parametrize("size", [96, 192, 256, 288, 384])
def test_every_size_gives_patches_of_its_own(load, studio, recording, size):
    """Patches have the graph's size, and lie where the face does."""
    family = load(size=size)
    place = studio([2])
    patches = list(family.render(place, b"", recording(0.2), Span(0, 2, RATE, range(2))))
    assert family.manifest.crop.size == size
    assert [patch.planes.shape for patch in patches] == [(3, size, size)] * 2
    mouth = place.shots[1].landmarks[13]
    x, y = patches[1].affine @ [*mouth, 1] / size
    assert 0.3 < x < 0.7
    assert 0.55 < y < 0.85


def test_half_precision_and_weights_beside_the_graph(load, studio, recording):
    """A float16 graph, and one whose weights are in a file of their own, give the same pictures."""
    place, voice, span = studio([3]), recording(0.5), Span(0, 3, RATE, range(3))
    plain = list(load().render(place, b"", voice, span))
    for shape in ({"kind": TensorProto.FLOAT16}, {"external": "weights.data"}):
        other = list(load(**shape).render(place, b"", voice, span))
        apart = [np.abs(a.planes.astype(int) - b.planes) for a, b in zip(plain, other, strict=True)]
        assert np.max(apart) <= 2


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(60)])
@pytest.mark.parametrize("loop", ["pingpong", "restart"])
def test_one_patch_for_each_frame_however_it_is_cut(load, studio, recording, rate, loop):
    """As many patches as the video has frames, the same ones in one piece or in several."""
    place, voice = studio([4, 6], faceless=[1], gap=3), recording(1.0)
    family = load(at_once=3)
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


def test_a_frame_without_a_face_passes_through(load, studio, recording):
    """It has no opacity, and its neighbours fade: nothing ends a run."""
    place = studio([12], faceless=[5])
    span = Span(0, 12, RATE, range(12))
    opacity = [patch.opacity for patch in load().render(place, b"", recording(0.5), span)]
    assert opacity[5] == 0
    assert opacity[1] == opacity[9] == 1
    assert 0 < opacity[4] == opacity[6] < 1


def test_footage_without_a_face_is_refused(load, studio):
    """Nothing could be painted, so nobody waits for it."""
    place = studio([2], faceless=[0, 1])
    with pytest.raises(RejectedInput, match="face"):
        load().prepare(place)


def test_the_mask_is_feathered_and_keeps_the_upper_face(load):
    """Nothing above the nose is pasted, nothing reaches the patch's border."""
    for size in (96, 384):
        mask = load(size=size).manifest.mask
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
def test_what_is_no_picture_is_refused(load, studio, recording, gain, end, said):
    """NaN, infinity and another range name the model instead of becoming a mouth."""
    family = load(gain=gain, end=end)
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
def test_other_shapes_are_refused(load, shape, said):
    """What isn't Wav2Lip's says what it takes, and what would be."""
    with pytest.raises(BadModelError, match=rf"small 1.*{said}"):
        load(**shape)


def test_a_wrong_table_says_what_is_wrong(load):
    """A key of `[wav2lip]` that nobody knows, or a value that can't be, is named."""
    with pytest.raises(BadModelError, match="ofset"):
        load(table={"ofset": 1})
    with pytest.raises(BadModelError, match="pads"):
        load(table={"pads": [1, 2]})
