"""A model of the `wav2lip` family around the small network, and the patches that it renders."""

from pathlib import Path

import numpy as np

from functions.infer.backends.graph import DeviceBackend
from functions.infer.backends.onnx_runtime import OnnxRuntime
from functions.infer.families.wav2lip import Wav2Lip
from functions.infer.family import Span
from functions.infer.manifest import Manifest, read_manifest, sha256
from functions.infer.model_trial import FRAMES, RATE, MadeUpFace, MadeUpVoice
from functions.infer.router import Router
from tests.infer.backends.small_program import write_onnx

_HEAD = """
family = "wav2lip"
name = "small"
version = "1"
licence = "CC0-1.0"
sample_rate = 16000
[crop]
size = 96
[files]
"""


def seal(folder: Path) -> Manifest:
    """Makes a model of `generator.onnx` and of the artefacts that lie beside it."""
    write_onnx(folder / "generator.onnx")
    files = sorted(path.name for path in folder.glob("generator.*"))
    listed = [f'"{name}" = "{sha256(folder / name)}"\n' for name in files]
    (folder / "model.toml").write_text(_HEAD + "".join(listed))
    return read_manifest(folder)


def patches(manifest: Manifest, *backends: DeviceBackend) -> np.ndarray:
    """(frames, 3, 96, 96) uint8: the patches that these backends render, in YUV."""
    family = Wav2Lip.load(manifest, Router(backends), 2)
    span = Span(0, FRAMES, RATE, tuple(range(FRAMES)))
    made = family.render(MadeUpFace.make(), b"", MadeUpVoice(), span)
    return np.stack([patch.planes for patch in made])


def largest_difference(manifest: Manifest, *backends: DeviceBackend) -> int:
    """In levels of 8 bits, between these backends' patches and onnxruntime's on the CPU."""
    ours, theirs = patches(manifest, *backends), patches(manifest, OnnxRuntime())
    assert theirs.std() > 2, "the small network draws something"
    return int(np.abs(ours.astype(int) - theirs.astype(int)).max())
