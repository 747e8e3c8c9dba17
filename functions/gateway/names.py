"""Names that files get in a request's folder, whatever their senders called them."""

import unicodedata
from collections.abc import Iterable

from functions.input_keys import OPTIONS_FILE, is_unfinished

# Two of them and a hyphen still fit into a disk's 255 bytes with `.error.json`.
_LONGEST = 100
_FORBIDDEN = set('/\\:*?"<>|')


def safe_name(wanted: str) -> str:
    """A name that every store and disk takes, as near to the wanted one as can be."""
    base = wanted.replace("\\", "/").rpartition("/")[2]
    kept = "".join(
        "_" if letter in _FORBIDDEN else " " if letter.isspace() else letter
        for letter in unicodedata.normalize("NFC", base)
        if letter.isprintable() or letter.isspace()
    )
    # Hidden names, and those of files that are still being written, would be passed over.
    kept = kept.strip().lstrip(".~ ")
    if is_unfinished(kept) or not kept:
        kept = f"input-{kept.rstrip('~')}.bin" if kept else "input"
    return _cut(kept)


def free_names(wanted: Iterable[str]) -> list[str]:
    """A safe name for each, all of them different and none the options'."""
    taken = {OPTIONS_FILE}
    found = []
    for name in map(safe_name, wanted):
        stem, dot, suffix = name.rpartition(".")
        if not dot or not stem:
            stem, dot, suffix = name, "", ""
        free, count = name, 1
        # Disks that ignore case would make one file of two.
        while free.casefold() in taken:
            count += 1
            free = f"{stem}-{count}{dot}{suffix}"
        taken.add(free.casefold())
        found.append(free)
    return found


def _cut(name: str) -> str:
    if len(name.encode()) <= _LONGEST:
        return name
    stem, dot, suffix = name.rpartition(".")
    end = f".{suffix}" if dot and stem and len(suffix.encode()) <= 10 else ""
    head = name.removesuffix(end).encode()[: _LONGEST - len(end.encode())]
    return head.decode(errors="ignore").rstrip() + end
