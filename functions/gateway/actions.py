"""What can be done to a run: cancel it, try it again, remove it."""

import time
from dataclasses import dataclass

from functions import documents, runs
from functions.cancel import CANCELLED
from functions.errors import Code
from functions.gateway.problems import ProblemError, Refusal
from functions.gateway.removal import remove
from functions.gateway.requests import RequestDocument
from functions.gateway.states import Located, Mark, States, find_mark
from functions.input_keys import OPTIONS_FILE, InputFile
from functions.request_keys import RequestKeys
from functions.settings import BucketSettings
from functions.storage import Store

_RETRIABLE = (CANCELLED, Code.GAVE_UP.public)


@dataclass(frozen=True)
class Actions:
    """Changes runs."""

    store: Store
    buckets: BucketSettings

    @property
    def _states(self) -> States:
        return States(self.store, self.buckets)

    def cancel(self, found: Located) -> None:
        """Has the work on a run stop within its segment; a cancelled run stays so.

        Raises:
            ProblemError: `already_ended`.
        """
        phase = self._states.view(found).phase
        if phase == "cancelled":
            return
        if phase in ("done", "failed", "superseded"):
            raise ProblemError(Refusal.ALREADY_ENDED, f"The run {found.id} is {phase} already.")
        self._stop(found, removed=False)

    def retry(self, found: Located) -> None:
        """Has what a failed or cancelled run lacks made again.

        Raises:
            ProblemError: `not_retriable`.
        """
        view = self._states.view(found)
        if view.phase not in ("failed", "cancelled"):
            raise ProblemError(Refusal.NOT_RETRIABLE, f"The run {found.id} is {view.phase}.")
        if found.document is not None:
            self._unmark(found)
        if found.plan is not None:
            runs.retry(self.store, self.buckets.work, found.plan)
            return
        if view.error is not None and view.error.code not in _RETRIABLE:
            raise ProblemError(
                Refusal.NOT_RETRIABLE,
                f"The run {found.id} has an input that no retry can mend: {view.error.what}",
            )
        document, keys = found.document, found.keys
        assert document is not None
        for file in (document.voice.file, found.face.file):
            self._look_again(keys.input(file))

    def remove(self, found: Located) -> None:
        """Removes a run: its objects, its outputs, and what was handed in for it over HTTP."""
        self._stop(found, removed=True)
        if found.plan is not None and not self._is_shared(found):
            remove(self.store, self.buckets.work, self.buckets.output, found.plan, time.time())
            if found.document is not None:
                # Its files go too, so nothing can bring it back but the same request, made anew.
                self.store.delete(self.buckets.work, found.plan.keys.cancelled)
        if found.document is None:
            return
        self._remove_input(found.keys.input(found.face.file))
        for other in self._sharing(found):
            # The run that they share may be planned under the name that is gone.
            self._fire(other.keys.input(other.face.file))
        if not any(self._states.of_document(found.tenant, found.document)):
            self._remove_request(found.keys, found.document)

    def _stop(self, found: Located, *, removed: bool) -> None:
        now = time.time()
        if found.document is not None:
            self._mark(found, Mark(now, removed))
            # Ingest plans first and looks for marks then: one of both sees the other.
            found = self._states.locate(found.tenant, found.id) if not removed else found
        if found.plan is not None and not (removed and self._is_shared(found)):
            runs.cancel(self.store, self.buckets.work, found.plan.keys, now)

    def _mark(self, found: Located, mark: Mark) -> None:
        document, keys, work = found.document, found.keys, self.buckets.work
        assert document is not None
        self.store.put(work, keys.cancelled(found.face.file), documents.dump(mark))
        marks = (find_mark(self.store, work, keys, face.file) for face in document.faces)
        if all(marks):
            # Nobody needs the voice any more.
            self.store.put(work, keys.cancelled(document.voice.file), documents.dump(mark))

    def _unmark(self, found: Located) -> None:
        assert found.document is not None
        for file in (found.face.file, found.document.voice.file):
            self.store.delete(self.buckets.work, found.keys.cancelled(file))

    def _look_again(self, file: InputFile) -> None:
        """Forgets that ingest passed a file over, and has it come again."""
        bucket, work = self.buckets.input, self.buckets.work
        upload = self._states.looked_at(file)
        if upload is not None and upload.refusal in _RETRIABLE:
            entry = self.store.head(bucket, file.key)
            self.store.delete(work, file.upload(entry.identity))
            self.store.delete(work, file.handled(entry.identity))
            self.store.delete(self.buckets.output, file.error)
        elif upload is not None:
            return
        self._fire(file)

    def _fire(self, file: InputFile) -> None:
        """Has ingest come: a new object is what fires it, and a hidden name fires nothing."""
        bucket = self.buckets.input
        hidden = f"{file.key.removesuffix(file.file)}.{file.file}"
        self.store.move(bucket, file.key, hidden)
        self.store.move(bucket, hidden, file.key)

    def _is_shared(self, found: Located) -> bool:
        return bool(self._sharing(found))

    def _sharing(self, found: Located) -> list[Located]:
        """Other faces of the request that are of the same content, and so have the same run."""
        if found.document is None or found.plan is None:
            return []
        others = self._states.of_document(found.tenant, found.document)
        run = found.plan.run
        return [o for o in others if o.plan is not None and o.plan.run == run and o.id != found.id]

    def _remove_input(self, file: InputFile) -> None:
        self.store.delete(self.buckets.input, file.key)
        for entry in list(self.store.entries(self.buckets.work, file.uploads)):
            self.store.delete(self.buckets.work, entry.key)
        self.store.delete(self.buckets.output, file.error)

    def _remove_request(self, keys: RequestKeys, document: RequestDocument) -> None:
        self._remove_input(keys.input(document.voice.file))
        self._remove_input(keys.input(OPTIONS_FILE))
        work = self.buckets.work
        group = keys.input(OPTIONS_FILE).group
        for prefix in (group.planned, keys.marks):
            for entry in list(self.store.entries(work, prefix)):
                self.store.delete(work, entry.key)
        self.store.delete(work, keys.recent(document.made_at))
        self.store.delete(work, keys.document)
