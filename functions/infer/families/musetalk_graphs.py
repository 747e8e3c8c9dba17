"""The four graphs of MuseTalk 1.5, and how bare ones are told apart.

Of https://github.com/TMElyralab/MuseTalk; tensors are float32 or float16:

- `encoder`, Stable Diffusion's VAE encoder: [n, 3, 256, 256] RGB in -1..1 to the moments
  [n, 8, 32, 32] of a normal distribution, of which the first four channels are the mean;
- `unet`, one step: [n, 8, 32, 32] latents and [n, 50, 384] of what is heard to [n, 4, 32, 32];
- `decoder`, the VAE's other half: [n, 4, 32, 32] to [n, 3, 256, 256] RGB in -1..1;
- `whisper`, whisper-tiny's encoder, see `functions.infer.whisper_tokens`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from functions.errors import BadModelError
from functions.infer.backends.graph import TensorSpec
from functions.infer.model_draft import Draft, OnnxFile
from functions.patches import Mask

SIZE: Final = 256
LATENT: Final = (4, 32, 32)
GRAPHS: Final[dict[str, list[tuple[int, ...]]]] = {
    "whisper": [(80, 3000)],
    "encoder": [(3, SIZE, SIZE)],
    "unet": [(2 * LATENT[0], *LATENT[1:]), (50, 384)],
    "decoder": [LATENT],
}
"""What each graph takes for one item of a batch."""
MASK: Final = Mask(centre=(0.5, 0.72), radii=(0.4, 0.22), feather=0.03, border=0.02)
"""The lower face without its edges: the upper half is only there to be looked at."""


def draft(label: str, graphs: Sequence[OnnxFile], size: int | None) -> Draft:
    """What becomes of four bare graphs, told apart by what they take.

    Args:
        label: how the model will be called.
        graphs: in any order.
        size: pixels of a face; there is only one.

    Raises:
        BadModelError: they aren't the graphs of this family.
    """
    if size not in (None, SIZE):
        raise BadModelError(f"model {label} takes faces of {SIZE} pixels, not of {size}")
    files: dict[str, Path] = {}
    for name, rows in GRAPHS.items():
        fitting = [graph for graph in graphs if takes(graph.inputs, rows)]
        if len(fitting) != 1:
            found = "; ".join(said(graph.path.name, graph.inputs) for graph in graphs)
            what = f"has {len(fitting)} graphs that take {rows} for each frame as {name} does"
            raise BadModelError(f"model {label} {what}, not one: {found}")
        files[f"{name}.onnx"] = fitting[0].path
        files |= {weights: fitting[0].path.parent / weights for weights in fitting[0].weights}
    return Draft(SIZE, MASK, files, {})


def takes(inputs: tuple[TensorSpec, ...], rows: Sequence[tuple[int, ...]]) -> bool:
    """Whether a graph's inputs are these, for each item of a batch; names don't matter."""
    taken = [tensor.shape[1:] for tensor in inputs]
    return len(taken) == len(rows) and all(any(fits(one, row) for one in taken) for row in rows)


def said(name: str, inputs: tuple[TensorSpec, ...]) -> str:
    """What a graph takes, for an error."""
    found = ", ".join(f"{tensor.name} {list(tensor.shape)}" for tensor in inputs)
    return f"{name} takes {found}"


def fits(taken: tuple[int | None, ...], row: tuple[int, ...]) -> bool:
    """Whether an input takes items of this shape."""
    same = (size in (None, wanted) for size, wanted in zip(taken, row, strict=False))
    return len(taken) == len(row) and all(same)
