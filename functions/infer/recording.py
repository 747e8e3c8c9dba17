"""What a graph is really given: inputs kept while its family renders a footage.

Calibration and comparisons want real face windows, whatever the family makes of them, so the family
itself makes them: it renders, and the graph's inputs are written down.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from functions.errors import KouboError
from functions.infer.backends import Backend, Graph
from functions.infer.backends.graph import Arrays, TensorSpec
from functions.infer.family import FootageReader, Span, VoiceReader
from functions.infer.manifest import Manifest
from functions.infer.model_shelf import load_family

BATCH = 4


@dataclass
class Recorder:
    """A backend that writes down what one graph is given.

    Args:
        backend: really loads.
        stem: of the graph.
        rows: so many frames are enough.
    """

    backend: Backend
    stem: str
    rows: int
    kept: list[dict[str, NDArray[np.generic]]] = field(default_factory=list)

    def load(self, path: Path) -> Graph:
        """See `Backend`."""
        graph = self.backend.load(path)
        return _Recorded(graph, self) if path.stem == self.stem else graph

    @property
    def full(self) -> bool:
        """Whether there is enough."""
        return sum(len(next(iter(batch.values()))) for batch in self.kept) >= self.rows


def record(
    manifest: Manifest,
    stem: str,
    backend: Backend,
    footage: FootageReader,
    voice: VoiceReader,
    rows: int,
) -> dict[str, NDArray[np.generic]]:
    """Inputs of a graph, one row a frame.

    Args:
        manifest: the model.
        stem: of the graph in it.
        backend: runs the model meanwhile.
        footage: frames from all over it are taken.
        voice: is heard from its beginning on.
        rows: at most so many.

    Raises:
        KouboError: the model has no such graph, or the footage gave it nothing to do.
    """
    manifest.graph(stem)
    recorder = Recorder(backend, stem, rows)
    family = load_family(manifest, recorder, BATCH)
    shown = spread(footage.footage.frames, rows)
    rate = footage.footage.rate if footage.footage.kind == "video" else Fraction(25)
    span = Span(0, len(shown), rate, shown)
    for _ in _until_full(family.render(footage, family.prepare(footage), voice, span), recorder):
        pass
    if not recorder.kept:
        raise KouboError(f"{stem} of model {manifest.label} was given nothing by this footage")
    names = recorder.kept[0]
    joined = {name: np.concatenate([batch[name] for batch in recorder.kept]) for name in names}
    return {name: array[:rows] for name, array in joined.items()}


def spread(frames: int, wanted: int) -> tuple[int, ...]:
    """So many frames from all over a footage, or all of them over again where it is shorter."""
    if frames >= wanted:
        return tuple(int(at) for at in np.linspace(0, frames - 1, wanted))
    return tuple(index * frames // wanted for index in range(wanted))


def _until_full(patches: Iterator[object], recorder: Recorder) -> Iterator[object]:
    for patch in patches:
        yield patch
        if recorder.full:
            return


@dataclass(frozen=True)
class _Recorded:
    graph: Graph
    recorder: Recorder

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self.graph.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self.graph.outputs

    @property
    def backend(self) -> str:
        return self.graph.backend

    def run(self, inputs: Arrays) -> list[NDArray[np.generic]]:
        if not self.recorder.full:
            self.recorder.kept.append({name: array.copy() for name, array in inputs.items()})
        return self.graph.run(inputs)

    def close(self) -> None:
        self.graph.close()
