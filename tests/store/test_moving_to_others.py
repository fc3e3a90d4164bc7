"""Messages that go from one account to another: what moves needs room there."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.errors import OverQuota
from gateway.core.quota import Quota
from tests.store.house import ALICE, BOB, EVERY, House


@pytest.mark.parametrize("move", [False, True])
def test_another_accounts_bounds_hold_and_nothing_is_lost(tmp_path: Path, move: bool) -> None:
    with House(tmp_path) as house:
        house.deliver("1", ALICE)
        house.deliver("2", ALICE)
        house.deliver("3", BOB)
        house.wait(house.store.quota.set_quota(BOB, Quota(messages=2)))
        with pytest.raises(OverQuota) as refused:
            house.wait(house.store.copy(house.box(), EVERY, BOB, "Archive", move=move))
        assert refused.value.account_ids == (BOB,)
        assert house.uids() == [1, 2]
        copied = house.wait(house.store.copy(house.box(), ((2, 2),), BOB, "Archive", move=move))
        assert (copied.source_uids, copied.uids) == ((2,), (1,))
        assert house.uids() == ([1] if move else [1, 2])
        assert house.uids(BOB, "Archive") == [1]
        assert house.contents(BOB, "Archive") == house.contents()[:1]
        assert house.wait(house.store.quota.usage(BOB)).messages == 2
        # Inside an account it needs none.
        house.wait(house.store.copy(house.box(BOB), EVERY, BOB, "Trash", move=True))
    house.verify()
