"""Keeps a device that was lost out of the way until it answers again."""

from collections.abc import Callable
from dataclasses import dataclass, field

from functions.infer.backends.faults import BackendFault


@dataclass(frozen=True)
class Recovery:
    """When a lost device is asked again.

    Args:
        first: seconds after it was lost; doubles each time that it doesn't answer.
        most: seconds between two questions. A device that was well for so long is trusted anew.
    """

    first: float = 5.0
    most: float = 300.0


@dataclass
class Breaker:
    """Whether a device may be used; not safe for several threads, its owner has a lock.

    Args:
        recovery: when a lost device is asked again.
        clock: seconds that never go back.
    """

    recovery: Recovery
    clock: Callable[[], float]
    cause: BackendFault | None = None
    _wait: float = field(default=0.0, init=False)
    _changed: float = field(default=float("-inf"), init=False)

    @property
    def is_open(self) -> bool:
        """Whether the device is out."""
        return self.cause is not None

    @property
    def due_in(self) -> float:
        """Seconds until the device is to be asked; only an open breaker has an answer."""
        return max(self._changed + self._wait - self.clock(), 0.0)

    def open(self, cause: BackendFault) -> None:
        """The device is lost, or is still lost when it was asked."""
        now = self.clock()
        relapsed = self.is_open or now - self._changed < self.recovery.most
        # One that comes back only to be lost again is asked ever more rarely.
        waited = self._wait * 2 if relapsed and self._wait else self.recovery.first
        self._wait = min(waited, self.recovery.most)
        self.cause, self._changed = cause, now

    def close(self) -> None:
        """The device answered."""
        self.cause, self._changed = None, self.clock()
