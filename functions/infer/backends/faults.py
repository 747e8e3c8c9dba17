"""What can go wrong on a device, whichever library says so.

Each backend maps its own library's errors to these by their codes or classes. The router decides
by them: another device, a smaller batch, or nobody.
"""

from functions.errors import KouboError


class BackendFault(KouboError):  # noqa: N818 -- the field's word: what a device had
    """The root of what a backend raises while it loads or runs a graph."""

    outcome = "failed"
    """What reports and metrics call it."""


class BackendAbsent(BackendFault):
    """What this backend needs isn't here: its library, its driver or its device."""

    outcome = "absent"


class DeviceLost(BackendFault):
    """The device doesn't answer any more; nothing can run there until it comes back."""

    outcome = "device-lost"


class DeviceOutOfMemory(BackendFault):
    """The device has no room for this; a smaller batch may fit."""

    outcome = "out-of-memory"


class UnsupportedGraph(BackendFault):
    """This backend can't run this graph, now or later: an operator, a shape or the file's format.

    A damaged model file is one, too: nobody can run it.
    """

    outcome = "unsupported"


class NoArtefact(BackendAbsent):
    """The model has no file of this graph that this backend runs."""

    outcome = "no-artefact"


class NotFinite(UnsupportedGraph):
    """The graph gave numbers that are none, here; in another precision it may not."""

    outcome = "not-finite"


class NoBackendLeft(BackendFault):
    """Every backend that may serve this graph is out.

    Args:
        what: the graph.
        causes: the fault of each backend, in the order in which they were tried.
    """

    outcome = "no-backend"

    def __init__(self, what: str, causes: dict[str, BackendFault]) -> None:
        said = "; ".join(f"{name}: {cause}" for name, cause in causes.items())
        super().__init__(f"no backend can run {what} now ({said or 'none is configured'})")
        self.causes = causes

    @property
    def is_models_fault(self) -> bool:
        """Whether each backend that is here says that it can never run this graph.

        Retrying doesn't help then; where a device is lost or has no room, it may.
        """
        told = [cause for cause in self.causes.values() if not isinstance(cause, BackendAbsent)]
        return bool(told) and all(isinstance(cause, UnsupportedGraph) for cause in told)
