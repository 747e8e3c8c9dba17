"""Key names of the work bucket: they are made and parsed here and nowhere else.

Those of the input and the output bucket are in `input_keys`, those of requests over HTTP in
`request_keys`.

The suffixes are a contract: notification rules select by them (`.segment.json` fires infer,
`.patches.zip` and `.part.mp4` fire encode).
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

SEGMENT_SUFFIX = ".segment.json"
PATCHES_SUFFIX = ".patches.zip"
PART_SUFFIX = ".part.mp4"
MODEL_FILE = "model.toml"

_RUN_OBJECT = re.compile(
    r"([^/]+)/runs/([^/]+)/(\d{4,})(\.segment\.json|\.patches\.zip|\.part\.mp4)"
)
_KINDS: dict[str, Literal["segment", "patches", "part"]] = {
    SEGMENT_SUFFIX: "segment",
    PATCHES_SUFFIX: "patches",
    PART_SUFFIX: "part",
}
_MODEL_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")


@dataclass(frozen=True)
class RunObject:
    """An object of a run that fires a function."""

    tenant: str
    run: str
    index: int
    kind: Literal["segment", "patches", "part"]


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
        return f"{self._prefix}windows/{chunk:04d}.avi"

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
    def superseded(self) -> str:
        """That a later run of files with the same names makes the video."""
        return f"{self.prefix}superseded.json"

    @property
    def done(self) -> str:
        """Written last: the output lies where the plan says."""
        return f"{self.prefix}done.json"

    @property
    def ends(self) -> tuple[str, ...]:
        """Of these, one comes to be when the run ends."""
        return (self.done, self.failed, self.cancelled, self.superseded)

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
        return f"{recent_prefix(self.tenant)}{newest_first(made_at)}-{self.run}"


@dataclass(frozen=True)
class ModelKeys:
    """Where a model lies in the models bucket; both names must be model names."""

    name: str
    version: str

    @property
    def prefix(self) -> str:
        """Of all its objects."""
        return f"{versions_prefix(self.name)}{self.version}/"

    @property
    def manifest(self) -> str:
        """`model.toml`, written last: where it is, the model is whole."""
        return self.file(MODEL_FILE)

    def file(self, name: str) -> str:
        """A file of the model."""
        return f"{self.prefix}{name}"


def is_model_name(name: str) -> bool:
    """Whether this can be the name or the version of a model: it is a folder, and no path."""
    return _MODEL_NAME.fullmatch(name) is not None and ".." not in name


def versions_prefix(name: str) -> str:
    """The prefix, in the models bucket, of all versions of a model."""
    return f"{name}/"


def newest_first(at: float) -> str:
    """A name that sorts what was made later first; seconds since 1970."""
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


def event_id(bucket: str, key: str) -> str:
    """The name of an object's event among those of a function."""
    return hashlib.sha256(f"{bucket}/{key}".encode()).hexdigest()[:20]


def interrupted_key(tenant: str, function: str, identity: str) -> str:
    """The key of the mark of an event that is being handled."""
    return f"{tenant}/interrupted/{function}/{identity}.json"


def dead_prefix(tenant: str) -> str:
    """The prefix of a tenant's events that were given up on."""
    return f"{tenant}/dead/"
