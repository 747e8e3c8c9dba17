"""Key names of what people drop and of what they find: of the input and the output bucket."""

import hashlib
import re
from dataclasses import dataclass

from functions.errors import Code, RejectedInput

OPTIONS_FILE = "koubo.toml"
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

    @property
    def uploads(self) -> str:
        """The prefix of the records of every upload that this file ever was."""
        return f"{self.group.uploads}{self.file}/"

    def upload(self, identity: str) -> str:
        """The key of the record of this very upload, see `storage.Entry.identity`."""
        return f"{self.uploads}{_seen(identity)}.json"

    def handled(self, identity: str) -> str:
        """The key of an empty object: this upload was handled to its end, its runs planned."""
        return f"{self.uploads}{_seen(identity)}.done"


def _seen(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


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
