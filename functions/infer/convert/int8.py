"""A graph in 8 bits: static, unsigned activations and signed weights, a scale for each channel.

How far activations reach is taken from real inputs, see `functions.infer.recording`. Needs
onnxruntime and onnx.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from functions.errors import BadModelError
from functions.infer.comparison import Tensors, in_batches
from functions.infer.onnx_file import read_onnx

BATCH = 4
OPERATORS = ("Conv", "Gemm", "MatMul")
"""What becomes 8 bits; onnxruntime's CPU has no 8-bit ConvTranspose."""


def quantise(path: Path, inputs: Tensors, to: Path) -> None:
    """Writes a graph in 8 bits.

    Args:
        path: the ONNX file.
        inputs: real ones, one row a frame.
        to: the file to make.

    Raises:
        BadModelError: onnxruntime can't quantise it.
    """
    big = bool(read_onnx(path, path.stat().st_size).weights)
    with TemporaryDirectory(prefix="koubo-int8-") as folder:
        ready = Path(folder) / path.name
        try:
            # Shapes of all tensors, and what the runtime would fuse anyway.
            quant_pre_process(path, ready, skip_symbolic_shape=True, save_as_external_data=big)
            quantize_static(
                ready,
                to,
                Calibration(in_batches(inputs, BATCH)),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                op_types_to_quantize=list(OPERATORS),
                use_external_data_format=big,
            )
        except (RuntimeError, ValueError, TypeError, KeyError) as error:
            first = str(error).strip().partition("\n")[0]
            raise BadModelError(f"{path.name} can't be quantised: {first}") from error


class Calibration(CalibrationDataReader):  # the form that onnxruntime asks for
    """Hands out batches, the way onnxruntime asks for them."""

    def __init__(self, batches: Iterable[Tensors]) -> None:
        self._batches: Iterator[Tensors] = iter(batches)

    def get_next(self) -> dict[str, NDArray[np.generic]] | None:
        """The next batch; None after the last one."""
        batch = next(self._batches, None)
        return None if batch is None else dict(batch)
