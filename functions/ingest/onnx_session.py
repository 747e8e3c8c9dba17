"""How ingest opens an ONNX model: on the CPU, with as many threads as it is told."""

from pathlib import Path

import onnxruntime as ort


def open_session(model: Path, threads: int) -> ort.InferenceSession:
    """A session for one model.

    Raises:
        onnxruntime.capi.onnxruntime_pybind11_state.Fail: the file is no model.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Waiting threads would take the time of the decoder that runs beside them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
