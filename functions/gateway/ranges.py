"""The Range header (RFC 9110): one range of bytes; several, or other units, get the whole."""

import re

_ONE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class UnsatisfiableError(ValueError):
    """The range lies beyond the object's end."""


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The bytes [start, end) that are asked for; None for all of them.

    Raises:
        UnsatisfiableError: there are none.
    """
    match = _ONE.fullmatch((header or "").replace(" ", ""))
    if match is None or (not match[1] and not match[2]):
        return None
    if not match[1]:
        start, end = max(0, size - int(match[2])), size
    else:
        start, end = int(match[1]), size
        if match[2]:
            if int(match[2]) < start:
                return None  # no range at all, and to be passed over
            end = min(size, int(match[2]) + 1)
    if start >= end:
        raise UnsatisfiableError(f"bytes {start} and on of {size}")
    return start, end
