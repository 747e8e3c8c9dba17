"""`koubo compare`: whether a graph comes to the same elsewhere, and where it first doesn't."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from functions.errors import KouboError

if TYPE_CHECKING:
    # The command that needs them imports them: others start faster.
    import numpy as np
    from numpy.typing import NDArray

    from functions.infer.backends import Graph
    from functions.infer.comparison import Limits, Measures, Tensors

EXIT_APART = 1
"""The graphs differ by more than the limits allow."""

CPU = "onnxruntime/cpu"
BATCH = 4

OnOption = Annotated[
    str, typer.Option("--on", help="Backend of the first graph, such as onnxruntime/cpu.")
]
CosineOption = Annotated[float, typer.Option(help="At least this.")]
EuclideanOption = Annotated[float, typer.Option(help="Relative distance, at most this.")]
MaxAbsOption = Annotated[float, typer.Option(help="No larger difference passes anyway.")]
PsnrOption = Annotated[float, typer.Option(help="Decibels of pictures, at least; 0 asks for none.")]


@dataclass(frozen=True)
class Side:
    """A graph and the backend that runs it."""

    path: Path
    backend: str

    def load(self, path: Path | None = None) -> "Graph":
        """This graph, or another one on the same backend."""
        from functions.infer.backends.offered import open_backend  # noqa: PLC0415 -- see above
        from functions.infer.router import Router  # noqa: PLC0415
        from functions.infer.settings import InferSettings  # noqa: PLC0415

        # The router fills batches up; with one backend it never goes elsewhere.
        return Router((open_backend(self.backend, InferSettings()),)).load(path or self.path)


def compare(
    one: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="What is right.")],
    other: Annotated[
        Path | None, typer.Argument(exists=True, dir_okay=False, help="By default the same file.")
    ] = None,
    on: OnOption = CPU,
    other_on: Annotated[str, typer.Option("--other-on", help="Backend of the second one.")] = CPU,
    inputs: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="An .npz, one row a frame, by input names."),
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Frames of made-up inputs.")] = 8,
    cosine: CosineOption = 0.99,
    euclidean: EuclideanOption = 0.05,
    max_abs: MaxAbsOption = 1e-3,
    psnr: PsnrOption = 0.0,
) -> None:
    """Run two graphs, or one on two backends, on the same inputs; exit 1 where they part."""
    from functions.infer.comparison import Limits  # noqa: PLC0415 -- see above

    first, second = Side(one, on), Side(other or one, other_on)
    given = read_inputs(inputs) if inputs else made_up(first.load(), rows)
    if not inputs:
        typer.echo("The inputs are made up; --inputs takes real ones.")
    if not gate(first, second, given, Limits(cosine, euclidean, max_abs, psnr)):
        raise typer.Exit(EXIT_APART)


def gate(one: Side, other: Side, inputs: "Tensors", limits: "Limits") -> bool:
    """Compares, prints the measures, and where it fails the first layer that does.

    Raises:
        KouboError: the graphs can't be compared.
    """
    from functions.infer.comparison import compare as measure  # noqa: PLC0415 -- see above
    from functions.infer.comparison import in_batches  # noqa: PLC0415

    first, second = one.load(), other.load()
    found = measure(first, second, in_batches(inputs, BATCH))
    typer.echo(f"{one.path} on {first.backend}, {other.path} on {second.backend}:")
    for measured in found:
        typer.echo(f"  {'passes' if measured.passes(limits) else 'FAILS '}  {measured}")
    if all(measured.passes(limits) for measured in found):
        return True
    first.close()
    second.close()
    typer.echo(_where(one, other, inputs, limits))
    return False


def read_inputs(path: Path) -> "dict[str, NDArray[np.generic]]":
    """Named arrays of an `.npz`.

    Raises:
        KouboError: it is no such file.
    """
    import numpy as np  # noqa: PLC0415 -- see above

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, OSError, AttributeError) as error:
        raise KouboError(f"{path.name} holds no named arrays: {error}") from error


def made_up(graph: "Graph", rows: int) -> "dict[str, NDArray[np.generic]]":
    """Inputs of a graph's shapes: numbers from 0 to 1, always the same.

    Raises:
        KouboError: a size besides the batch isn't fixed.
    """
    import numpy as np  # noqa: PLC0415 -- see above

    random = np.random.default_rng(0)
    given: dict[str, NDArray[np.generic]] = {}
    for tensor in graph.inputs:
        sizes = [size for size in tensor.shape[1:] if size is not None]
        if len(sizes) < len(tensor.shape) - 1:
            what = f"{tensor.name} {list(tensor.shape)} has sizes that aren't fixed"
            raise KouboError(f"{what}; give real inputs with --inputs")
        given[tensor.name] = random.random((rows, *sizes), np.float32).astype(tensor.dtype)
    return given


def _where(one: Side, other: Side, inputs: "Tensors", limits: "Limits") -> str:
    """What to say of the layer at which they part."""
    if {one.path.suffix, other.path.suffix} != {".onnx"}:
        return "Which layer it is can only be said of two ONNX files."
    from functions.infer.comparison import in_batches  # noqa: PLC0415 -- see above
    from functions.infer.layers import first_past  # noqa: PLC0415

    batch = next(iter(in_batches(inputs, 1)))
    sides = (one.path, one.load), (other.path, other.load)
    layer: Measures | None = first_past(*sides, batch, limits)
    if layer is None:
        return "No single layer is past the limits; small differences add up."
    return f"The first layer past the limits is {layer}"
