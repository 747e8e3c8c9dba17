"""Small graphs of Wav2Lip's shapes with random weights, as exporters might have made them."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write_wav2lip(
    path: Path,
    *,
    size: int | str = 96,
    batch: int | str = "n",
    columns: int | str = 16,
    names: tuple[str, str, str] = ("mel_spectrogram", "video_frames", "predicted"),
    face_first: bool = False,
    channels: int = 6,
    bands: int = 80,
    gain: float = 1.0,
    end: str = "Sigmoid",
    kind: int = TensorProto.FLOAT,
    external: str | None = None,
    seed: int = 0,
) -> Path:
    """Writes `end(conv(face) + dense(loudness of the window))`.

    Args:
        path: the file to make.
        size: of a face; a word where the graph takes any.
        batch: how many at once; a word where it takes any.
        columns: of a window.
        names: of the spectrogram, of the faces, of the output.
        face_first: the order of the inputs.
        channels: of a face.
        bands: of the spectrogram.
        gain: by which all weights are larger; NaN is a gain, too.
        end: the last operator.
        kind: of all tensors.
        external: a file beside it that holds the weights.
        seed: of the weights.
    """
    random = np.random.default_rng(seed)
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    weights = {
        "conv": random.normal(0, 0.3 * gain, (3, channels, 3, 3)),
        "bias": random.normal(0, 0.1 * gain, 3),
        "dense": random.normal(0, 0.5 * gain, (1, 3, 1, 1)),
    }
    mel, face, out = names
    nodes = [
        helper.make_node("Conv", [face, "conv", "bias"], ["seen"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", [mel], ["loudness"]),
        helper.make_node("Mul", ["loudness", "dense"], ["heard"]),
        helper.make_node("Add", ["seen", "heard"], ["sum"]),
        helper.make_node(end, ["sum"], [out]),
    ]
    inputs = [
        helper.make_tensor_value_info(mel, kind, [batch, 1, bands, columns]),
        helper.make_tensor_value_info(face, kind, [batch, channels, size, size]),
    ]
    graph = helper.make_graph(
        nodes,
        "wav2lip",
        inputs[::-1] if face_first else inputs,
        [helper.make_tensor_value_info(out, kind, [batch, 3, size, size])],
        [numpy_helper.from_array(w.astype(dtype), name) for name, w in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = {} if external is None else {"location": external, "size_threshold": 0}
    onnx.save(model, path, save_as_external_data=external is not None, **options)
    return path
