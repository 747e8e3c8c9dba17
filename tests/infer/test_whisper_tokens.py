import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.infer.backends import OnnxRuntime
from functions.infer.whisper_mel import whisper_mel
from functions.infer.whisper_tokens import WhisperTokens, first_tokens, positions
from tests.infer.musetalk_graphs import whisper


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    path = tmp_path_factory.mktemp("whisper") / "whisper.onnx"
    path.write_bytes(whisper().SerializeToString())
    return OnnxRuntime().load(path)


def documented(graph, sound, rate, frame):
    """One frame's features: windows of 30 s, five states a token, zeros around, sinusoids added."""
    tokens = []
    for start in range(0, max(len(sound), 1), 480000):
        states = graph.run({"mel": whisper_mel(sound[start : start + 480000])[None]})[0][0]
        tokens.append(states)
    tokens = np.concatenate(tokens)[: math.floor(len(sound) * 50 / 16000)]
    pad = math.ceil(50 / rate)
    zeros = np.zeros((2 * pad, 5, 384)), np.zeros((6 * pad + 5000, 5, 384))
    padded = np.concatenate([zeros[0], tokens, zeros[1]])
    start = math.floor(frame * 50 / rate)
    heard = padded[start : start + 10].reshape(50, 384)
    added = np.zeros((50, 384))
    for place in range(50):
        for pair in range(192):
            angle = place / 10000 ** (2 * pair / 384)
            added[place, 2 * pair], added[place, 2 * pair + 1] = math.sin(angle), math.cos(angle)
    return heard + added


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(60), Fraction(12)])
def test_a_frame_hears_what_is_documented(graph, recording, rate):
    """Within 1e-4 of an independent reference: at both ends, in the middle, past the end."""
    voice = recording(2.0)
    last = math.ceil(2 * rate)
    heard = WhisperTokens(graph).hear(voice, rate, 0, last + 3)
    assert heard.shape == (last + 3, 50, 384)
    assert heard.dtype == np.float32
    for frame in (0, 1, last // 2, last - 1, last, last + 2):
        assert np.abs(heard[frame] - documented(graph, voice.sound, rate, frame)).max() < 1e-4


def test_windows_of_thirty_seconds_meet(graph, recording):
    """A frame at 30 s hears the end of one window and the beginning of the next."""
    voice = recording(30.5)
    heard = WhisperTokens(graph).hear(voice, Fraction(25), 748, 753)
    for row, frame in enumerate(range(748, 753)):
        expected = documented(graph, voice.sound, Fraction(25), frame)
        assert np.abs(heard[row] - expected).max() < 1e-4


def test_segments_do_not_show(graph, recording):
    """A frame hears the same bits in whatever segment it is."""
    voice, tokens = recording(3.0), WhisperTokens(graph)
    whole = tokens.hear(voice, Fraction(25), 0, 75)
    parts = [tokens.hear(voice, Fraction(25), *cut) for cut in [(0, 7), (7, 40), (40, 75)]]
    assert np.array_equal(whole, np.concatenate(parts))


@settings(max_examples=50)
@given(st.integers(1, 240_000), st.sampled_from([1, 1001, 997]), st.integers(0, 10**7))
def test_the_place_of_any_frame_is_exact(numerator, denominator, frame):
    """No drift: frame ten million at any rate begins where whole numbers say."""
    rate = Fraction(numerator, denominator)
    (token,) = first_tokens(rate, frame, frame + 1)
    assert token == math.floor(frame * 50 / rate) - 2 * math.ceil(50 / rate)


def test_a_silent_end_costs_nothing(graph, recording):
    """Where there is no recording any more the encoder isn't asked."""
    asked = []

    class Counting:
        inputs, outputs = graph.inputs, graph.outputs

        def run(self, inputs):
            asked.append(1)
            return graph.run(inputs)

    heard = WhisperTokens(Counting()).hear(recording(1.0), Fraction(25), 1000, 1010)
    assert not asked
    assert np.array_equal(heard, np.tile(positions(50, 384), (10, 1, 1)))
