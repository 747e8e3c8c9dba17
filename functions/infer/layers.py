"""Where inside two ONNX graphs the numbers part: the first layer past the limits.

Every tensor that both graphs have under the same name is made an output of both, some at a time.
That ends the fusion of operators at these places, so what is found is the first layer that differs
by itself. Needs the package onnx.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx

from functions.infer.backends import Graph
from functions.infer.comparison import Limits, Measures, Tally, Tensors
from functions.infer.onnx_file import read_onnx

AT_ONCE = 16
"""Tensors that are looked at together: bounds the memory."""

Load = Callable[[Path], Graph]


def first_past(
    one: tuple[Path, Load],
    other: tuple[Path, Load],
    batch: Tensors,
    limits: Limits,
) -> Measures | None:
    """The first tensor, in the order of computing, that doesn't pass.

    Args:
        one: what is right, and what loads it.
        other: what is asked about, and what loads it.
        batch: inputs by name.
        limits: what passes.

    Returns:
        its measures; None where all that both graphs name passes.
    """
    names = shared(one[0], other[0])
    with TemporaryDirectory(prefix="koubo-layers-") as folder:
        for start in range(0, len(names), AT_ONCE):
            part = names[start : start + AT_ONCE]
            graphs = [
                load(expose(path, part, Path(folder) / str(index)))
                for index, (path, load) in enumerate((one, other))
            ]
            for measured in _measure(graphs, part, batch):
                if not measured.passes(limits):
                    return measured
            for graph in graphs:
                graph.close()
    return None


def shared(one: Path, other: Path) -> list[str]:
    """Names of tensors that both graphs compute, in the first one's order of computing."""
    known = set(_computed(other))
    return [name for name in _computed(one) if name in known]


def expose(path: Path, names: Sequence[str], folder: Path) -> Path:
    """A graph in a folder of its own whose outputs are these tensors and no others."""
    folder.mkdir(exist_ok=True)
    model = onnx.load(path, load_external_data=False)
    del model.graph.output[:]
    for name in names:
        model.graph.output.append(onnx.ValueInfoProto(name=name))
    for weights in read_onnx(path, path.stat().st_size).weights:
        beside = folder / weights
        if not beside.exists():
            _link(path.parent / weights, beside)
    made = folder / path.name
    made.write_bytes(model.SerializeToString())
    return made


def _measure(graphs: Sequence[Graph], names: Sequence[str], batch: Tensors) -> Iterator[Measures]:
    outputs = [graph.run({t.name: batch[t.name] for t in graph.inputs}) for graph in graphs]
    for name, first, second in zip(names, *outputs, strict=True):
        if first.dtype.kind == "f" and second.dtype.kind == "f":
            tally = Tally(name)
            tally.add(first, second)
            yield tally.measures()


def _computed(path: Path) -> list[str]:
    model: Any = onnx.load(path, load_external_data=False)
    return [name for node in model.graph.node for name in islice(node.output, 1) if name]


def _link(source: Path, to: Path) -> None:
    try:
        to.hardlink_to(source)
    except OSError:
        # Another file system: the copy costs time, not memory.
        shutil.copyfile(source, to)
