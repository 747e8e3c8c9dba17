"""How infer's devices are, for Prometheus. What a device doesn't tell is absent."""

import time
from collections.abc import Callable, Iterable, Sequence
from threading import Lock

from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from functions.infer.backends.graph import DeviceBackend, Reading

FRESH_SECONDS = 5.0
"""Readings are shared for so long: some take seconds and a program to make."""

_LABELS = ("device", "name")
_FAMILIES: tuple[tuple[str, str, Callable[[Reading], float | None]], ...] = (
    ("koubo_device_use_ratio", "Use of the device's cores, 0 to 1.", lambda one: one.use),
    ("koubo_device_memory_used_bytes", "Its memory in use.", lambda one: one.memory_used),
    ("koubo_device_memory_bytes", "All of its memory.", lambda one: one.memory_total),
    ("koubo_device_temperature_celsius", "Its temperature.", lambda one: one.temperature),
    (
        "koubo_device_healthy",
        "1 where the device says that it is well, else 0.",
        lambda one: None if one.healthy is None else float(one.healthy),
    ),
)


class DeviceCollector(Collector):
    """Reads devices when somebody asks for metrics.

    Args:
        backends: whose devices they are.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        backends: Sequence[DeviceBackend] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backends = backends
        self._clock = clock
        self._lock = Lock()
        self._read_at = float("-inf")
        self._readings: tuple[Reading, ...] = ()

    def watch(self, backends: Sequence[DeviceBackend]) -> None:
        """Tells of the devices of these backends from now on."""
        with self._lock:
            self._backends, self._read_at = backends, float("-inf")

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing: what devices tell differs, and asking them at start-up would cost time."""
        return ()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The metrics; those that no device tells are left out."""
        readings = self._fresh()
        for name, says, value in _FAMILIES:
            family = GaugeMetricFamily(name, says, labels=_LABELS)
            for one in readings:
                if (found := value(one)) is not None:
                    family.add_metric([one.device, one.name], found)
            if family.samples:
                yield family
        power = GaugeMetricFamily(
            "koubo_device_power_watts",
            "What the chip draws, or the whole card where only that is measured.",
            labels=(*_LABELS, "of"),
        )
        for one in readings:
            if one.power is not None:
                power.add_metric([one.device, one.name, one.power_of], one.power)
        if power.samples:
            yield power

    def _fresh(self) -> tuple[Reading, ...]:
        with self._lock:
            if self._clock() - self._read_at >= FRESH_SECONDS:
                found: dict[str, Reading] = {}
                for backend in self._backends:
                    for one in backend.readings():
                        found.setdefault(one.device, one)  # two backends on one device
                self._readings, self._read_at = tuple(found.values()), self._clock()
            return self._readings


DEVICES = DeviceCollector()
"""The devices of this process's infer; they tell nothing until `watch` names them."""

REGISTRY.register(DEVICES)
