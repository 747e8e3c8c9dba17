"""The converted face models against what the TFLite interpreters themselves answer.

`fixtures/face_models.npz` was made once from the same pictures, cut here out of scikit-image's
astronaut: the detector's `boxes` and `scores` by ai-edge-litert 2.3.0, the mesh's `mesh`, `lips`
and `face` by mediapipe 0.10.18's own InferenceCalculator, which alone knows the mesh's custom
operators.
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from functions.ingest.tflite_to_onnx import convert

GOLDEN = Path(__file__).parents[1] / "fixtures" / "face_models.npz"


def run(model, pictures):
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    nchw = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), dtype=np.float32)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"picture": nchw}), strict=True))


@pytest.fixture(scope="module")
def faces(astronaut):
    """Two crops of a face, one of them far off the centre."""
    return np.stack([astronaut[27:219, 129:321], astronaut[47:239, 99:291]]) / 255


def test_mesh_equals_the_interpreter(face_models, faces):
    """Landmarks and refined lips are the interpreter's to a thousandth of a pixel."""
    answer, golden = run(face_models.mesh, faces), np.load(GOLDEN)
    np.testing.assert_allclose(answer["mesh"], golden["mesh"], atol=1e-3)
    np.testing.assert_allclose(answer["lips"], golden["lips"], atol=1e-3)
    np.testing.assert_allclose(answer["face"].ravel(), golden["face"], atol=1e-3)


def test_detector_equals_the_interpreter(face_models, astronaut):
    """Boxes and scores of all 896 anchors are the interpreter's."""
    picture = astronaut[None, ::4, ::4] / 127.5 - 1
    answer, golden = run(face_models.detector, picture), np.load(GOLDEN)
    np.testing.assert_allclose(answer["boxes"], golden["boxes"], atol=1e-3)
    np.testing.assert_allclose(answer["scores"], golden["scores"], atol=1e-3)


def test_a_batch_answers_as_its_pictures_alone_do(face_models, faces):
    """The batch is free, and no picture in it changes another's answer."""
    together = run(face_models.mesh, faces)
    for i in range(len(faces)):
        alone = run(face_models.mesh, faces[i : i + 1])
        for name, value in alone.items():
            np.testing.assert_allclose(value[0], together[name][i], atol=1e-3)


def test_models_are_plain_and_small(face_models):
    """Ordinary ONNX operators only, opset 17, under 2 MB together."""
    for path in (face_models.mesh, face_models.detector):
        model = onnx.load(path)
        assert [(item.domain, item.version) for item in model.opset_import] == [("", 17)]
        onnx.checker.check_model(model, full_check=True)
    assert face_models.mesh.stat().st_size + face_models.detector.stat().st_size < 2_000_000


def test_what_is_no_model_is_refused():
    """Bytes that are no TFLite model end in a plain error, not in an empty ONNX file."""
    with pytest.raises(ValueError, match="no TFLite model"):
        convert(b"not a model at all" * 10, {"reshape": "mesh"})
