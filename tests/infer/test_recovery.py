from functions.infer.backends.faults import DeviceLost
from functions.infer.breaker import Recovery
from functions.infer.recovery import IDLE_SECONDS, keep_asking, start
from functions.infer.router import Router
from tests.infer.scripted import Scripted
from tests.infer.test_breaker import Clock


def test_lost_devices_are_asked_when_their_time_has_come():
    """The asking sleeps until then, and until somebody says that it is enough."""
    clock, npu = Clock(), Scripted("npu", alive=False)
    router = Router((npu,), Recovery(first=5, most=60), clock)
    waits = []

    def wait(seconds):
        waits.append(seconds)
        clock.now += seconds
        if len(waits) == 1:
            router.devices[0].lose(DeviceLost("x"))
        npu.alive = len(waits) == 3
        return len(waits) == 5

    keep_asking(router, wait)
    assert waits == [IDLE_SECONDS, 5, 10, IDLE_SECONDS, IDLE_SECONDS]
    assert not router.devices[0].breaker.is_open


def test_a_probe_that_raises_ends_nothing():
    """The next look comes as if nothing had been."""

    class Broken(Router):
        def recover(self):
            raise RuntimeError("a bug")

    waits = []
    keep_asking(Broken(()), lambda seconds: waits.append(seconds) or len(waits) == 2)
    assert waits == [IDLE_SECONDS, IDLE_SECONDS]


def test_the_thread_ends_when_told():
    """It asks in the background, where nobody waits for it."""
    import threading

    before = set(threading.enumerate())
    stop = start(Router((Scripted("cpu"),)))
    (thread,) = set(threading.enumerate()) - before
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
