"""The made-up face and voice that every model is tried on."""

import subprocess
import sys

import numpy as np

from functions.infer.backends import OnnxRuntime
from functions.infer.geometry import Surveyor
from functions.infer.manifest import SHIPPED
from functions.infer.model_shelf import load_family
from functions.infer.model_trial import (
    EXIT_REFUSED,
    FRAMES,
    MadeUpFace,
    MadeUpVoice,
    face_landmarks,
    try_family,
)
from functions.infer.router import Router


def test_the_face_is_one(manifest):
    """Eyes above the nose above the mouth above the chin, all inside of the frame."""
    points = face_landmarks()
    assert points.shape == (468, 2)
    assert (points > 0).all()
    assert (points < 256).all()
    heights = [points[landmark, 1] for landmark in (10, 33, 1, 0, 13, 14, 17, 152)]
    assert heights == sorted(heights)
    footage = MadeUpFace.make()
    [chunk] = footage.footage.chunks
    geometry = Surveyor(footage, manifest.crop).survey(chunk)
    np.testing.assert_array_equal(geometry.opacity, 1)
    assert len(list(footage.windows(chunk, range(FRAMES)))) == FRAMES


def test_it_is_the_same_each_time():
    """A model that was refused once is refused again: nothing of the trial is left to chance."""
    chunk = MadeUpFace.make().footage.chunks[0]
    one, two = (next(MadeUpFace.make().windows(chunk, [1])) for _ in range(2))
    np.testing.assert_array_equal(one.y, two.y)
    voice = MadeUpVoice()
    np.testing.assert_array_equal(voice.samples(0, 32_000)[500:600], voice.samples(500, 600))
    assert len(voice.samples(-10, 10)) == 10


def test_the_default_model_stands_it(manifest):
    """Families that know nothing of the trial go through it."""
    try_family(load_family(manifest, Router((OnnxRuntime(),)), 4))


def test_as_a_program_it_says_one_line(tmp_path):
    """Exit code 0 without a word, or 3 and why; a folder without a model is refused, too."""

    def run(folder):
        command = [sys.executable, "-m", "functions.infer.model_trial", folder]
        return subprocess.run(command, capture_output=True, timeout=120, check=False)

    good = run(SHIPPED / "viseme" / "1")
    assert (good.returncode, good.stdout, good.stderr) == (0, b"", b"")
    bad = run(tmp_path)
    assert bad.returncode == EXIT_REFUSED
    assert bad.stderr == f"no model at {tmp_path}\n".encode()
