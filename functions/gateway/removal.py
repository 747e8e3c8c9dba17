"""Removing a run from the store."""

from functions import runs
from functions.layout import RunKeys
from functions.plans import Plan, find_plan
from functions.storage import Store


def remove(store: Store, work: str, output: str, plan: Plan, at: float) -> None:
    """Removes a run's objects and outputs.

    A mark of some bytes stays, or its input files, where they are left, would bring it back.
    """
    keys, group = plan.keys, plan.group
    runs.cancel(store, work, keys, at)
    pairs = list(store.entries(work, group.planned))
    others = {entry.key.rpartition("/")[2] for entry in pairs} - {plan.run}
    if not any(_made(store, work, RunKeys(group.tenant, run), plan.output) for run in others):
        for suffix in (".mp4", ".jpg", ".json", ".error.json"):
            store.delete(output, group.output(plan.output, suffix))
    for entry in list(store.entries(work, keys.prefix)):
        if entry.key not in (keys.plan, keys.cancelled):
            store.delete(work, entry.key)
    for entry in pairs:
        if entry.key.endswith(f"/{plan.run}"):
            store.delete(work, entry.key)
    store.delete(work, keys.recent(plan.made_at))
    store.delete(work, keys.active)
    # Last: as long as it is there, a removal that was interrupted can be asked for again.
    store.delete(work, keys.plan)


def _made(store: Store, work: str, keys: RunKeys, output: str) -> bool:
    """Whether another run, with other options, made the output of this name."""
    plan = find_plan(store, work, keys)
    return plan is not None and plan.output == output and store.exists(work, keys.done)
