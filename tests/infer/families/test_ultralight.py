"""Ultralight's networks against an independent reading of how they are published."""

from fractions import Fraction

import numpy as np
import onnxruntime
import pytest

from functions.errors import BadModelError, RejectedInput
from functions.infer.backends import OnnxRuntime
from functions.infer.families.ultralight import Ultralight, draft, face_input
from functions.infer.family import Span
from functions.infer.model_add import make_model, try_model
from functions.infer.model_draft import Naming
from functions.infer.onnx_file import read_onnx
from functions.infer.router import Router
from functions.picture import Colour, rgb_to_yuv
from functions.plans import source_frames
from functions.settings import ModelSettings
from tests.infer.conftest import Recording
from tests.infer.families.published_wav2lip import Spy, Takes, bgr_of
from tests.infer.test_fbank import sound
from tests.infer.test_speech_features import published_hubert, published_wenet
from tests.infer.ultralight_graphs import write_generator, write_hubert, write_wenet

NAMING = Naming("ultralight", "small", "1", "CC0-1.0")
KINDS = {"hubert": (write_hubert, (16, 32, 32), 25), "wenet": (write_wenet, (128, 16, 32), 20)}


@pytest.fixture
def load(tmp_path):
    """Makes a model of an encoder and a generator, and loads it."""

    def make(kind="hubert", table=None, at_once=4, **shape):
        into = tmp_path / f"model-{len(list(tmp_path.iterdir()))}"
        into.mkdir()
        write, audio, _ = KINDS[kind]
        shape = {"audio": audio} | shape
        graphs = [
            write_generator(tmp_path / f"{into.name}-g.onnx", **shape),
            write(tmp_path / f"{into.name}-e.onnx"),
        ]
        manifest = make_model(graphs, NAMING, into, ModelSettings(), table=table)
        family = Ultralight.load(manifest, Router((OnnxRuntime(),)), at_once)
        family.paths = graphs
        return family

    return make


def spied(family):
    family._generator = Spy(family._generator)
    return family._generator


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_the_published_ones(load, kind):
    """The frame's own feature is in the middle of eight, zeros stand outside, in one piece."""
    _, audio, rate = KINDS[kind]
    samples = sound(16_000)
    family = load(kind)
    published = published_hubert if kind == "hubert" else published_wenet
    features = published(family.paths[1], samples)
    frames = min(len(features) - 4, rate)
    heard = family.hear(Recording(samples), Span(0, frames, Fraction(rate), range(frames)))
    assert heard.shape == (frames, *audio)
    padded = np.concatenate([np.zeros((4, *features.shape[1:])), features])
    for frame in range(frames):
        wanted = padded[frame : frame + 8].reshape(audio)
        np.testing.assert_allclose(heard[frame], wanted, atol=1e-4)


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(50), Fraction(12)])
def test_any_rate_hears_what_sounds_then(load, rate):
    """A frame of another rate hears the feature that begins last before it."""
    samples = sound(16_000)
    family = load("hubert")
    frames = int(rate)
    own = family.hear(Recording(samples), Span(0, 25, Fraction(25), range(25)))
    heard = family.hear(Recording(samples), Span(0, frames, rate, range(frames)))
    for frame in range(frames):
        np.testing.assert_array_equal(heard[frame], own[int(frame / rate * 25)])


def published_input(picture, left, top, side, size):
    """The published inference: a square of size + 8, its inside, and that with a rectangle."""
    crop = bgr_of(picture)[top : top + side, left : left + side]
    step = side // (size + 8)
    assert side == step * (size + 8)
    crop = crop.reshape(size + 8, step, size + 8, step, 3).mean(axis=(1, 3))
    inner = crop[4 : size + 4, 4 : size + 4]
    masked = inner.copy()
    # x 5, y 5, 150 wide, 145 high; 310 and 305 for twice the size.
    masked[5 : 5 + size - 15, 5 : 5 + size - 10] = 0
    return np.concatenate([inner, masked], axis=2).transpose(2, 0, 1)


class Square(Takes):
    """A face from ear to ear whose square has whole pixels."""

    def track(self, chunk):
        track = super().track(chunk)
        left, top, right, _ = self.box
        for landmark, place in {234: (left, 150), 454: (right, 150), 33: (150, top)}.items():
            track.landmarks[:, landmark] = np.array(place) - 0.5
        track.landmarks[:, 263] = (200 - 0.5, top - 0.5)
        return track


@pytest.mark.parametrize(
    ("box", "size"),
    [((60, 90, 228, 258), 160), ((20, 40, 356, 376), 160), ((30, 50, 358, 378), 320)],
    ids=["as it is", "halved", "320"],
)
def test_faces_are_the_published_ones(load, box, size):
    """Blue first, in 0..1, the whole one before the masked one: to 1e-4 of the resized crop."""
    takes = Square(Takes.make(box).footage, box, 4)
    family = load(size=size)
    spy = spied(family)
    assert len(list(family.render(takes, b"", Recording(sound(8000)), _span(6)))) == 6
    given = np.concatenate([inputs["input"] for inputs in spy.given])
    left, top, right, _ = box
    wanted = [published_input(takes.picture(i), left, top, right - left, size) for i in range(6)]
    np.testing.assert_allclose(given, wanted, atol=1e-4)


def test_the_rectangle_is_the_published_one():
    """150 x 145 pixels from (5, 5) on are black in the last three channels, and only there."""
    shown = face_input(np.ones((1, 3, 160, 160), np.float32))[0]
    assert shown[:3].all()
    assert (shown[3:] == 0).sum() == 3 * 150 * 145
    assert not shown[3:, 5:150, 5:155].any()


