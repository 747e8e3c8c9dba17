"""The first runs of a graph, before anybody waits for it."""

import numpy as np

from functions.infer.backends.graph import DeviceGraph, batched


def warm_up(graph: DeviceGraph) -> None:
    """Runs a graph once for each batch size that it was made for: some compile at the first run.

    A graph with dimensions that nobody knows yet, or that takes any batch, is left alone.
    """
    for size in graph.batches:
        inputs = {}
        for spec, has in zip(graph.inputs, batched(graph.inputs), strict=True):
            shape = (size, *spec.shape[1:]) if has else spec.shape
            known = tuple(each for each in shape if each is not None)
            if len(known) < len(shape):
                return
            inputs[spec.name] = np.zeros(known, spec.dtype)
        graph.run(inputs)
