"""`koubo doctor FOOTAGE`: what a footage can show of speech, before anybody speaks with it."""

from pathlib import Path
from tempfile import TemporaryDirectory

from functions.analysis import Footage
from functions.aside import TENANT, Aside
from functions.doctor import Finding
from functions.layout import FootageKeys
from functions.settings import BucketSettings, CacheSettings
from functions.storage import Store

_MOST_FRAMES = 0.9


def examine_footage(path: Path, cache: CacheSettings) -> list[Finding]:
    """Analyses a video or a portrait and says what the default model finds in it.

    Raises:
        RejectedInput: as a run would refuse it, or it is a recording.
        KouboError: this machine lacks something.
    """
    from functions.infer.gather import gather  # noqa: PLC0415 -- without the extra, doctor still runs
    from functions.infer.manifest import DEFAULT_MODEL, find_model  # noqa: PLC0415
    from functions.infer.readers import StoredFootage  # noqa: PLC0415
    from functions.infer.showing import showing  # noqa: PLC0415

    with TemporaryDirectory() as folder:
        root, work = Path(folder), BucketSettings().work
        store = Store.folder(root)
        keys = analysed(store, root, path, cache)
        footage = StoredFootage.open(store, work, keys, DEFAULT_MODEL)
        bank = gather(footage, find_model(*DEFAULT_MODEL).crop)
    found = f"{len(bank.frames)} mouths kept, patches of {bank.size} pixels"
    needs = [
        Finding(need.what, works=True, says="seen")
        if need.seen
        else Finding(need.what, works=False, says="not seen:", fix=need.otherwise)
        for need in showing(bank)
    ]
    return [Finding("footage", works=True, says=found), _in_sight(footage.footage), *needs]


def _in_sight(footage: Footage) -> Finding:
    """In how many frames there is a mouth to move."""
    shown = footage.faces - footage.hidden
    says = f"mouth in {shown} of {footage.frames} frames"
    if footage.hidden:
        says += f", behind something or turned away in {footage.hidden}"
    works = shown >= _MOST_FRAMES * footage.frames
    return Finding("in sight", works, says, "" if works else "the others stay as they are")


def analysed(store: Store, root: Path, path: Path, cache: CacheSettings) -> FootageKeys:
    """Analyses a footage into a new store in a folder; returns where the analysis is.

    Raises:
        RejectedInput: as a run would refuse it, or it is a recording.
    """
    return FootageKeys(TENANT, Aside(store, root, cache).analyse(path, "footage"))