def test_patches_are_what_the_graph_makes_of_published_inputs(load):
    """Our patches equal a bare run of the graph on inputs made by hand, to one step of 255."""
    box, samples = (60, 90, 228, 258), sound(8000)
    takes = Square(Takes.make(box).footage, box, 4)
    family = load("hubert")
    session = onnxruntime.InferenceSession(family.paths[0], providers=["CPUExecutionProvider"])
    features = published_hubert(family.paths[1], samples)
    padded = np.concatenate([np.zeros((4, 2, 1024)), features])
    outside = family.manifest.mask.outside(160)
    for frame, patch in enumerate(family.render(takes, b"", Recording(samples), _span(5))):
        inputs = {
            "input": published_input(takes.picture(frame), 60, 90, 168, 160)[None].astype("f4"),
            "audio": padded[None, frame : frame + 8].reshape(1, 16, 32, 32).astype("f4"),
        }
        made = session.run(None, inputs)[0][0]
        wanted = rgb_to_yuv(np.ascontiguousarray(made[::-1]), Colour("bt601"))
        assert np.abs(patch.planes.astype(int) - wanted)[:, ~outside].max() <= 1
        # The patch is the square without its border.
        np.testing.assert_allclose(patch.affine @ [63.5, 93.5, 1], [-0.5, -0.5], atol=1e-3)


def test_relatives_have_another_range_and_order(load):
    """-1..1 and red first, as some phones' networks are fed, say so in the table."""
    box = (60, 90, 228, 258)
    takes = Square(Takes.make(box).footage, box, 4)
    family = load(table={"range": "signed", "colours": "rgb"}, end="Tanh")
    spy = spied(family)
    patches = list(family.render(takes, b"", Recording(sound(8000)), _span(2)))
    given = spy.given[0]["input"][0]
    plain = published_input(takes.picture(0), 60, 90, 168, 160)
    wanted = np.concatenate([plain[2::-1], plain[:2:-1]]) * 2 - 1
    np.testing.assert_allclose(given, wanted, atol=2e-4)
    made = spy._graph.run(spy.given[0])[0]
    rgb = (made[0] + 1) / 2
    inside = ~family.manifest.mask.outside(160)
    apart = np.abs(patches[0].planes.astype(int) - rgb_to_yuv(rgb, Colour("bt601")))
    assert apart[:, inside].max() <= 1


@pytest.mark.parametrize("audio", [(32, 32, 32), (16, 32, 32)], ids=str)
def test_the_window_is_as_long_as_the_graph_says(load, audio):
    """Later networks hear 16 features around a frame where the first ones hear 8."""
    family = load(audio=audio)
    heard = family.hear(Recording(sound(16_000)), _span(3))
    assert heard.shape == (3, *audio)
    count = np.prod(audio) // 2048
    features = family._features.hear(Recording(sound(16_000)), -count // 2, count // 2)
    np.testing.assert_array_equal(heard[0].reshape(count, 2048), features)


def test_one_patch_for_each_frame(load, studio):
    """As many patches as the video has frames; without a face a frame passes through."""
    place = studio([4, 6], faceless=[1], gap=3)
    family, voice = load("wenet"), Recording(sound(16_000))
    shown = tuple(source_frames(range(30), place.footage.frames, "pingpong"))

    def render(first, last):
        span = Span(first, last, Fraction(30), shown[first:last])
        return list(family.render(place, b"", voice, span))

    whole = render(0, 30)
    pieces = [patch for first in range(0, 30, 8) for patch in render(first, min(first + 8, 30))]
    assert len(whole) == len(pieces) == 30
    for one, two in zip(whole, pieces, strict=True):
        assert one.opacity == two.opacity
        assert np.abs(one.planes.astype(int) - two.planes).max() <= 1
    assert whole[1].opacity == whole[5].opacity == 0
    assert any(patch.opacity == 1 for patch in whole)
    mouth = place.shots[11].landmarks[13]
    at = next(patch.affine for patch, frame in zip(whole, shown, strict=True) if frame == 11)
    x, y = at @ [*mouth, 1] / 160
    assert 0.3 < x < 0.7
    assert 0.3 < y < 0.7


def test_footage_without_a_face_is_refused(load, studio):
    """Nothing could be painted, so nobody waits for it."""
    with pytest.raises(RejectedInput, match="face"):
        load().prepare(studio([2], faceless=[0, 1]))


@pytest.mark.parametrize("kind", KINDS)
def test_it_stands_its_trial(load, kind):
    """Both kinds go through the trial that `koubo models add` makes."""
    try_model(load(kind).manifest, ModelSettings())


def test_graphs_are_told_apart(tmp_path):
    """Encoder and generator may come in any order; anything else is refused."""
    generator = read_onnx(write_generator(tmp_path / "g.onnx"), 1 << 30)
    encoder = read_onnx(write_hubert(tmp_path / "h.onnx"), 1 << 30)
    for graphs in ([generator, encoder], [encoder, generator]):
        made = draft("small 1", graphs, None)
        assert made.files["generator.onnx"] == generator.path
        assert made.files["encoder.onnx"] == encoder.path
        assert made.size == 160
    for graphs in ([generator], [encoder], [generator, generator]):
        with pytest.raises(BadModelError, match="small 1 is made of"):
            draft("small 1", graphs, None)
    wenet = read_onnx(write_wenet(tmp_path / "w.onnx"), 1 << 30)
    with pytest.raises(BadModelError, match="8192 a feature"):
        draft("small 1", [generator, wenet], None)


def _span(frames):
    return Span(0, frames, Fraction(25), tuple(range(frames)))
