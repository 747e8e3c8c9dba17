"""Where a list goes on: an opaque word that a client hands back."""

import base64
import binascii
import re
from dataclasses import dataclass

from functions.gateway.problems import Fault, ProblemError, Refusal

_PLAIN = re.compile(r"(\d{13}-[0-9a-z]{20})?\+(\d{1,4})")


@dataclass(frozen=True)
class Cursor:
    """A place in a tenant's runs, newest first.

    Args:
        after: the last entry that was shown whole, as its name sorts; empty at the start.
        shown: runs of the entry after it that were shown already.
    """

    after: str = ""
    shown: int = 0

    def write(self) -> str:
        """The word for it."""
        plain = f"{self.after}+{self.shown}"
        return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def read_cursor(word: str | None) -> Cursor:
    """Reads what `Cursor.write` wrote; the start for None.

    Raises:
        ProblemError: `invalid`.
    """
    if word is None:
        return Cursor()
    try:
        padded = word.encode("ascii") + b"=" * (-len(word) % 4)
        plain = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
    except (UnicodeError, binascii.Error):
        plain = ""
    match = _PLAIN.fullmatch(plain)
    if match is None:
        fault = Fault(field="cursor", what="is not one that a list gave out")
        raise ProblemError(Refusal.INVALID, "The cursor is not one of ours.", errors=[fault])
    return Cursor(match[1] or "", int(match[2]))
