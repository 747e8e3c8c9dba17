"""Every bucket and key name, made and parsed here and nowhere else.

The suffixes are a contract: notification rules select by them (`.segment.json` fires infer,
`.patches.zip` and `.part.mp4` fire encode).
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

from functions.errors import Code, RejectedInput

OPTIONS_FILE = "koubo.toml"
SEGMENT_SUFFIX = ".segment.json"
PATCHES_SUFFIX = ".patches.zip"
PART_SUFFIX = ".part.mp4"

_RUN_OBJECT = re.compile(
    r"([^/]+)/runs/([^/]+)/(\d{4,})(\.segment\.json|\.patches\.zip|\.part\.mp4)"
)
_KINDS: dict[str, Literal["segment", "patches", "part"]] = {
    SEGMENT_SUFFIX: "segment",
    PATCHES_SUFFIX: "patches",
    PART_SUFFIX: "part",
}
_REQUEST = re.compile(r"r[0-9a-f]{20}")
# Names that start so are still being written: by editors, browsers, copy tools and the store.
_UNFINISHED = re.compile(
    r"[.~].*|.*(\.part|\.tmp|\.crdownload|\.partial|\.swp|~|#\d+)", re.DOTALL | re.IGNORECASE
)
# Disks take 255 bytes a name; this leaves room for `.error.json` and for a job's own suffixes.
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Group:
    """Files that are paired with each other: a job's folder, or loose files of one stem."""

    tenant: str
    name: str
    loose: bool = False

    @property
    def uploads(self) -> str:
        """The prefix of the records of what was uploaded to this group."""
        return f"{self.tenant}/uploads/{'loose' if self.loose else 'job'}/{self.name}/"

    @property
    def planned(self) -> str:
        """The prefix of the empty objects that tell which run was planned for which files."""
        return f"{self.tenant}/planned/{'loose' if self.loose else 'job'}/{self.name}/"

    def planned_pair(self, voice: str, face: str) -> str:
        """The prefix of the names of the runs planned for these two keys of the input bucket."""
        pair = hashlib.sha256(f"{voice}\n{face}".encode()).hexdigest()[:20]
        return f"{self.planned}{pair}/"

    def output(self, stem: str, suffix: str) -> str:
        """The key of an output: `suffix` is `.mp4`, `.jpg`, `.json` or `.error.json`."""
        folder = self.tenant if self.loose else f"{self.tenant}/{self.name}"
        return f"{folder}/{stem}{suffix}"


@dataclass(frozen=True)
class InputFile:
    """A file that somebody dropped: `<tenant>/<job>/<file>` or, loose, `<tenant>/<file>`."""

    tenant: str
    job: str | None
    file: str

    @property
    def key(self) -> str:
        """The key in the input bucket."""
        return "/".join(part for part in (self.tenant, self.job, self.file) if part)

    @property
    def stem(self) -> str:
        """The file's name without its last suffix."""
        return _stem(self.file)

    @property
    def group(self) -> Group:
        """What this file is paired within."""
        if self.job is None:
            return Group(self.tenant, self.stem, loose=True)
        return Group(self.tenant, self.job)

    @property
    def is_options(self) -> bool:
        """Whether this is the job's `koubo.toml`."""
        return self.file == OPTIONS_FILE

    @property
    def error(self) -> str:
        """The key, in the output bucket, of why this file was refused."""
        return error_key(self.key)

    def upload(self, etag: str | None, size: int) -> str:
        """The key of the record of this very upload, told by its ETag and size."""
        return f"{self._seen(etag, size)}.json"

    def handled(self, etag: str | None, size: int) -> str:
        """The key of an empty object: this upload was handled to its end, its runs planned."""
        return f"{self._seen(etag, size)}.done"

    def _seen(self, etag: str | None, size: int) -> str:
        seen = hashlib.sha256(f"{etag}|{size}".encode()).hexdigest()[:16]
        return f"{self.group.uploads}{self.file}/{seen}"


