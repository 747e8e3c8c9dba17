from prometheus_client import CollectorRegistry, generate_latest

from functions.infer.backends.graph import Reading
from functions.infer.telemetry import FRESH_SECONDS, DeviceCollector
from tests.infer.scripted import Scripted
from tests.infer.test_breaker import Clock

NPU = Reading("npu:0", "Ascend 310P3", 0.5, 2.0, 8.0, 51.0, 42.5, "card", healthy=True)


def metrics(*backends, clock=None):
    registry = CollectorRegistry()
    registry.register(DeviceCollector(backends, clock or Clock()))
    text = generate_latest(registry).decode()
    return {line for line in text.splitlines() if not line.startswith("#")}


def test_everything_that_a_device_tells():
    """Use, memory, temperature, power with what draws it, and health."""
    device = 'device="npu:0",name="Ascend 310P3"'
    assert metrics(Scripted("a", told=(NPU,))) == {
        f"koubo_device_use_ratio{{{device}}} 0.5",
        f"koubo_device_memory_used_bytes{{{device}}} 2.0",
        f"koubo_device_memory_bytes{{{device}}} 8.0",
        f"koubo_device_temperature_celsius{{{device}}} 51.0",
        f"koubo_device_healthy{{{device}}} 1.0",
        f'koubo_device_power_watts{{{device},of="card"}} 42.5',
    }


def test_what_is_not_told_is_absent():
    """A value that isn't known is no 0."""
    assert metrics(Scripted("a", told=(Reading("npu:0", "x", healthy=False),))) == {
        'koubo_device_healthy{device="npu:0",name="x"} 0.0'
    }
    assert metrics(Scripted("a")) == set()


def test_two_backends_on_one_device_tell_it_once():
    """The device is one, whoever runs graphs there."""
    told = (Reading("npu:0", "x", use=1.0),)
    assert len(metrics(Scripted("a", told=told), Scripted("b", told=told))) == 1


def test_readings_are_shared_for_some_seconds():
    """Asking is slow; who asks often gets what was told before."""
    clock, device = Clock(), Scripted("a", told=(Reading("npu:0", "x", use=0.0),))
    collector = DeviceCollector((device,), clock)

    def use():
        return [sample.value for family in collector.collect() for sample in family.samples]

    assert use() == [0.0]
    device.told = (Reading("npu:0", "x", use=1.0),)
    assert use() == [0.0]
    clock.now += FRESH_SECONDS
    assert use() == [1.0]
