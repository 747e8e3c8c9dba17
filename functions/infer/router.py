"""Decides which device runs a graph, and what happens when it fails.

The backends are tried in their order. A device that is lost is left out until it answers again, one
that runs out of memory gets smaller batches, and what a device can't run goes to the next one, in
the middle of a segment. When none is left the caller hears of it, and its policy decides.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

from functions.infer.attempts import took_place
from functions.infer.backends.artefact import artefact_for
from functions.infer.backends.faults import (
    BackendAbsent,
    BackendFault,
    DeviceOutOfMemory,
    NoArtefact,
    NoBackendLeft,
    UnsupportedGraph,
)
from functions.infer.backends.graph import Arrays, DeviceBackend, DeviceGraph, Outputs, TensorSpec
from functions.infer.batches import Batch, require_finite, rows_of, smaller
from functions.infer.breaker import Breaker, Recovery
from functions.logs import logger
from functions.metrics import BACKEND_UP
from functions.patches import GraphRuns

log = logger()

_STRIKES = 3
"""So many unknown faults of a graph on a device, and it is taken to be the graph."""


@dataclass
class Device:
    """A backend and whether it may be used."""

    backend: DeviceBackend
    breaker: Breaker

    def lose(self, cause: BackendFault) -> None:
        """Leaves it out until it answers."""
        news = not self.breaker.is_open
        self.breaker.open(cause)
        BACKEND_UP.labels(self.backend.name).set(0)
        if news:
            log.warning("infer.backend_lost", backend=self.backend.name, cause=str(cause))

    def regain(self) -> None:
        """Uses it again."""
        self.breaker.close()
        BACKEND_UP.labels(self.backend.name).set(1)
        log.info("infer.backend_back", backend=self.backend.name)


class Router:
    """Gives models their graphs; see `functions.infer.backends.graph.Backend`.

    Args:
        backends: in the order in which they are tried.
        recovery: when a lost device is asked whether it is back.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        backends: Sequence[DeviceBackend],
        recovery: Recovery | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock
        self.lock = RLock()
        self.recovery = recovery or Recovery()
        self.devices = [Device(one, Breaker(self.recovery, clock)) for one in backends]
        for backend in backends:
            BACKEND_UP.labels(backend.name).set(1)

    def load(self, path: Path) -> "RoutedGraph":
        """Loads a graph on the first device that takes it.

        Args:
            path: any of the graph's artefacts; each backend takes the one that suits it.

        Raises:
            NoBackendLeft: none takes it.
        """
        graph = RoutedGraph(self, path)
        graph.settle()
        return graph

    def recover(self) -> float | None:
        """Asks each lost device whose time has come whether it is back.

        Returns:
            Seconds until the next one is to be asked; None where no device is out.
        """
        for device in self.devices:
            with self.lock:
                due = device.breaker.is_open and not device.breaker.due_in
            if due:
                # Without the lock: a device that hangs must not hold up those that work.
                found = device.backend.probe()
                with self.lock:
                    if found.works:
                        device.regain()
                    else:
                        device.lose(BackendAbsent(found.says))
        with self.lock:
            waits = [each.breaker.due_in for each in self.devices if each.breaker.is_open]
        return min(waits, default=None)


@dataclass
class _Place:
    """A graph on one device.

    Args:
        loaded: where it is loaded.
        refused: why this device will never run it.
        strikes: faults that nobody knows the meaning of.
        limit: the largest batch that fits, where memory has run out.
        limit_until: when more may be tried again.
    """

    loaded: DeviceGraph | None = None
    refused: BackendFault | None = None
    strikes: int = 0
    limit: int = 0
    limit_until: float = 0.0


