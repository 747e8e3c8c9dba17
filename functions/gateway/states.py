"""What there is to say about a run, read off the objects that exist."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from functions import documents, runs
from functions.analysis import Upload
from functions.cancel import CANCELLED
from functions.errors import ErrorDocument
from functions.gateway.problems import ProblemError, Refusal
from functions.gateway.requests import RequestDocument, RequestFile, Requests
from functions.gateway.views import Inputs, Phase, RunFault, RunView, StageProgress, links_of
from functions.input_keys import OPTIONS_FILE, Group, InputFile
from functions.layout import RunKeys
from functions.plans import Plan, find_plan
from functions.request_keys import RequestKeys, is_request
from functions.runs import Failure, RunState
from functions.settings import BucketSettings
from functions.storage import Store

_OF_REQUEST = re.compile(r"(r[0-9a-f]{20})-([1-9][0-9]{0,3})")
# A run that is planned waits for infer; what is left of "waiting" is before its files are placed.
_PHASES: dict[runs.Phase, Phase] = {
    "waiting": "inferring",
    "inferring": "inferring",
    "encoding": "encoding",
    "done": "done",
    "failed": "failed",
    "cancelled": "cancelled",
    "superseded": "superseded",
}


@dataclass(frozen=True)
class Located:
    """A run that somebody may have asked for, as far as it has come.

    Args:
        tenant: whose it is.
        id: what it is called here.
        plan: once it is planned.
        document: the request that it belongs to, if it came over HTTP.
        number: of its face in the request, from 1.
    """

    tenant: str
    id: str
    plan: Plan | None
    document: RequestDocument | None = None
    number: int = 0

    @property
    def face(self) -> RequestFile:
        """Its face in the request."""
        assert self.document is not None
        return self.document.faces[self.number - 1]

    @property
    def keys(self) -> RequestKeys:
        """Of its request."""
        assert self.document is not None
        return RequestKeys(self.tenant, self.document.request)


@dataclass(frozen=True)
class States:
    """Finds runs and says how they are."""

    store: Store
    buckets: BucketSettings

    def locate(self, tenant: str, run: str) -> Located:
        """The run of this id, whichever way it came.

        Raises:
            ProblemError: `not_found`.
        """
        match = _OF_REQUEST.fullmatch(run)
        found = self._of_request(tenant, match) if match else self._of_bucket(tenant, run)
        if found is None:
            raise ProblemError(Refusal.NOT_FOUND, f"There is no run {run!r}.")
        return found

    def of_document(self, tenant: str, document: RequestDocument) -> Iterator[Located]:
        """The runs of a request, but for those that were removed."""
        for number in range(1, len(document.faces) + 1):
            found = self._numbered(tenant, document, number)
            if found is not None:
                yield found

    def _of_request(self, tenant: str, match: re.Match[str]) -> Located | None:
        document = Requests(self.store, self.buckets).find(tenant, match[1])
        if document is None or int(match[2]) > len(document.faces):
            return None
        return self._numbered(tenant, document, int(match[2]))

    def _numbered(self, tenant: str, document: RequestDocument, number: int) -> Located | None:
        keys, work = RequestKeys(tenant, document.request), self.buckets.work
        face = document.faces[number - 1]
        mark = find_mark(self.store, work, keys, face.file)
        if mark is not None and mark.removed:
            return None
        voice = keys.input(document.voice.file).key
        group = Group(tenant, document.request)
        run = _planned_for(self.store, work, group, voice, keys.input(face.file).key)
        plan = find_plan(self.store, work, RunKeys(tenant, run)) if run else None
        return Located(tenant, f"{document.request}-{number}", plan, document, number)

    def _of_bucket(self, tenant: str, run: str) -> Located | None:
        plan = find_plan(self.store, self.buckets.work, RunKeys(tenant, run))
        return None if plan is None else Located(tenant, run, plan)

    def view(self, found: Located) -> RunView:
        """How a run is."""
        if found.plan is None:
            return self._unplanned(found)
        plan = found.plan
        state = runs.read_state(self.store, self.buckets.work, plan.keys)
        fault = self._failure(plan) if state.phase == "failed" else None
        job = None if plan.group.loose else plan.group.name
        # Ingest plans a cancelled run first, and then sees that it is cancelled.
        cancelled = not state.ended and self._is_marked(found)
        return RunView(
            id=found.id,
            request=found.document.request if found.document else _request_of(plan),
            run=plan.run,
            job=job,
            phase="cancelled" if cancelled else _PHASES[state.phase],
            progress=None if cancelled else _progress(state, plan.segments),
            made_at=found.document.made_at if found.document else plan.made_at,
            inputs=Inputs(voice=plan.voice.key, face=self._face_key(found, plan)),
            error=fault,
            links=links_of(found.id),
        )

    def _is_marked(self, found: Located) -> bool:
        if found.document is None:
            return False
        return find_mark(self.store, self.buckets.work, found.keys, found.face.file) is not None

    def _face_key(self, found: Located, plan: Plan) -> str:
        # Two faces of the same content are one run, planned with the first one's key.
        return found.keys.input(found.face.file).key if found.document else plan.face.key

    def _failure(self, plan: Plan) -> RunFault | None:
        try:
            data = self.store.get(self.buckets.work, plan.keys.failed)
        except FileNotFoundError:
            return None  # tried again meanwhile
        failure = documents.load(Failure, data)
        return RunFault(code=failure.code, what=failure.what, fix=failure.fix)

    def _unplanned(self, found: Located) -> RunView:
        document, keys = found.document, found.keys
        assert document is not None
        voice, face = keys.input(document.voice.file), keys.input(found.face.file)
        phase, fault = self._before_plan(keys, voice, face)
        return RunView(
            id=found.id,
            request=document.request,
            run=None,
            job=document.request,
            phase=phase,
            progress=None,
            made_at=document.made_at,
            inputs=Inputs(voice=voice.key, face=face.key),
            error=fault,
            links=links_of(found.id),
        )

    def _before_plan(
        self, keys: RequestKeys, voice: InputFile, face: InputFile
    ) -> tuple[Phase, RunFault | None]:
        if find_mark(self.store, self.buckets.work, keys, face.file) is not None:
            return "cancelled", None
        placed = True
        for file, wanted in ((voice, "voice"), (face, "face")):
            try:
                upload = self.looked_at(file)
            except FileNotFoundError:
                placed = False
                continue
            fault = self._fault(file, wanted, upload)
            if fault is not None:
                return "failed", fault
        options = self._error(keys.input(OPTIONS_FILE))
        if options is not None:
            return "failed", options
        return ("ingesting" if placed else "waiting"), None

    def looked_at(self, file: InputFile) -> Upload | None:
        """What ingest found a file to be; None as long as it has not looked.

        Raises:
            FileNotFoundError: the file itself is not there.
        """
        entry = self.store.head(self.buckets.input, file.key)
        try:
            data = self.store.get(self.buckets.work, file.upload(entry.identity))
        except FileNotFoundError:
            return None
        return documents.load(Upload, data)

    def _fault(self, file: InputFile, wanted: str, upload: Upload | None) -> RunFault | None:
        if upload is None or upload.role == wanted or upload.refusal == CANCELLED:
            return None
        if upload.role == "refused":
            return self._error(file)
        sort = "a voice recording" if upload.role == "voice" else "a picture or a video"
        return RunFault(
            code="misplaced",
            what=f"{file.file} is {sort}, but was sent as the {wanted}.",
            fix="Send one recording as the voice, and videos or portraits as the faces.",
        )

    def _error(self, file: InputFile) -> RunFault | None:
        try:
            data = self.store.get(self.buckets.output, file.error)
        except FileNotFoundError:
            return None
        error = documents.load(ErrorDocument, data)
        return RunFault(code=error.code, what=error.what, fix=error.fix)


@dataclass(frozen=True)
class Mark:
    """That a face of a request was cancelled, or its run removed."""

    at: float
    removed: bool


def find_mark(store: Store, work: str, keys: RequestKeys, file: str) -> Mark | None:
    """The mark on a file of a request, if there is one."""
    try:
        return documents.load(Mark, store.get(work, keys.cancelled(file)))
    except FileNotFoundError:
        return None


def _progress(state: RunState, segments: int) -> StageProgress | None:
    if state.ended:
        return None
    done = state.encoded if state.phase == "encoding" else state.inferred
    return StageProgress(done=done, total=segments, inferred=state.inferred, encoded=state.encoded)


def _request_of(plan: Plan) -> str | None:
    return plan.group.name if not plan.group.loose and is_request(plan.group.name) else None


def _planned_for(store: Store, work: str, group: Group, voice: str, face: str) -> str | None:
    """The run that was planned last for two keys of the input bucket, if any was."""
    entries = list(store.entries(work, group.planned_pair(voice, face)))
    if not entries:
        return None
    return max(entries, key=lambda entry: entry.modified).key.rpartition("/")[2]
