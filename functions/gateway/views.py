"""What the gateway takes and gives: the models of the OpenAPI document, with examples."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from functions.options import Options

UPLOAD_PATTERN = r"^u[0-9a-f]{20}$"
RUN_PATTERN = r"^(r[0-9a-f]{20}-[1-9][0-9]{0,3}|[0-9a-f]{20})$"

_UPLOAD = "u4c1d0c7a9be5f2d30a61"
_REQUEST = "r5b0c8a3a2f6f4e7d9a10"

UploadId = Annotated[str, StringConstraints(pattern=UPLOAD_PATTERN)]

Phase = Literal[
    "waiting",
    "ingesting",
    "inferring",
    "encoding",
    "done",
    "failed",
    "cancelled",
    "superseded",
]


class NewUpload(BaseModel):
    """A file that is about to be uploaded."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"file": "voice.wav", "size": 1048576}}
    )

    file: str = Field(min_length=1, max_length=1000, description="Its name; any letters will do.")
    size: int | None = Field(
        default=None, ge=0, le=2**53, description="Bytes; helps to choose how it is uploaded."
    )


class UploadPlace(BaseModel):
    """Where to PUT a file; the same wherever the store is."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "upload": _UPLOAD,
                "method": "PUT",
                "url": f"/v1/uploads/{_UPLOAD}/voice.wav",
                "presigned": False,
                "expires_in": 3600,
            }
        }
    )

    upload: str = Field(description="Names the file in POST /v1/runs.")
    method: Literal["PUT"] = "PUT"
    url: str = Field(description="Where to; without a host it is this server.")
    presigned: bool = Field(
        description="The URL leads into the store and carries its own permission: send no token."
    )
    expires_in: int = Field(description="Seconds for which a presigned URL works.")


class Uploaded(BaseModel):
    """A file that came in."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "upload": _UPLOAD,
                "file": "voice.wav",
                "size": 5,
                "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
            }
        }
    )

    upload: str
    file: str
    size: int
    sha256: str


class Input(BaseModel):
    """A voice or a face: an upload, or an object that is in the input bucket already."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    upload: UploadId | None = Field(default=None, description="From POST /v1/uploads.")
    key: str | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="`<tenant>/<job>/<file>` or `<tenant>/<file>`.",
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> "Input":
        if (self.upload is None) == (self.key is None):
            raise ValueError("give either an upload or a key")
        return self


class NewRuns(BaseModel):
    """One voice for each of the faces; every face becomes a run."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "voice": {"upload": _UPLOAD},
                "faces": [{"key": "default/presenters/li.mp4"}],
                "options": {"quality": "standard", "label_language": "zh"},
            }
        },
    )

    voice: Input
    faces: list[Input] = Field(min_length=1, max_length=9999)
    options: Options = Field(default_factory=Options, description="See docs/options.md.")


class Inputs(BaseModel):
    """What a run is made of: keys in the input bucket."""

    voice: str
    face: str


class Links(BaseModel):
    """Where a run's parts are."""

    self: str
    events: str
    result: str
    poster: str
    report: str


class AcceptedRun(BaseModel):
    """A run that was asked for."""

    id: str
    inputs: Inputs
    links: Links


class Accepted(BaseModel):
    """What became of a request: its runs, one a face, in the order of the faces."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "request": _REQUEST,
                "made_at": 1795510800.0,
                "runs": [
                    {
                        "id": f"{_REQUEST}-1",
                        "inputs": {
                            "voice": f"default/{_REQUEST}/voice.wav",
                            "face": f"default/{_REQUEST}/li.mp4",
                        },
                        "links": {
                            "self": f"/v1/runs/{_REQUEST}-1",
                            "events": f"/v1/runs/{_REQUEST}-1/events",
                            "result": f"/v1/runs/{_REQUEST}-1/result",
                            "poster": f"/v1/runs/{_REQUEST}-1/poster",
                            "report": f"/v1/runs/{_REQUEST}-1/report",
                        },
                    }
                ],
            }
        }
    )

    request: str
    made_at: float = Field(description="Seconds since 1970.")
    runs: list[AcceptedRun]


class StageProgress(BaseModel):
    """Segments done, of all there are; encoding begins before the last one is inferred."""

    done: int = Field(description="In the phase that the run is in.")
    total: int
    inferred: int
    encoded: int


class RunFault(BaseModel):
    """Why a run failed, and what to do about it."""

    code: str
    what: str
    fix: str


class RunView(BaseModel):
    """A run as it is now."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": f"{_REQUEST}-1",
                "request": _REQUEST,
                "run": "3b1f0e9d8c7a6b5a4c3d",
                "job": _REQUEST,
                "phase": "encoding",
                "progress": {"done": 3, "total": 8, "inferred": 8, "encoded": 3},
                "made_at": 1795510800.0,
                "inputs": {
                    "voice": f"default/{_REQUEST}/voice.wav",
                    "face": f"default/{_REQUEST}/li.mp4",
                },
                "error": None,
                "links": {
                    "self": f"/v1/runs/{_REQUEST}-1",
                    "events": f"/v1/runs/{_REQUEST}-1/events",
                    "result": f"/v1/runs/{_REQUEST}-1/result",
                    "poster": f"/v1/runs/{_REQUEST}-1/poster",
                    "report": f"/v1/runs/{_REQUEST}-1/report",
                },
            }
        }
    )

    id: str = Field(description="Of a request: its id, a hyphen and the face's number.")
    request: str | None = Field(description="The request, for a run that came over HTTP.")
    run: str | None = Field(description="The run's name in the work bucket, once it is planned.")
    job: str | None = Field(description="The job's folder; none for two loose files.")
    phase: Phase
    progress: StageProgress | None = Field(description="While inferring or encoding.")
    made_at: float = Field(description="Seconds since 1970.")
    inputs: Inputs
    error: RunFault | None = None
    links: Links

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.phase in ("done", "failed", "cancelled", "superseded")


class RunPage(BaseModel):
    """Some runs, newest first."""

    runs: list[RunView]
    cursor: str | None = Field(
        description="Hand it back for what comes next; a page may be short, or even empty, before."
    )


class RunEvent(BaseModel):
    """The data of one server-sent event."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": f"{_REQUEST}-1",
                "phase": "encoding",
                "done": 3,
                "total": 8,
                "seconds_left": 21.5,
                "error": None,
            }
        }
    )

    id: str
    phase: Phase
    done: int = Field(description="Segments done in this phase.")
    total: int = Field(description="Segments of the run; 0 while that is not known.")
    seconds_left: float | None = Field(description="By the pace so far; none before there is one.")
    error: RunFault | None = None


def links_of(run: str) -> Links:
    """A run's links."""
    base = f"/v1/runs/{run}"
    return Links(
        self=base,
        events=f"{base}/events",
        result=f"{base}/result",
        poster=f"{base}/poster",
        report=f"{base}/report",
    )