@dataclass(frozen=True)
class RunObject:
    """An object of a run that fires a function."""

    tenant: str
    run: str
    index: int
    kind: Literal["segment", "patches", "part"]


def parse_input(key: str) -> InputFile:
    """Reads a key of the input bucket.

    Raises:
        RejectedInput: the key names no tenant, or lies deeper than a job's folder.
    """
    parts = key.split("/")
    # Stores that are folders know no other names than these.
    whole = all(part not in ("", ".", "..") for part in parts)
    if whole and len(parts) == 2:
        return InputFile(parts[0], None, parts[1])
    if whole and len(parts) == 3:
        return InputFile(*parts)
    raise RejectedInput(Code.BAD_KEY, f"{key!r} lies at a place where no job is.")


def error_key(key: str) -> str:
    """The key, in the output bucket, of why the input at `key` was refused."""
    folder, slash, file = key.rpartition("/")
    return f"{folder}{slash}{_shortened(file)}.error.json"


def is_unfinished(key: str) -> bool:
    """Whether the key's name says that somebody is still writing it, or that it is hidden."""
    return _UNFINISHED.fullmatch(key.rpartition("/")[2]) is not None


def parse_run_object(key: str) -> RunObject | None:
    """Reads a key of the work bucket; None where it fires nothing."""
    match = _RUN_OBJECT.fullmatch(key)
    if match is None:
        return None
    tenant, run, index, suffix = match.groups()
    return RunObject(tenant, run, int(index), _KINDS[suffix])


@dataclass(frozen=True)
class VoiceKeys:
    """Where the analysis of a voice lies in the work bucket."""

    tenant: str
    digest: str

    @property
    def _prefix(self) -> str:
        return f"{self.tenant}/voice/{self.digest}/"

    @property
    def document(self) -> str:
        """`voice.json`, written last: where it is, the analysis is whole."""
        return f"{self._prefix}voice.json"

    @property
    def samples(self) -> str:
        """16 kHz mono WAV, what models hear."""
        return f"{self._prefix}voice.wav"

    @property
    def sound(self) -> str:
        """AAC in MP4, what people hear."""
        return f"{self._prefix}voice.m4a"


@dataclass(frozen=True)
class FootageKeys:
    """Where the analysis of a footage lies in the work bucket."""

    tenant: str
    digest: str

    @property
    def _prefix(self) -> str:
        return f"{self.tenant}/footage/{self.digest}/"

    @property
    def document(self) -> str:
        """`footage.json`, written last: where it is, the analysis is whole."""
        return f"{self._prefix}footage.json"

    @property
    def poster(self) -> str:
        """A JPEG of a frame with a face."""
        return f"{self._prefix}poster.jpg"

    @property
    def frames(self) -> str:
        """Which source frame each output frame shows, with its checksum."""
        return f"{self._prefix}frames.npz"

    def window(self, chunk: int) -> str:
        """Face windows of one chunk, lossless video."""
        return f"{self._prefix}windows/{chunk:04d}.mkv"

    def track(self, chunk: int) -> str:
        """Landmarks, confidences and window origins of one chunk."""
        return f"{self._prefix}windows/{chunk:04d}.track.npz"

    def prepared(self, model: str, version: str, name: str) -> str:
        """What a model worked out once about this footage."""
        return f"{self._prefix}prepared/{model}-{version}/{name}"


