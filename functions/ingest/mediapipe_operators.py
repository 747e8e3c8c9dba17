"""MediaPipe's own TFLite operators, written as ordinary matrix arithmetic and a GridSample.

The attention mesh has three of them, here after the meaning that version 2 of each has in
MediaPipe: a square around some landmarks, turned with the line between two of them, is resampled
out of a feature map, and points found in that square are taken back to the map. TFLite carries the
mapping as a 4 x 4 matrix; of it only the 2 x 3 part in the picture's plane matters.
"""

from collections.abc import Sequence

import numpy as np

from functions.ingest.onnx_writer import OnnxWriter, tensor_name
from functions.ingest.tflite_graph import Operator

PLANE = (slice(None), slice(0, 2), [0, 1, 3])
"""What is kept of a (1, 4, 4) matrix."""


def landmarks_to_matrix(writer: OnnxWriter, operator: Operator) -> None:
    """(batch, n, 3) landmarks to the (batch, 2, 3) mapping of a small square around some of them.

    With u the unit vector from the left to the right anchor and R = (u, u turned by 90 degrees),
    the chosen landmarks are turned upright by R, their bounding box is scaled and becomes the
    square; the matrix maps the square's pixels to where they lie in the map.
    """
    options = operator.options
    size = np.array([options["output_width"], options["output_height"]], np.float32)
    first_two = [writer.constant([number], np.int64) for number in (0, 2, 2)]
    points = writer.node("Slice", tensor_name(operator.inputs[0]), *first_two)

    def pick(indices: Sequence[int]) -> str:
        return writer.node("Gather", points, writer.constant(indices, np.int64), axis=1)

    across = writer.node(
        "Sub", pick([options["right_rotation_idx"]]), pick([options["left_rotation_idx"]])
    )
    right = writer.node("Div", across, writer.node("ReduceL2", across, axes=[2], keepdims=1))
    down = writer.node("MatMul", right, writer.constant([[0, 1], [-1, 0]]))
    back = writer.node("Concat", right, down, axis=1)
    turn = writer.node("Transpose", back, perm=[0, 2, 1])
    upright = writer.node("MatMul", pick(options["subset_idxs"]), turn)
    high = writer.node("ReduceMax", upright, axes=[1], keepdims=1)
    low = writer.node("ReduceMin", upright, axes=[1], keepdims=1)
    middle = writer.node("Mul", writer.node("Add", high, low), writer.constant(0.5))
    centre = writer.node("Transpose", writer.node("MatMul", middle, back), perm=[0, 2, 1])
    scale = np.array([options["scale_x"], options["scale_y"]], np.float32) / size
    pixel = writer.node("Mul", writer.node("Sub", high, low), writer.constant(scale))
    linear = writer.node("Mul", turn, pixel)
    half = writer.node("MatMul", linear, writer.constant((size / 2).reshape(2, 1)))
    shift = writer.node("Sub", centre, half)
    writer.node("Concat", linear, shift, axis=2, output=tensor_name(operator.output))


def _mapped(writer: OnnxWriter, matrix: str, points: str) -> str:
    """(batch, 2, 3) mapping applied to (batch or 1, 2, n) points."""
    columns = [writer.constant([number], np.int64) for number in (0, 2, 3)]
    axis = writer.constant([2], np.int64)
    linear = writer.node("Slice", matrix, columns[0], columns[1], axis)
    shift = writer.node("Slice", matrix, columns[1], columns[2], axis)
    return writer.node("Add", writer.node("MatMul", linear, points), shift)


def transform_tensor(writer: OnnxWriter, operator: Operator) -> None:
    """Resamples a feature map in a small square; outside the map it is zero."""
    features, matrix = operator.inputs
    rows, columns = operator.options["output_height"], operator.options["output_width"]
    y, x = np.mgrid[:rows, :columns] + 0.5
    grid = writer.constant(np.stack([x.ravel(), y.ravel()]))
    points = writer.node("Transpose", _mapped(writer, tensor_name(matrix), grid), perm=[0, 2, 1])
    _, height, width, _ = writer.graph.shapes[features]
    # GridSample wants -1..1 from edge to edge.
    scaled = writer.node("Mul", points, writer.constant([2 / width, 2 / height]))
    centred = writer.node("Sub", scaled, writer.constant(1))
    shape = writer.constant([0, rows, columns, 2], np.int64)
    writer.node(
        "GridSample",
        tensor_name(features),
        writer.node("Reshape", centred, shape),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=0,
        output=tensor_name(operator.output),
    )


def transform_landmarks(writer: OnnxWriter, operator: Operator) -> None:
    """(batch, n, 2) points in the square back to where they lie in the picture."""
    landmarks, matrix = operator.inputs
    points = writer.node("Transpose", tensor_name(landmarks), perm=[0, 2, 1])
    mapped = _mapped(writer, tensor_name(matrix), points)
    writer.node("Transpose", mapped, perm=[0, 2, 1], output=tensor_name(operator.output))
