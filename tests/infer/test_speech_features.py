"""Encoders' features against an independent reading of how they are published."""

import numpy as np
import onnxruntime
import pytest

from functions.errors import BadModelError
from functions.infer.backends import OnnxRuntime
from functions.infer.router import Router
from functions.infer.speech_features import HubertFeatures, WenetFeatures, features_of
from tests.infer.conftest import Recording
from tests.infer.test_fbank import reference
from tests.infer.test_fbank import sound as noise
from tests.infer.ultralight_graphs import write_generator, write_hubert, write_wenet


@pytest.fixture(scope="module")
def hubert(tmp_path_factory):
    return write_hubert(tmp_path_factory.mktemp("h") / "hubert.onnx")


@pytest.fixture(scope="module")
def wenet(tmp_path_factory):
    return write_wenet(tmp_path_factory.mktemp("w") / "encoder.onnx")


def loaded(path):
    return features_of("small 1", Router((OnnxRuntime(),)).load(path))


def published_hubert(path, samples):
    """[n, 2, 1024]: normalised, in clips of 320,000 samples and 80 more, in pairs."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    tokens = []
    for start in range(0, len(samples), 320_000):
        clip = samples[start : start + 320_080].astype(np.float64)
        if len(clip) < 400:
            continue
        normal = (clip - clip.mean()) / np.sqrt(clip.var() + 1e-7)
        tokens.append(session.run(None, {"input_values": normal[None].astype(np.float32)})[0][0])
    whole = np.concatenate(tokens)[: (len(samples) - 80) // 320]
    return whole[: len(whole) // 2 * 2].reshape(-1, 2, 1024)


def published_wenet(path, samples):
    """[n, 16, 512]: 320 ms of nothing before, 67 frames each, five frames further each time."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    padded = np.concatenate([np.zeros(32 * 160), samples, np.zeros(35 * 160)])
    frames = reference(padded.astype(np.float32))
    features = []
    for start in range(0, len(frames) - 67 + 1, 5):
        inputs = {
            "chunk": frames[None, None, start : start + 67].astype(np.float32),
            "offset": np.array([100], np.int64),
            "att_cache": np.zeros((3, 8, 16, 128), np.float32),
            "cnn_cache": np.zeros((3, 1, 512, 14), np.float32),
        }
        features.append(session.run(None, inputs)[0][0])
    return np.array(features)


def test_hubert_hears_what_is_published(hubert):
    """25 features a second of 2 x 1024, to 1e-4, and zeros outside of the recording."""
    samples = noise(16_000 * 2 + 137)
    features = loaded(hubert)
    assert isinstance(features, HubertFeatures)
    wanted = published_hubert(hubert, samples)
    assert len(wanted) == 50
    heard = features.hear(Recording(samples), -3, 55)
    assert heard.shape == (58, 2048)
    np.testing.assert_allclose(heard[3:53].reshape(-1, 2, 1024), wanted, atol=1e-4)
    assert not heard[:3].any()
    assert not heard[53:].any()


def test_hubert_hears_long_voices_in_clips(hubert):
    """Past 20 s there is a second clip; a feature is the same in whatever piece it is asked for."""
    samples = noise(16_000 * 21)
    features = loaded(hubert)
    wanted = published_hubert(hubert, samples)
    assert len(wanted) in (524, 525)
    around = features.hear(Recording(samples), 495, 505)
    np.testing.assert_allclose(around.reshape(-1, 2, 1024), wanted[495:505], atol=1e-4)
    pieces = [features.hear(Recording(samples), at, at + 2) for at in range(495, 505, 2)]
    np.testing.assert_array_equal(np.concatenate(pieces), around)


def test_wenet_hears_what_is_published(wenet):
    """20 features a second of 16 x 512, to 1e-4; offset 100 and empty caches are given."""
    samples = noise(16_000)
    features = loaded(wenet)
    assert isinstance(features, WenetFeatures)
    wanted = published_wenet(wenet, samples)
    heard = features.hear(Recording(samples), -4, 30)
    count = len(wanted)
    assert count >= 20
    np.testing.assert_allclose(heard[4 : 4 + count].reshape(-1, 16, 512), wanted, atol=1e-4)
    assert not heard[:4].any()
    assert not heard[4 + 21 :].any()


def test_wenet_is_the_same_however_it_is_cut(wenet):
    """Pieces have the bits of the whole."""
    voice = Recording(noise(24_000))
    features = loaded(wenet)
    whole = features.hear(voice, -2, 34)
    pieces = [features.hear(voice, at, at + 6) for at in range(-2, 34, 6)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_a_voice_that_is_too_short_for_a_feature(hubert, wenet):
    """Less than a frame of sound gives zeros, and no error."""
    assert not loaded(hubert).hear(Recording(noise(300)), 0, 4).any()
    assert loaded(wenet).hear(Recording(noise(300)), 0, 4)[0].any()


def test_an_encoder_for_one_length_gets_that_length(tmp_path, hubert):
    """A graph that takes 20 s only gets the rest as silence, and gives the same features."""
    fixed = loaded(write_hubert(tmp_path / "fixed.onnx", length=320_080))
    voice = Recording(noise(16_000))
    np.testing.assert_allclose(
        fixed.hear(voice, 0, 20), loaded(hubert).hear(voice, 0, 20), atol=1e-5
    )


def test_another_graph_is_no_encoder(tmp_path):
    """Neither samples nor filter banks: the refusal says what is known."""
    path = write_generator(tmp_path / "g.onnx")
    with pytest.raises(BadModelError, match=r"small 1 has an encoder for .*HuBERT's"):
        loaded(path)
