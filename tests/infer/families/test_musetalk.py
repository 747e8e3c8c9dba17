import itertools
from fractions import Fraction

import cv2
import numpy as np
import pytest
from onnx import numpy_helper

from functions.errors import BadModelError, KouboError, RejectedInput
from functions.infer.backends import OnnxRuntime
from functions.infer.families.musetalk import MuseTalk, face_box
from functions.infer.family import Span
from functions.picture import rgb_to_yuv, yuv_to_rgb
from functions.plans import source_frames
from tests.infer.musetalk_graphs import write_model

RATE = Fraction(25)


class Recorder:
    """A backend whose graphs keep what they were given."""

    def __init__(self):
        self.given = {}

    def load(self, path):
        graph, kept = OnnxRuntime().load(path), self.given.setdefault(path.stem, [])

        class Kept:
            inputs, outputs, backend, close = (
                graph.inputs,
                graph.outputs,
                graph.backend,
                graph.close,
            )

            def run(self, inputs):
                kept.append({name: array.copy() for name, array in inputs.items()})
                return graph.run(inputs)

        return Kept()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("musetalk"))


@pytest.fixture(scope="module")
def model(small):
    return MuseTalk.load(small, OnnxRuntime(), 4)


def render(model, footage, voice, first, last, *, loop="pingpong", rate=RATE):
    shown = tuple(source_frames(range(first, last), footage.footage.frames, loop))
    span = Span(first, last, rate, shown)
    return list(model.render(footage, model.prepare(footage), voice, span))


def crop(footage, frame, affine):
    """The documented 256 crop, RGB in 0..1: Lanczos, out of the frame's own planes."""
    chunk = footage.footage.chunks[0]
    picture, origin = footage.window(chunk, frame), footage.tracks[0].origins[frame]
    whole = affine.astype(np.float64)
    whole[:, 2] += whole[:, 0] * origin[0] + whole[:, 1] * origin[1]
    whole = whole.astype(np.float32)
    half = np.column_stack([whole[:, :2] * 2, whole[:, 2] + whole[:, :2].sum(axis=1) / 2])
    flags = {"flags": cv2.INTER_LANCZOS4, "borderMode": cv2.BORDER_REPLICATE}
    planes = [
        cv2.warpAffine(plane, matrix, (256, 256), **flags)
        for plane, matrix in [(picture.y, whole), (picture.u, half), (picture.v, half)]
    ]
    return yuv_to_rgb(planes, footage.footage.colour)


def test_the_model_gets_what_is_documented(small, studio, recording):
    """Masked and whole face in -1..1, both latents scaled, what is heard beside them: all 1e-4."""
    backend, footage = Recorder(), studio([4])
    model = MuseTalk.load(small, backend, 4)
    patches = render(model, footage, recording(1), 0, 4)
    (encoded,), (painted,), (decoded,) = (
        [next(iter(one.values())) if len(one) == 1 else one for one in backend.given[stem]]
        for stem in ("encoder", "unet", "decoder")
    )
    assert encoded.shape == (8, 3, 256, 256)
    for frame in range(4):
        face = crop(footage, frame, patches[frame].affine) * 2 - 1
        masked = np.where(np.arange(256)[:, None] < 128, face, -1)
        assert np.abs(encoded[frame] - masked).max() < 1e-4
        assert np.abs(encoded[4 + frame] - face).max() < 1e-4
        assert (encoded[frame, :, 128:] == -1).all()
        for half, image in enumerate((encoded[frame], encoded[4 + frame])):
            mean = image.reshape(3, 32, 8, 32, 8).mean(axis=(2, 4))[[0, 1, 2, 0]]
            latents = painted["sample"][frame, 4 * half : 4 * half + 4]
            assert np.abs(latents - 0.18215 * mean).max() < 1e-4
        level = 0.02 * painted["text"][frame].mean()
        expected = painted["sample"][frame, 4:] + 0.1 * painted["sample"][frame, :4] + level
        assert np.abs(decoded[frame] - expected / 0.18215).max() < 1e-4
        shown = np.clip(decoded[frame, :3].repeat(8, axis=1).repeat(8, axis=2) / 2 + 0.5, 0, 1)
        assert np.mean((shown > 0) & (shown < 1)) > 0.9
        planes = rgb_to_yuv(shown.astype(np.float32), footage.footage.colour)
        inside = ~small.mask.outside(256)
        assert np.array_equal(patches[frame].planes[:, inside], planes[:, inside])


def test_the_box_is_the_documented_one(studio):
    """From ear to ear; the nose's bridge in the middle; 10 pixels below the chin."""
    landmarks = studio([1]).shots[0].landmarks
    ((left, top, right, bottom),) = face_box(landmarks[None], 10, 448)
    assert left == landmarks[[234, 93, 132, 58], 0].min()
    assert right == landmarks[[454, 323, 361, 288], 0].max()
    assert bottom - 10 == landmarks[[148, 152, 377], 1].max()
    assert (top + bottom - 10) / 2 == pytest.approx(landmarks[5, 1])
    assert face_box(landmarks[None], 500, 448)[0, 3] == 448


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(24000, 1001), Fraction(60)])
def test_every_frame_has_a_patch(model, studio, recording, rate):
    """As many as the video has, the last ones too, at any rate and longer than the voice."""
    frames = int(1.3 * rate)
    patches = render(model, studio([10]), recording(1.0), 0, frames, rate=rate)
    assert len(patches) == frames
    assert all(patch.opacity == 1 and patch.planes.shape == (3, 256, 256) for patch in patches)


