"""Rows on their way through graphs that take so many at a time."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from functions.infer.backends.faults import NotFinite, UnsupportedGraph
from functions.infer.backends.graph import (
    Arrays,
    DeviceGraph,
    Outputs,
    TensorSpec,
    batched,
    takes_any_batch,
)


def sizes(graph: DeviceGraph) -> tuple[int, ...]:
    """The batch sizes that a graph takes, ascending; empty where it takes any."""
    if graph.batches:
        return graph.batches
    first = graph.inputs[0].shape if graph.inputs else ()
    fixed = bool(first) and not takes_any_batch(graph.inputs)
    return (int(first[0] or 1),) if fixed else ()


def rows_of(graph: DeviceGraph, left: int, limit: int = 0) -> int:
    """How many rows to run at once, with those that only fill up.

    Args:
        graph: what takes them.
        left: rows that are to be run.
        limit: the most that fit in memory, where that is known.
    """
    known = sizes(graph)
    if not known:
        return min(left, limit or left)
    fitting = [size for size in known if not limit or size <= limit] or [known[0]]
    return next((size for size in fitting if size >= left), fitting[-1])


def smaller(graph: DeviceGraph, size: int) -> int:
    """The next smaller batch than one that didn't fit; 0 where there is none."""
    known = sizes(graph)
    if not known:
        return size // 2
    return max(
        (each for each in known if each <= max(size // 2, known[0]) and each < size), default=0
    )


@dataclass
class Batch:
    """Inputs that are being run, piece by piece.

    Args:
        arrays: by the names of the specification.
        spec: the inputs as the caller knows them.
        rows: how many rows each batched input has.
        done: rows whose outputs are there.
    """

    arrays: Arrays
    spec: tuple[TensorSpec, ...]
    rows: int
    done: int = 0
    _pieces: list[Outputs] = field(default_factory=list)

    @staticmethod
    def of(arrays: Arrays, spec: tuple[TensorSpec, ...]) -> "Batch":
        """Inputs by the names of a specification.

        Raises:
            ValueError: they aren't what the specification asks for.
        """
        names = [each.name for each in spec]
        if set(arrays) != set(names):
            raise ValueError(f"the graph takes {names}, not {sorted(arrays)}")
        rows = [
            len(arrays[each.name]) for each, has in zip(spec, batched(spec), strict=True) if has
        ]
        return Batch(arrays, spec, max(rows, default=1))

    @property
    def left(self) -> int:
        """Rows that are to be run."""
        return self.rows - self.done

    def piece(self, graph: DeviceGraph, size: int) -> tuple[dict[str, NDArray[Any]], int]:
        """The next rows as a graph takes them.

        Its inputs may have other names and other types than the caller's; then they go by place.

        Returns:
            Inputs of `size` rows, the last one repeated where there are fewer, and how many count.

        Raises:
            UnsupportedGraph: the graph takes other inputs.
        """
        if len(graph.inputs) != len(self.spec):
            raise UnsupportedGraph(f"it takes {len(graph.inputs)} inputs, not {len(self.spec)}")
        same = {each.name for each in graph.inputs} == {each.name for each in self.spec}
        taken = min(self.left, size)
        made = {}
        for theirs, ours, has in zip(graph.inputs, self.spec, batched(graph.inputs), strict=True):
            array = self.arrays[theirs.name if same else ours.name]
            if has and len(array) == self.rows:
                array = _filled(array[self.done : self.done + taken], size)
            made[theirs.name] = np.ascontiguousarray(array, theirs.dtype)
        return made, taken

    def take(self, outputs: Outputs, size: int, taken: int) -> None:
        """Takes what a graph gave for a piece."""
        self._pieces.append(
            [out[:taken] if out.ndim and len(out) == size else out for out in outputs]
        )
        self.done += taken

    def outputs(self, spec: tuple[TensorSpec, ...]) -> Outputs:
        """All rows' outputs, in the types of the specification."""
        joined = []
        for place, each in enumerate(spec):
            parts = [piece[place] for piece in self._pieces]
            whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
            joined.append(whole.astype(each.dtype, copy=False))
        return joined


def require_finite(outputs: Outputs) -> None:
    """Raises NotFinite where an output holds a NaN or an infinity."""
    for place, output in enumerate(outputs):
        if output.dtype.kind == "f" and not np.isfinite(output).all():
            raise NotFinite(f"output {place} has numbers that are not finite")


def _filled(rows: NDArray[Any], size: int) -> NDArray[Any]:
    if len(rows) == size:
        return rows
    return np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)])
