"""Whether two graphs that should be the same come to the same: how far apart their outputs are.

The measures and their limits are those of Ascend's own tools: msit's "normal" asks for a cosine
above .99 and a relative Euclidean distance below .05, msProbe passes whatever differs by at most
.001 anywhere, and neither lets NaN or infinity through.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, log10, sqrt

import numpy as np
from numpy.typing import NDArray

from functions.errors import KouboError
from functions.infer.backends import Graph

Tensors = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Limits:
    """What still counts as the same.

    Args:
        cosine: at least.
        euclidean: at most, relative to the first graph's.
        max_abs: whose difference is nowhere more passes anyway.
        psnr: decibels, at least, of outputs that are pictures; 0 asks for none.
    """

    cosine: float = 0.99
    euclidean: float = 0.05
    max_abs: float = 1e-3
    psnr: float = 0.0


@dataclass(frozen=True)
class Measures:
    """How far apart two tensors are.

    Args:
        name: as the first graph calls it.
        cosine: of the angle between them; 1 for two that are all zeros.
        euclidean: the distance, relative to the first one's length.
        max_abs: the largest difference.
        psnr: decibels, for pictures; infinite for equal ones, None for what is no picture.
        finite: whether there is neither NaN nor infinity in them.
    """

    name: str
    cosine: float
    euclidean: float
    max_abs: float
    psnr: float | None
    finite: bool

    def passes(self, limits: Limits) -> bool:
        """Whether they count as the same."""
        if not self.finite or (self.psnr is not None and self.psnr < limits.psnr):
            return False
        near = self.cosine >= limits.cosine and self.euclidean <= limits.euclidean
        return near or self.max_abs <= limits.max_abs

    def __str__(self) -> str:
        said = f"{self.name}: cosine {self.cosine:.6f}, relative Euclidean {self.euclidean:.2e}, "
        said += f"max-abs {self.max_abs:.2e}"
        said += "" if self.psnr is None else f", PSNR {self.psnr:.1f} dB"
        return said if self.finite else f"{said}, NaN or infinity"


@dataclass
class Tally:
    """Adds up what the measures of one tensor are made of, batch after batch.

    Args:
        name: of the tensor.
    """

    name: str
    _products: NDArray[np.float64] = field(default_factory=lambda: np.zeros(4))
    _count: int = 0
    _largest: float = 0.0
    _low: float = inf
    _high: float = -inf
    _finite: bool = True
    _picture: bool = True

    def add(self, one: NDArray[np.generic], other: NDArray[np.generic]) -> None:
        """Takes in a batch of both graphs' outputs.

        Raises:
            KouboError: their shapes differ, so they aren't the same graph.
        """
        if one.shape != other.shape:
            raise KouboError(f"{self.name} is {one.shape} in one graph, {other.shape} in the other")
        a, b = one.astype(np.float64).ravel(), other.astype(np.float64).ravel()
        self._picture = self._picture and one.ndim == 4 and one.shape[1] == 3
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            self._finite = False
            return
        apart = a - b
        self._products += (a @ b, a @ a, b @ b, apart @ apart)
        self._count += len(a)
        self._largest = max(self._largest, float(np.abs(apart).max(initial=0.0)))
        self._low = min(self._low, float(a.min(initial=inf)))
        self._high = max(self._high, float(a.max(initial=-inf)))

    def measures(self) -> Measures:
        """What all batches together come to."""
        inner, length, other, apart = (float(value) for value in self._products)
        both = sqrt(length * other)
        same = 1.0 if length == other else 0.0
        return Measures(
            self.name,
            inner / both if both else same,
            sqrt(apart / length) if length else (inf if apart else 0.0),
            self._largest,
            self._psnr(apart) if self._picture and self._count else None,
            self._finite,
        )

    def _psnr(self, apart: float) -> float:
        # Pictures are in 0..1 or in -1..1.
        peak = 2.0 if self._low < -0.05 else 1.0
        return 10 * log10(peak**2 * self._count / apart) if apart else inf


def compare(one: Graph, other: Graph, batches: Iterable[Tensors]) -> list[Measures]:
    """Runs two graphs on the same inputs.

    Args:
        one: what is right.
        other: what is asked about; its inputs may have other names, not other shapes.
        batches: inputs by the first graph's names.

    Returns:
        the measures of each output, in the first graph's order.

    Raises:
        KouboError: they take or give different things, or there are no inputs.
        BackendFault: a graph can't be run.
    """
    tallies = [Tally(tensor.name) for tensor in one.outputs]
    empty = True
    for batch in batches:
        empty = False
        made, copied = one.run(_given(one, batch)), other.run(_given(other, batch))
        if len(made) != len(copied):
            raise KouboError(f"one graph has {len(made)} outputs, the other {len(copied)}")
        for tally, first, second in zip(tallies, made, copied, strict=True):
            tally.add(first, second)
    if empty:
        raise KouboError("there are no inputs to compare with")
    return [tally.measures() for tally in tallies]


def in_batches(inputs: Tensors, size: int) -> Iterable[Tensors]:
    """Cuts inputs of many rows into batches.

    Raises:
        KouboError: they haven't the same number of rows.
    """
    counts = {len(array) for array in inputs.values()}
    if len(counts) != 1:
        raise KouboError(f"inputs have {sorted(counts)} rows; each row is one frame")
    for start in range(0, counts.pop(), size):
        yield {name: array[start : start + size] for name, array in inputs.items()}


def _given(graph: Graph, batch: Tensors) -> dict[str, NDArray[np.generic]]:
    """A batch by this graph's own names and types."""
    given: dict[str, NDArray[np.generic]] = {}
    for tensor in graph.inputs:
        array = batch.get(tensor.name)
        if array is None:
            array = _of_shape(tensor.shape, list(batch.values()))
        if array is None:
            names = ", ".join(f"{name} {array.shape}" for name, array in batch.items())
            raise KouboError(f"{tensor.name} {list(tensor.shape)} is none of the inputs: {names}")
        given[tensor.name] = array.astype(tensor.dtype, copy=False)
    return given


def _of_shape(
    shape: Sequence[int | None], arrays: list[NDArray[np.generic]]
) -> NDArray[np.generic] | None:
    def fits(array: NDArray[np.generic]) -> bool:
        rows = zip(shape[1:], array.shape[1:], strict=False)
        return len(shape) == array.ndim and all(size in (None, have) for size, have in rows)

    found = [array for array in arrays if fits(array)]
    return found[0] if len(found) == 1 else None