class RoutedGraph:
    """A graph that runs wherever it can; see `functions.infer.backends.graph.Graph`.

    It takes any number of rows: they are cut and filled up to the batches that a device was made
    for, and exactly as many come back.
    """

    def __init__(self, router: Router, path: Path) -> None:
        self._router = router
        self._path = path
        self._name = path.stem
        self._places = {device.backend.name: _Place() for device in router.devices}
        self._spec: DeviceGraph | None = None
        self._backend = ""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What it takes, as the first backend that took it says."""
        return self._first.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What it gives, as the first backend that took it says."""
        return self._first.outputs

    @property
    def backend(self) -> str:
        """What ran it last, or is going to."""
        return self._backend

    @property
    def _first(self) -> DeviceGraph:
        assert self._spec is not None, "a router hands out settled graphs"
        return self._spec

    def settle(self) -> None:
        """Loads the graph on the first device that takes it; NoBackendLeft where none does."""
        causes: dict[str, BackendFault] = {}
        for _, graph in self._candidates(causes):
            self._spec, self._backend = graph, graph.backend
            return
        raise NoBackendLeft(self._path.name, causes)

    def run(self, inputs: Arrays) -> Outputs:
        """See `Graph`; NoBackendLeft where every device is out."""
        batch = Batch.of(inputs, self._first.inputs)
        while batch.left:
            self._serve(batch)
        return batch.outputs(self._first.outputs)

    def close(self) -> None:
        """See `Graph`."""
        for place in self._places.values():
            _drop(place)

    def _serve(self, batch: Batch) -> None:
        """Runs some of the rows that are left on the first device that can."""
        causes: dict[str, BackendFault] = {}
        for device, graph in self._candidates(causes):
            try:
                self._run_on(device, graph, batch)
            except BackendFault as fault:
                causes[device.backend.name] = fault
                self._blame(device, fault)
            else:
                self._backend = graph.backend
                return
        raise NoBackendLeft(self._path.name, causes)

    def _run_on(self, device: Device, graph: DeviceGraph, batch: Batch) -> None:
        """One run on one device, halved until it fits."""
        place = self._places[device.backend.name]
        while True:
            size = rows_of(graph, batch.left, self._limit(place))
            piece, taken = batch.piece(graph, size)
            began = time.perf_counter()
            try:
                outputs = graph.run(piece)
                require_finite(outputs)
            except BackendFault as fault:
                self._took(graph, size, began, fault)
                less = smaller(graph, size)
                if not isinstance(fault, DeviceOutOfMemory) or not less:
                    raise
                place.limit = less
                place.limit_until = self._router.clock() + self._router.recovery.most
                continue
            self._took(graph, size, began, None)
            batch.take(outputs, size, taken)
            return

    def _limit(self, place: _Place) -> int:
        if place.limit and self._router.clock() >= place.limit_until:
            place.limit = 0  # whoever else needed the memory may be gone
        return place.limit

    def _candidates(self, causes: dict[str, BackendFault]) -> Iterator[tuple[Device, DeviceGraph]]:
        """The devices that may run the graph, with it loaded; the others' faults go to `causes`."""
        for device in self._router.devices:
            name = device.backend.name
            place = self._places[name]
            why = place.refused or device.breaker.cause
            if why is None:
                try:
                    with self._router.lock:
                        graph = place.loaded or self._load(device)
                        place.loaded = graph
                except BackendFault as fault:
                    why = fault
                    self._blame(device, fault)
                else:
                    yield device, graph
                    continue
            causes[name] = why

    def _load(self, device: Device) -> DeviceGraph:
        name, began = device.backend.name, time.perf_counter()
        try:
            graph = device.backend.load(artefact_for(self._path, device.backend.suffixes))
        except BackendFault as fault:
            seconds = round(time.perf_counter() - began, 6)
            took_place(GraphRuns(self._name, name, "", 0, 1, seconds, fault.outcome, str(fault)))
            raise
        return graph

    def _blame(self, device: Device, fault: BackendFault) -> None:
        """Draws the consequence of a fault."""
        place = self._places[device.backend.name]
        place.strikes += type(fault) is BackendFault
        if isinstance(fault, UnsupportedGraph | NoArtefact) or place.strikes >= _STRIKES:
            place.refused = fault
        else:
            with self._router.lock:
                device.lose(fault)
        # On a lost device it is void; on the others it holds memory that somebody may need.
        _drop(place)

    def _took(
        self, graph: DeviceGraph, size: int, began: float, fault: BackendFault | None
    ) -> None:
        took_place(
            GraphRuns(
                self._name,
                graph.backend,
                graph.precision,
                size,
                1,
                round(time.perf_counter() - began, 6),
                *((fault.outcome, str(fault)) if fault else ()),
            )
        )


def _drop(place: _Place) -> None:
    loaded, place.loaded = place.loaded, None
    if loaded is not None:
        with suppress(BackendFault):  # a lost device can't even say goodbye
            loaded.close()