@pytest.mark.parametrize("loop", ["pingpong", "restart"])
def test_segments_do_not_show(model, studio, recording, loop):
    """The same frames come out of one segment and of many, whatever the chunks and batches."""
    voice, footage = recording(1.2), studio([4, 5], faceless=[6])
    whole = render(model, footage, voice, 0, 30, loop=loop)
    for cuts in ([0, 1, 9, 26, 30], [0, 20, 30]):
        parts = [
            patch
            for first, last in itertools.pairwise(cuts)
            for patch in render(model, footage, voice, first, last, loop=loop)
        ]
        assert len(parts) == 30
        for part, patch in zip(parts, whole, strict=True):
            assert np.array_equal(part.affine, patch.affine)
            assert part.opacity == patch.opacity
            assert np.abs(part.planes.astype(int) - patch.planes).max() <= 1


def test_a_frame_without_a_face_is_left_alone(model, studio, recording):
    """Its patch is transparent, and so is one where no window was cut."""
    footage = studio([6, 6], faceless=[3], gap=2)
    patches = render(model, footage, recording(1), 0, 14, loop="restart")
    assert [patch.opacity == 0 for patch in patches] == [n in (3, 6, 7) for n in range(14)]


def test_latents_are_worked_out_once(small, studio, recording):
    """Kept with the footage by chunk: a second segment, and another voice, encode nothing."""
    backend, footage = Recorder(), studio([5, 3])
    model = MuseTalk.load(small, backend, 4)
    render(model, footage, recording(1), 0, 3)
    assert sorted(footage.shelf) == ["latents-0000.npz"]
    assert footage.decoded == [0, 1, 2, 3, 4]
    render(model, footage, recording(1), 3, 8)
    assert sorted(footage.shelf) == ["latents-0000.npz", "latents-0001.npz"]
    encoded, decoded = len(backend.given["encoder"]), list(footage.decoded)
    render(model, footage, recording(2), 0, 16)
    assert len(backend.given["encoder"]) == encoded
    assert footage.decoded == decoded


def test_equal_footage_gives_equal_latents(model, studio, recording):
    """The mean of the distribution, not a sample: two workers write the same object."""
    made = []
    for _ in range(2):
        footage = studio([5])
        render(model, footage, recording(1), 0, 5)
        made.append(footage.shelf)
    assert made[0] == made[1]


def test_footage_without_any_face_is_refused(model, studio):
    """There is nothing to paint, and the sender is told."""
    with pytest.raises(RejectedInput, match="no_face"):
        model.prepare(studio([3], faceless=[0, 1, 2]))


def wider(stem):
    """A change to the graph's first input that leaves the graph itself as it is."""

    def change(name, graph):
        if name == stem:
            graph.graph.input[0].type.tensor_type.shape.dim[2].dim_value += 8
        return graph

    return change


@pytest.mark.parametrize("stem", ["whisper", "encoder", "unet", "decoder"])
def test_graphs_of_other_shapes_are_refused(tmp_path, stem):
    """Before anything is rendered, with the graph's name."""
    with pytest.raises(KouboError, match=stem):
        MuseTalk.load(write_model(tmp_path, wider(stem)), OnnxRuntime(), 4)


@pytest.mark.parametrize("stem", ["encoder", "decoder"])
def test_numbers_that_are_none_name_the_model(tmp_path, studio, recording, stem):
    """NaN is the model's fault, and the error says so; nothing of it is kept with the footage."""

    def broken(name, graph):
        if name == stem:
            weight = numpy_helper.to_array(graph.graph.initializer[0]) * np.float32(np.nan)
            graph.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "weight"))
        return graph

    model, footage = MuseTalk.load(write_model(tmp_path, broken), OnnxRuntime(), 4), studio([2])
    with pytest.raises(BadModelError, match="small 1"):
        render(model, footage, recording(1), 0, 2)
    assert (not footage.shelf) == (stem == "encoder")


def test_pictures_of_another_size_name_the_model(tmp_path, studio, recording):
    """A decoder may say that it takes latents and still make something else."""

    def smaller(name, graph):
        if name == "decoder":
            scales = numpy_helper.from_array(np.array([1, 1, 4, 4], np.float32), "scales")
            graph.graph.initializer[1].CopyFrom(scales)
            del graph.graph.output[0].type.tensor_type.shape.dim[:]
        return graph

    model = MuseTalk.load(write_model(tmp_path, smaller), OnnxRuntime(), 4)
    with pytest.raises(BadModelError, match="small 1"):
        render(model, studio([2]), recording(1), 0, 2)
