"""Every way in which Koubo says no: one table from error to meaning, HTTP status and retry.

Three kinds of error leave a handler. `RejectedInput` is written for the person who sent the file
and is never retried. `RetryableError` is raised so that the platform delivers the event again.
Anything else is a surprise and is treated as retryable first.
"""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class Rejection:
    """What a rejection code means: the HTTP status that carries it, and what a person can do."""

    status: int
    fix: str


class Code(Enum):
    """The reasons for which an input is refused; the name in lower case is the public code."""

    EMPTY_FILE = Rejection(422, "Upload the file again; the copy may have been cut off.")
    NOT_MEDIA = Rejection(
        415,
        "Send audio (wav, mp3, m4a, aac, flac, ogg, wma, aiff), video (mp4, mov, mkv, webm, avi, "
        "wmv, flv, m4v, 3gp) or a portrait (jpg, png, webp). Playlists are never followed.",
    )
    DAMAGED_MEDIA = Rejection(
        422, "Export or download the file again, check that it plays to its end, and upload it."
    )
    NO_SOUND = Rejection(422, "Record the voice again and check the microphone and its level.")
    NO_FACE = Rejection(
        422,
        "Use footage in which one face is seen from the front, well lit, and at least about a "
        "tenth of the picture's height.",
    )
    TOO_LONG = Rejection(413, "Cut the recording into shorter pieces, or raise the limit.")
    TOO_LARGE = Rejection(413, "Scale the picture down, or raise the limit.")
    UNSUPPORTED = Rejection(415, "Convert the file to MP4 (H.264) or WAV and upload it again.")
    BAD_OPTIONS = Rejection(422, "Correct koubo.toml and upload it again; see docs/options.md.")
    TAKEN_AWAY = Rejection(410, "Upload the file again; its video is made then.")
    BAD_MODEL = Rejection(
        422,
        "Choose another model, or have whoever runs Koubo look at this one with "
        "`koubo models check`, add it again and retry the run.",
    )
    OUT_OF_SYNC = Rejection(
        422,
        "Use a clearer recording or steadier footage; the operator's KOUBO_CHECK_ settings say "
        "what passes.",
    )
    GAVE_UP = Rejection(
        500, "Look into the log for this file or run, mend the cause, and upload the file again."
    )
    BAD_KEY = Rejection(422, "Put files at <tenant>/<job>/<file> or <tenant>/<file>.")

    @property
    def public(self) -> str:
        """The code as people and programs see it, such as `no_face`."""
        return self.name.lower()


class KouboError(Exception):
    """The root of the errors that Koubo raises on purpose."""


class RejectedInput(KouboError):  # noqa: N818 -- the design's word, and it is an answer
    """An input that no retry can mend.

    Args:
        code: why, from the table.
        what: one sentence that says what is wrong with this very file.
    """

    def __init__(self, code: Code, what: str) -> None:
        super().__init__(f"{code.public}: {what}")
        self.code = code
        self.what = what

    def written(self, key: str) -> "ErrorDocument":
        """What is left for the person who sent the file."""
        return ErrorDocument(key, self.code.public, self.what, self.code.value.fix)


@dataclass(frozen=True)
class ErrorDocument:
    """The content of `<file>.error.json`: why a file was refused, and how to mend it."""

    file: str
    code: str
    what: str
    fix: str


class RetryableError(KouboError):
    """Storage, a device or a deadline failed; the event is to come again."""


class ReplacedInputError(RetryableError):
    """An input has other content than it had when it was analysed."""


class CancelledRun(KouboError):  # noqa: N818 -- what happened, and nothing is wrong with it
    """Somebody cancelled the run, or removed it, while its work was going on."""


class NotSetUpError(KouboError):
    """This machine lacks a model or a program; the message says which command brings it."""


class WrongSettingError(NotSetUpError):
    """A setting, or the option that stands for it, names what there isn't."""


class BadModelError(NotSetUpError):
    """A model isn't there, or isn't what it says it is; no retry will mend that.

    The message names the model. A run that meets it is refused as `bad_model`.
    """
