"""Key names of requests made over HTTP, and of files that are uploaded for them."""

import re
from dataclasses import dataclass

from functions.input_keys import InputFile
from functions.layout import newest_first

_REQUEST = re.compile(r"r[0-9a-f]{20}")


@dataclass(frozen=True)
class RequestKeys:
    """Where a request made over HTTP lies; its files are the job folder of the same name."""

    tenant: str
    request: str

    @property
    def document(self) -> str:
        """Who asked for what, in the work bucket."""
        return f"{self.tenant}/requests/{self.request}.json"

    @property
    def marks(self) -> str:
        """The prefix of the marks of its files that were cancelled."""
        return f"{self.tenant}/requests/{self.request}/"

    def cancelled(self, file: str) -> str:
        """That nothing more is to be done with a file of the request, in the work bucket."""
        return f"{self.marks}{file}.cancelled.json"

    def recent(self, made_at: float) -> str:
        """An empty object, in the work bucket, whose name sorts the newest request first."""
        return f"{requested_prefix(self.tenant)}{newest_first(made_at)}-{self.request}"

    def input(self, file: str) -> InputFile:
        """A file of the request's job."""
        return InputFile(self.tenant, self.request, file)


def is_request(job: str | None) -> bool:
    """Whether a job's name is that of a request made over HTTP."""
    return job is not None and _REQUEST.fullmatch(job) is not None


def requested_prefix(tenant: str) -> str:
    """The prefix under which a tenant's requests are listed, newest first."""
    return f"{tenant}/requested/"


def upload_prefix(tenant: str, upload: str) -> str:
    """The prefix, in the input bucket, of a file that was uploaded for a later request."""
    return f"{tenant}/{upload}/"


def upload_key(tenant: str, upload: str, file: str) -> str:
    """The key of an uploaded file; its hidden name keeps the chain from looking at it."""
    return f"{upload_prefix(tenant, upload)}.{file}"


def uploaded_name(key: str) -> str:
    """The name that an uploaded file had."""
    return key.rpartition("/")[2].removeprefix(".")
