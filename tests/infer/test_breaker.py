from dataclasses import dataclass

import pytest

from functions.infer.backends.faults import DeviceLost
from functions.infer.breaker import Breaker, Recovery

CAUSE = DeviceLost("gone")


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker(Recovery(first=5, most=60), clock)


def test_a_new_breaker_is_closed(breaker):
    """A device may be used until it fails."""
    assert not breaker.is_open


def test_a_lost_device_is_asked_ever_more_rarely(breaker, clock):
    """The first question comes soon, each later one after twice the time, up to a limit."""
    waits = []
    for _ in range(6):
        breaker.open(CAUSE)
        assert breaker.is_open
        waits.append(breaker.due_in)
        clock.now += breaker.due_in
        assert breaker.due_in == 0
    assert waits == [5, 10, 20, 40, 60, 60]


def test_a_device_that_relapses_is_trusted_less(breaker, clock):
    """Lost again soon after it came back, it waits longer than the first time."""
    breaker.open(CAUSE)
    breaker.close()
    clock.now += 59
    breaker.open(CAUSE)
    assert breaker.due_in == 10


def test_a_device_that_was_well_for_long_starts_anew(breaker, clock):
    """After the longest wait without a fault, what was is forgotten."""
    breaker.open(CAUSE)
    breaker.close()
    assert not breaker.is_open
    clock.now += 60
    breaker.open(CAUSE)
    assert breaker.due_in == 5
