"""Whether the files that a run was planned for still lie in the input bucket as they were."""

from typing import Literal

from functions import documents
from functions.analysis import Upload
from functions.cancel import CANCELLED
from functions.errors import Code
from functions.input_keys import InputFile, is_unfinished, parse_input
from functions.plans import Source
from functions.settings import BucketSettings
from functions.storage import Entry, Store

Standing = Literal["there", "replaced", "gone"]

_UNKNOWN_CONTENT = (CANCELLED, Code.GAVE_UP.public)


def standing(store: Store, buckets: BucketSettings, source: Source) -> Standing:
    """How an input of a run stands; `there` as well where ingest has yet to look at what is there.

    Nothing is read but records, so a worker can ask this before each piece of its work.
    """
    file = parse_input(source.key)
    try:
        entry = store.head(buckets.input, file.key)
    except FileNotFoundError:
        return "gone"
    upload = _looked_at(store, buckets, file, entry)
    if upload is None or upload.digest == source.digest or upload.refusal in _UNKNOWN_CONTENT:
        return "there"
    return "replaced"


def twin_of(store: Store, buckets: BucketSettings, source: Source) -> str | None:
    """The key of another file of the same group that has an input's content, if there is one."""
    file = parse_input(source.key)
    folder = file.tenant if file.job is None else f"{file.tenant}/{file.job}"
    for entry in store.entries(buckets.input, folder):
        if is_unfinished(entry.key) or entry.key == source.key or entry.key.count("/") > 2:
            continue
        other = parse_input(entry.key)
        upload = _looked_at(store, buckets, other, entry)
        if other.group == file.group and upload is not None and upload.digest == source.digest:
            return entry.key
    return None


def look_again(store: Store, buckets: BucketSettings, key: str) -> None:
    """Has reconcile bring what lies at a key to ingest once more.

    Its event may be long gone: in a bucket that keeps versions, removing the newest brings back the
    one before it, of which nobody tells.
    """
    file = parse_input(key)
    try:
        entry = store.head(buckets.input, file.key)
    except FileNotFoundError:
        return
    store.delete(buckets.work, file.handled(entry.identity))


def _looked_at(
    store: Store, buckets: BucketSettings, file: InputFile, entry: Entry
) -> Upload | None:
    """What ingest found an upload to be; None where it has not looked."""
    try:
        data = store.get(buckets.work, file.upload(entry.identity))
    except FileNotFoundError:
        return None
    return documents.load(Upload, data)
