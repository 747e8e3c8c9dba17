"""Work that a process did not live to end: what an event that kills its server is known by.

A failure that a handler survives is counted where it happens. Here a mark is put into the work
bucket before an event is handled and taken away after it; where one is found, whoever put it there
died over the event, or of something else at the same time.
"""

import time
from dataclasses import dataclass

from functions import documents
from functions.events import ObjectCreated
from functions.layout import event_id, interrupted_key
from functions.runs import Attempt
from functions.storage import Store


@dataclass(frozen=True)
class Begun:
    """The content of a mark: when processes began with an event, seconds since 1970."""

    event: ObjectCreated
    at: tuple[float, ...]


@dataclass(frozen=True)
class Interruptions:
    """The marks of one function."""

    store: Store
    work: str
    function: str

    def before(self, event: ObjectCreated) -> tuple[Attempt, ...]:
        """The attempts that no process lived to end, the oldest first."""
        try:
            begun = documents.load(Begun, self.store.get(self.work, self._key(event)))
        except FileNotFoundError:
            return ()
        died = "the process that handled it died"
        return tuple(Attempt(at, self.function, died) for at in begun.at)

    def begin(self, event: ObjectCreated, before: tuple[Attempt, ...]) -> None:
        """Puts down that a process begins."""
        begun = Begun(event, (*(attempt.at for attempt in before), time.time()))
        self.store.put(self.work, self._key(event), documents.dump(begun))

    def end(self, event: ObjectCreated) -> None:
        """Takes the mark away: the process lived, or ends because it is told to."""
        self.store.delete(self.work, self._key(event))

    def _key(self, event: ObjectCreated) -> str:
        tenant = event.key.partition("/")[0]
        return interrupted_key(tenant, self.function, event_id(event.bucket, event.key))
