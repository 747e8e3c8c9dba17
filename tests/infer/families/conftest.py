"""What tests of families share."""

import pytest

from functions.infer.backends import OnnxRuntime
from functions.infer.families.wav2lip import Wav2Lip
from functions.infer.model_add import make_model
from functions.infer.model_draft import Naming
from functions.infer.router import Router
from functions.settings import ModelSettings
from tests.infer.wav2lip_graphs import write_wav2lip

NAMING = Naming("wav2lip", "small", "1", "CC0-1.0")


@pytest.fixture
def load_wav2lip(tmp_path):
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
