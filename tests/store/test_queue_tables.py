"""The outbound queue: leases keep runners apart, results and reports are one transaction."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from gateway.core.address import Address
from gateway.core.errors import MessageGone, StoreFull
from gateway.core.ids import QueueId
from gateway.core.queue import QueueDepth, QueueItem, Recorded
from tests.store.faults import FailingAt
from tests.store.house import ALICE, CAROL, DAVE, ERIN, MESSAGE, NOW, RECEIVED, House

pytestmark = pytest.mark.usefixtures("processes")


def lease(house: House, now: int = NOW, owner: str = "me", limit: int = 10) -> list[QueueItem]:
    return house.lease(now, limit, owner)


def test_what_was_accepted_is_leased_as_it_is(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        message = house.message("1", remote=[CAROL, DAVE], sender=None)
        accepted = house.wait(house.store.accept(message))
        items = lease(house)
        relay = "smtp://relay.example.net:25"
        assert [item.destination for item in items] == ["example.org", relay]
        for item in items:
            assert (item.queue_id, item.sender, item.created_at) == (accepted.queue_id, None, NOW)
            assert item.size_octets == len(RECEIVED + MESSAGE)
        assert [
            (one.number, one.address, one.next_hop, one.attempts)
            for item in items
            for one in item.recipients
        ] == [(1, CAROL.address, "", 0), (2, DAVE.address, relay, 0)]
        assert house.wait(house.store.depth()) == QueueDepth(1, 2, NOW)


def test_a_lease_keeps_others_out_until_it_ends(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        assert house.wait(house.store.next_due_at()) is None
        assert lease(house) == []
        for number in range(5):
            house.deliver(str(number), remote=[CAROL])
        mine = lease(house, limit=3)
        others = lease(house, owner="other")
        assert (len(mine), len(others)) == (3, 2)
        assert not {one.queue_id for one in mine} & {one.queue_id for one in others}
        assert house.wait(house.store.next_due_at()) == NOW + 60
        assert lease(house, NOW + 59) == []
        assert len(lease(house, NOW + 60)) == 5


def test_results_decide_what_waits_and_for_how_long(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("1", remote=[CAROL, ERIN])
        (item,) = lease(house)
        later = Recorded(1, 1, NOW + 600, "450 4.2.0 later")
        done = Recorded(2, 1, None, "250 2.0.0 ok")
        house.wait(house.store.record(item.queue_id, [later, done], None))
        assert house.wait(house.store.next_due_at()) == NOW + 600
        assert lease(house, NOW + 599) == []
        (again,) = lease(house, NOW + 600)
        (left,) = again.recipients
        assert (left.number, left.attempts, left.last_reply) == (1, 1, "450 4.2.0 later")
        house.wait(house.store.record(item.queue_id, [Recorded(1, 2, None, "250 ok")], None))
        assert house.wait(house.store.depth()) == QueueDepth(0, 0, None)
        with pytest.raises(MessageGone):
            house.wait(house.store.read(item.blob_id, 0, 10))
        house.wait(house.store.record(item.queue_id, [Recorded(1, 2, None, "250 ok")], None))
        assert house.verify().blobs == 0


def test_only_due_recipients_are_leased(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("1", remote=[CAROL, ERIN])
        (item,) = lease(house)
        results = [Recorded(1, 1, NOW + 10, "later"), Recorded(2, 1, NOW + 1000, "much later")]
        house.wait(house.store.record(item.queue_id, results, None))
        (again,) = lease(house, NOW + 500)
        assert [one.number for one in again.recipients] == [1]
        house.wait(house.store.record(item.queue_id, [Recorded(1, 2, None, "ok")], None))
        assert house.wait(house.store.next_due_at()) == NOW + 1000
        house.verify()


def test_octets_in_a_mailbox_outlive_the_queue(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("1", ALICE, remote=[CAROL])
        (item,) = lease(house)
        house.wait(house.store.expunge(house.box(), None, only_deleted=False))
        read = house.store.read(item.blob_id, item.content_offset, item.size_octets)
        assert house.wait(read) == RECEIVED + MESSAGE
        house.wait(house.store.record(item.queue_id, [Recorded(1, 1, None, "ok")], None))
        assert house.verify().blobs == 0


def test_D5_a_report_is_kept_with_the_results_or_neither(tmp_path: Path) -> None:
    files = FailingAt(1, errno.ENOSPC)
    with House(tmp_path, files=files) as house:
        house.deliver("1", remote=[CAROL])
        (item,) = lease(house)
        failed = [Recorded(1, 1, None, "550 5.1.1 no")]
        report = house.message("report 1", ALICE, octets=b"It failed.\r\n", sender=None)
        files.counting = True
        with pytest.raises(StoreFull):
            house.wait(house.store.record(item.queue_id, failed, report))
        assert files.failed == ["write"]
        assert house.wait(house.store.depth()).recipients == 1
        for _ in range(2):  # repeated, as after an answer that was lost
            report = house.message("report 1", ALICE, octets=b"It failed.\r\n", sender=None)
            house.wait(house.store.record(item.queue_id, failed, report))
        assert house.wait(house.store.depth()).recipients == 0
        assert len(house.uids()) == 1
        house.verify()


def test_a_report_may_leave_by_the_queue(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("1", remote=[CAROL])
        (item,) = lease(house)
        report = house.message("report", remote=[DAVE], sender=None)
        house.wait(house.store.record(item.queue_id, [Recorded(1, 1, None, "550 no")], report))
        (out,) = lease(house)
        assert out.queue_id != item.queue_id
        assert (out.sender, out.recipients[0].address) == (None, Address("dave", "example.net"))


def test_watchers_hear_of_new_queue_rows_only(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        calls: list[int] = []
        stop = house.store.watch_queue(lambda: calls.append(1))
        house.deliver("1", ALICE)
        assert calls == []
        house.deliver("2", ALICE, remote=[CAROL])
        assert calls == [1]
        stop()
        stop()
        house.deliver("3", remote=[CAROL])
        assert calls == [1]


def test_ids_are_never_given_twice(tmp_path: Path) -> None:
    seen: list[QueueId] = []
    for number in range(3):
        with House(tmp_path) as house:
            seen.append(house.deliver(str(number), remote=[CAROL]).queue_id)
            for item in lease(house):
                house.wait(house.store.record(item.queue_id, [Recorded(1, 1, None, "")], None))
    assert len(set(seen)) == 3
