"""Files that were replaced, or are back: which of the runs that were planned for them go on.

Of all runs that were ever planned for two files, the one of what lies there now is to be the newest
and the only one that goes on. The others end as superseded.
"""

import time
from collections.abc import Sequence

from functions import documents, runs
from functions.errors import Code
from functions.ingest.pairing import Pairing
from functions.input_keys import InputFile
from functions.layout import RunKeys
from functions.plans import Plan, find_plan
from functions.runs import Failure
from functions.settings import BucketSettings
from functions.standing import standing
from functions.storage import Entry, Store


def supersede_earlier(
    store: Store, buckets: BucketSettings, file: InputFile, entry: Entry, digest: str | None
) -> None:
    """Ends the runs of what a file was before, as soon as its content is known to be another.

    Args:
        store: where everything is.
        buckets: their names.
        file: that was uploaded.
        entry: this very upload.
        digest: of its content; None for what can't be used.
    """
    now = {file.upload(entry.identity), file.handled(entry.identity)}
    if all(seen.key in now for seen in store.entries(buckets.work, file.uploads)):
        return
    for planned in store.entries(buckets.work, file.group.planned):
        keys = RunKeys(file.tenant, planned.key.rpartition("/")[2])
        plan = find_plan(store, buckets.work, keys)
        for source in (plan.voice, plan.face) if plan is not None else ():
            if source.key == file.key and source.digest != digest:
                runs.supersede(store, buckets.work, keys, time.time(), key=file.key)


def settle(
    store: Store,
    buckets: BucketSettings,
    file: InputFile,
    pairings: Sequence[Pairing],
    *,
    again: bool,
) -> None:
    """Has the runs of what lies there now go on, and no others.

    Args:
        store: where everything is.
        buckets: their names.
        file: the one that was handled; the job's options concern every pairing.
        pairings: of its group.
        again: the file was uploaded, and not only told of once more: runs of it are due that
            failed, were cancelled, or lost their video.
    """
    for pairing in {pairing.plan.run: pairing for pairing in reversed(pairings)}.values():
        names = {_names(one.wanted) for one in pairings if one.plan.run == pairing.plan.run}
        # A run that two names share may still be planned under the one that has changed.
        concerned = any(file.key in pair for pair in (*names, _names(pairing.plan)))
        if concerned or file.is_options:
            _settle(store, buckets, pairing, names, again=again and concerned)


def _settle(
    store: Store,
    buckets: BucketSettings,
    pairing: Pairing,
    names: set[tuple[str, str]],
    *,
    again: bool,
) -> None:
    work, plan = buckets.work, pairing.plan
    others = runs.others_of_pair(store, work, pairing.wanted)
    renamed = _names(plan) not in names and not _keeps_its_name(store, buckets, plan)
    overtaken = any(other.made_at > plan.made_at for other in others)
    if renamed or overtaken or _is_back(store, work, plan):
        if not _stands(store, buckets, pairing.wanted):
            return  # replaced once more since we looked; that upload's own event settles it
        plan = pairing.wanted
        runs.plan_again(store, work, plan)
        _take_back_error(store, buckets, plan)
    elif again and _is_lost(store, buckets, plan):
        runs.retry(store, work, plan)
        _take_back_error(store, buckets, plan)
    for other in others:
        if other.made_at < plan.made_at:
            runs.supersede(store, work, other.keys, time.time(), key=None, by=plan.run)


def _names(plan: Plan) -> tuple[str, str]:
    return plan.voice.key, plan.face.key


def _keeps_its_name(store: Store, buckets: BucketSettings, plan: Plan) -> bool:
    """Whether a run is done under a name that nothing else has taken since."""
    done = runs.read_state(store, buckets.work, plan.keys).phase == "done"
    sources = (plan.voice, plan.face)
    return done and all(standing(store, buckets, one) != "replaced" for one in sources)


def _stands(store: Store, buckets: BucketSettings, plan: Plan) -> bool:
    sources = (plan.voice, plan.face)
    return all(standing(store, buckets, source) == "there" for source in sources)


def _is_back(store: Store, work: str, plan: Plan) -> bool:
    """Whether a run ended because its files were not there, which they are."""
    phase = runs.read_state(store, work, plan.keys).phase
    if phase != "failed":
        return phase == "superseded"
    failure = documents.load(Failure, store.get(work, plan.keys.failed))
    return failure.code == Code.TAKEN_AWAY.public


def _is_lost(store: Store, buckets: BucketSettings, plan: Plan) -> bool:
    phase = runs.read_state(store, buckets.work, plan.keys).phase
    video = plan.group.output(plan.output, ".mp4")
    gone = phase == "done" and not store.exists(buckets.output, video)
    return phase in ("failed", "cancelled") or gone


def _take_back_error(store: Store, buckets: BucketSettings, plan: Plan) -> None:
    store.delete(buckets.output, plan.group.output(plan.output, ".error.json"))
