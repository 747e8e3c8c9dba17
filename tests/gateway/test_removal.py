import pytest

from functions import runs
from functions.gateway.removal import remove
from functions.plans import Plan, find_plan
from functions.storage import Store

from .conftest import BUCKETS, Gateway, plan_for

DELETE = Store.delete


class KilledError(Exception):
    """What a process that is killed here does not live to see."""


def test_removing_goes_on_where_it_was_killed() -> None:
    """A removal that was interrupted after any step can be asked for again, and ends the same."""

    def stocked() -> tuple[Store, Plan]:
        gateway = Gateway(Store.memory())
        plan = runs.start(
            gateway.store, BUCKETS.work, plan_for("default/news/a.wav", "default/news/b.mp4")
        )
        gateway.put(plan, patches=2, parts=1)
        return gateway.store, plan

    for steps in range(12):
        store, plan = stocked()
        left = steps

        def dying(self: Store, bucket: str, key: str) -> None:
            nonlocal left
            if left == 0:
                raise KilledError
            left -= 1
            DELETE(self, bucket, key)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Store, "delete", dying)
            with pytest.raises(KilledError):
                remove(store, BUCKETS.work, BUCKETS.output, plan, 1.0)
        assert find_plan(store, BUCKETS.work, plan.keys) is not None
        assert runs.read_state(store, BUCKETS.work, plan.keys).phase == "cancelled"
        remove(store, BUCKETS.work, BUCKETS.output, plan, 2.0)
        assert [entry.key for entry in store.entries(BUCKETS.work, "")] == [plan.keys.cancelled]