@dataclass(frozen=True)
class RunKeys:
    """Where a run's objects lie in the work bucket."""

    tenant: str
    run: str

    @property
    def prefix(self) -> str:
        """One LIST of this prefix tells the run's state."""
        return f"{self.tenant}/runs/{self.run}/"

    @property
    def plan(self) -> str:
        """The immutable plan."""
        return f"{self.prefix}plan.json"

    @property
    def failed(self) -> str:
        """Why the run failed for good."""
        return f"{self.prefix}failed.json"

    @property
    def cancelled(self) -> str:
        """Who cancelled the run, and when."""
        return f"{self.prefix}cancelled.json"

    @property
    def done(self) -> str:
        """Written last: the output lies where the plan says."""
        return f"{self.prefix}done.json"

    @property
    def active(self) -> str:
        """An empty object that is there as long as the run has not ended."""
        return f"{active_prefix(self.tenant)}{self.run}"

    def segment(self, index: int) -> str:
        """Fires infer."""
        return f"{self.prefix}{index:04d}{SEGMENT_SUFFIX}"

    def patches(self, index: int) -> str:
        """Fires encode."""
        return f"{self.prefix}{index:04d}{PATCHES_SUFFIX}"

    def part(self, index: int) -> str:
        """The last one fires assembly."""
        return f"{self.prefix}{index:04d}{PART_SUFFIX}"

    def part_report(self, index: int) -> str:
        """How a part was made; written before the part, so that it is there when the part is."""
        return f"{self.prefix}{index:04d}.part.json"

    def recent(self, made_at: float) -> str:
        """An empty object whose name sorts the newest run first."""
        return f"{recent_prefix(self.tenant)}{_newest_first(made_at)}-{self.run}"


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
        return f"{requested_prefix(self.tenant)}{_newest_first(made_at)}-{self.request}"

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


def _newest_first(at: float) -> str:
    return f"{10**13 - 1 - int(at * 1000):013d}"


def runs_prefix(tenant: str) -> str:
    """The prefix of all runs of a tenant."""
    return f"{tenant}/runs/"


def recent_prefix(tenant: str) -> str:
    """The prefix under which a tenant's runs are listed, newest first."""
    return f"{tenant}/recent/"


def active_prefix(tenant: str) -> str:
    """The prefix of the index of a tenant's runs that have not ended."""
    return f"{tenant}/active/"


def run_of_active(key: str) -> str:
    """The run that a key under `active_prefix` names."""
    return key.rpartition("/")[2]


def run_of_recent(key: str) -> str:
    """The run that a key under `recent_prefix` names."""
    return key.rpartition("-")[2]


def dead_letter(tenant: str, function: str, identity: str) -> str:
    """The key of an event that was given up on."""
    return f"{dead_prefix(tenant)}{function}/{identity}.json"


def dead_prefix(tenant: str) -> str:
    """The prefix of a tenant's events that were given up on."""
    return f"{tenant}/dead/"


def output_stem(voice: InputFile, face: InputFile, siblings: list[InputFile]) -> str:
    """`<voice>-<face>`, or for two loose files the stem that they share.

    Whole names stand in for the stems where other files of the group could claim the same output.
    A name that a disk would not take is cut, and told apart by a digest.
    """
    if voice.job is None and len(siblings) <= 2:
        return _shortened(voice.stem)
    stems = [sibling.stem for sibling in siblings]

    def name(file: InputFile) -> str:
        return file.file if stems.count(file.stem) > 1 else file.stem

    if voice.stem == face.stem and stems.count(voice.stem) == 2:
        joined = f"{voice.stem}-{face.stem}"
    else:
        joined = f"{name(voice)}-{name(face)}"
    if _is_ambiguous(joined, stems):
        joined = f"{voice.file}-{face.file}"
    return _shortened(joined)


def _is_ambiguous(joined: str, stems: list[str]) -> bool:
    """Whether the hyphen could be another one: `a-b` and `c` read like `a` and `b-c`."""
    known = set(stems)
    parts = joined.split("-")
    splits = [("-".join(parts[:i]), "-".join(parts[i:])) for i in range(1, len(parts))]
    return sum(head in known and tail in known for head, tail in splits) > 1


def _shortened(name: str) -> str:
    data = name.encode("utf-8", "surrogatepass")
    if len(data) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(data).hexdigest()[:12]
    return f"{data[: _LONGEST_NAME - 13].decode(errors='ignore')}-{digest}"


def _stem(file: str) -> str:
    head, dot, _ = file.rpartition(".")
    return head if dot and head else file
