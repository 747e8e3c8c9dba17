"""Dead letters: events that were given up, to be looked at and tried again."""

from collections.abc import Iterator
from contextlib import suppress

from functions import documents, runs
from functions.chain import DeadLetter
from functions.errors import RejectedInput
from functions.input_keys import parse_input
from functions.layout import RunKeys, dead_prefix, parse_run_object
from functions.plans import find_plan
from functions.settings import BucketSettings
from functions.storage import Store


def letters(store: Store, buckets: BucketSettings) -> Iterator[tuple[str, DeadLetter]]:
    """Every dead letter with its key in the work bucket."""
    for tenant in store.folders(buckets.work, ""):
        for entry in store.entries(buckets.work, dead_prefix(tenant)):
            yield entry.key, documents.load(DeadLetter, store.get(buckets.work, entry.key))


def replay(store: Store, buckets: BucketSettings, key: str, letter: DeadLetter) -> None:
    """Takes an event up again: its run is due again, or its upload unseen, and the letter goes.

    A run's segments are written again, which fires them where the store tells of that; an upload is
    found by the next reconcile.
    """
    event = letter.event
    item = parse_run_object(event.key) if event.bucket == buckets.work else None
    if item is not None:
        keys = RunKeys(item.tenant, item.run)
        plan = find_plan(store, buckets.work, keys)
        if plan is not None:
            runs.retry(store, buckets.work, plan)
            store.delete(buckets.output, plan.group.output(plan.output, ".error.json"))
    else:
        with suppress(FileNotFoundError, RejectedInput):  # taken away since, or no place for a file
            file = parse_input(event.key)
            entry = store.head(buckets.input, file.key)
            store.delete(buckets.work, file.handled(entry.identity))
            store.delete(buckets.work, file.upload(entry.identity))
            store.delete(buckets.output, file.error)
    store.delete(buckets.work, key)
