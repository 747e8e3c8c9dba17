"""One file analysed aside: by ingest, for a command that looks at it, in no store of runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from functions import documents
from functions.chain import Surroundings
from functions.errors import Code, ErrorDocument, RejectedInput
from functions.events import ObjectCreated
from functions.input_cache import InputCache
from functions.input_keys import InputFile
from functions.progress import silent
from functions.settings import BucketSettings, CacheSettings
from functions.storage import Store

TENANT, _JOB, _FILE = "default", "aside", "file"
_INPUTS = 16 << 30

_WANTED = {
    "voice": (
        "voice",
        Code.NOT_MEDIA,
        "The file is a picture or a video, where a recording is wanted.",
    ),
    "footage": ("face", Code.NO_FACE, "The file is a recording, without pictures."),
}
"""The role that an upload has to get, and what is said where it gets the other one."""


@dataclass(frozen=True)
class Aside:
    """Ingest on a store in a folder of its own.

    Args:
        store: empty, in that folder.
        root: the folder.
        cache: has the face models.
    """

    store: Store
    root: Path
    cache: CacheSettings

    def analyse(self, path: Path, kind: Literal["voice", "footage"]) -> str:
        """Returns the digest of the file's analysis, which is in the store then, for `TENANT`.

        Raises:
            RejectedInput: as a run would refuse it, or it is of the other kind.
        """
        from functions.ingest.build import build  # noqa: PLC0415 -- lacking extras are a finding
        from functions.ingest.pairing import looked_at  # noqa: PLC0415 -- see above

        buckets, scratch = BucketSettings(), self.root / ".scratch"
        scratch.mkdir(exist_ok=True)
        inputs = InputCache(self.root / ".inputs", _INPUTS)
        around = Surroundings(self.store, buckets, inputs, self.cache.models, scratch, silent)
        # Jobs of their own: nothing is paired, so nothing is planned. And a name of ours: some are
        # left alone where people drop files.
        file = InputFile(TENANT, f"{_JOB}-{kind}", _FILE)
        self.store.put(buckets.input, file.key, path)
        build(around)(ObjectCreated(buckets.input, file.key))
        upload = dict(looked_at(self.store, buckets, file))[file]
        if upload.role == "refused":
            said = documents.load(ErrorDocument, self.store.get(buckets.output, file.error))
            raise RejectedInput(Code[said.code.upper()], f"{path.name}: {said.what}")
        role, code, otherwise = _WANTED[kind]
        if upload.role != role:
            raise RejectedInput(code, f"{path.name}: {otherwise}")
        return upload.digest
