from fractions import Fraction

import numpy as np
import pytest

from functions.errors import KouboError
from functions.infer.backends import OnnxRuntime
from functions.infer.families.musetalk import MuseTalk
from functions.infer.family import Span
from functions.infer.recording import record, spread
from tests.infer.musetalk_graphs import write_model


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("musetalk"))


def test_what_a_graph_is_really_given(small, studio, recording):
    """What the family itself feeds it, one row a frame, from all over the footage."""
    footage, voice = studio([6, 4]), recording(1)
    given = record(small, "unet", OnnxRuntime(), footage, voice, 5)
    assert {name: array.shape for name, array in given.items()} == {
        "text": (5, 50, 384),
        "sample": (5, 8, 32, 32),
    }
    assert len(np.unique(given["sample"].reshape(5, -1), axis=0)) == 5
    # Frame 0 is what the model gets when it really renders frame 0.
    kept = []

    class Kept:
        def __init__(self, graph):
            self.graph, self.inputs = graph, graph.inputs
            self.outputs, self.backend = graph.outputs, graph.backend

        def run(self, inputs):
            kept.append(inputs)
            return self.graph.run(inputs)

    class Backend:
        def load(self, path):
            return (
                Kept(OnnxRuntime().load(path)) if path.stem == "unet" else OnnxRuntime().load(path)
            )

    model = MuseTalk.load(small, Backend(), 1)
    next(model.render(footage, b"", voice, Span(0, 1, Fraction(25), (0,))))
    assert np.allclose(given["sample"][0], kept[0]["sample"][0], atol=1e-6)
    assert np.allclose(given["text"][0], kept[0]["text"][0], atol=1e-6)


@pytest.mark.parametrize(("frames", "wanted"), [(100, 7), (7, 7), (3, 8), (1, 4)])
def test_frames_come_from_all_over(frames, wanted):
    """Ascending, from the first to the last, over again where there are too few."""
    taken = spread(frames, wanted)
    assert len(taken) == wanted
    assert list(taken) == sorted(taken)
    assert (taken[0], taken[-1]) == (0, frames - 1)
    assert len(set(taken)) == min(frames, wanted)


def test_a_graph_that_is_not_there_is_said(small, studio, recording):
    """So is footage that gives the model nothing to do."""
    with pytest.raises(KouboError, match="generator"):
        record(small, "generator", OnnxRuntime(), studio([2]), recording(1), 2)
    with pytest.raises(KouboError, match="face"):
        record(small, "unet", OnnxRuntime(), studio([2], faceless=[0, 1]), recording(1), 2)
