"""Accepting mail: one transaction for all copies, once per ingest id, whole octets."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.defer import CancelledError

from gateway.core.errors import StoreUnavailable
from gateway.core.ids import AccountId
from gateway.core.mailboxes import DEFAULT_MAILBOXES
from gateway.store.bodies import MEMORY_OCTETS
from tests.store.house import (
    ALICE,
    BOB,
    CAROL,
    LARGE,
    MESSAGE,
    NOW,
    RECEIVED,
    RETURN_PATH,
    House,
    delivered,
)

pytestmark = pytest.mark.usefixtures("processes")


def test_a_delivery_makes_the_accounts_and_shares_the_octets(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        accepted = house.deliver("1", ALICE, BOB)
        assert (accepted.ingest_id, accepted.queue_id) == ("1", "")
        (hers,), (his,) = house.rows(ALICE), house.rows(BOB)
        assert hers.blob_id == his.blob_id
        assert hers.size_octets == len(delivered())
        assert hers.internal_date == NOW
        assert hers.flags == frozenset()
        assert house.octets(hers) == delivered()
        names = {one.name for one in house.wait(house.store.list_mailboxes(BOB))}
        assert names == {name for name, _ in DEFAULT_MAILBOXES}
        assert house.verify().blobs == 1


@pytest.mark.parametrize("octets", [MESSAGE, LARGE], ids=["small", "large"])
def test_the_queue_reads_from_behind_the_local_header(octets: bytes, tmp_path: Path) -> None:
    with House(tmp_path) as house:
        accepted = house.deliver("1", ALICE, octets=octets, remote=[CAROL])
        (item,) = house.lease(NOW)
        assert item.queue_id == accepted.queue_id != ""
        assert item.content_offset == len(RETURN_PATH)
        assert item.size_octets == len(RECEIVED + octets)
        read = house.store.read(item.blob_id, item.content_offset, item.size_octets)
        assert house.wait(read) == RECEIVED + octets
        assert house.contents() == [delivered(octets)]
        house.verify()


def test_without_local_people_no_local_header_is_kept(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("1", remote=[CAROL])
        (item,) = house.lease(NOW)
        assert item.content_offset == 0
        assert house.wait(house.store.read(item.blob_id, 0, 1 << 20)) == RECEIVED + MESSAGE


@pytest.mark.parametrize("octets", [MESSAGE, LARGE], ids=["small", "large"])
def test_the_same_ingest_id_again_stores_nothing(octets: bytes, tmp_path: Path) -> None:
    with House(tmp_path) as house:
        first = house.deliver("same", ALICE, octets=octets, remote=[CAROL])
        again = [house.start("same", ALICE, octets=octets, remote=[CAROL]) for _ in range(3)]
        other = house.start("other", ALICE)
        assert [house.pump.wait_for(one) for one in again] == [first] * 3
        house.pump.wait_for(other)
        assert house.uids() == [1, 2]
        assert house.verify().queued == 1
        files = tmp_path / "store/large"
        house.pump.until(lambda: len(list(files.iterdir())) == (octets is LARGE))
    with House(tmp_path) as house:
        assert house.deliver("same", ALICE, octets=octets) == first
        assert house.uids() == [1, 2]


def test_old_ingest_ids_are_forgotten(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("id", ALICE)
        house.now += 8 * 86400
        house.deliver("other", ALICE)  # housekeeping rides on a commit
        house.deliver("id", ALICE)
        assert house.uids() == [1, 2, 3]


@pytest.mark.parametrize("extra", [-1, 0, 1, 3 * 256 * 1024], ids=str)
def test_bodies_around_the_memory_limit_come_back_whole(extra: int, tmp_path: Path) -> None:
    octets = bytes(range(256)) * (MEMORY_OCTETS // 256 + extra // 256 + 2)
    octets = octets[: MEMORY_OCTETS + extra]
    with House(tmp_path) as house:
        house.deliver("1", ALICE, octets=octets)
        (row,) = house.rows()
        assert house.octets(row) == delivered(octets)
        for offset, length in (
            (0, 100),
            (len(RETURN_PATH), 262_144),
            (262_100, 200),
            (10**6, 10**6),
        ):
            piece = house.wait(house.store.read(row.blob_id, offset, length))
            assert piece == delivered(octets)[offset : offset + length]
        is_large = extra > 0
        assert len(list((tmp_path / "store/large").iterdir())) == is_large


def test_a_large_body_stays_out_of_memory_while_it_arrives(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        body = house.store.open_body()
        for _ in range(64):
            body.write(bytes(65536))
        (path,) = (tmp_path / "store/incoming").iterdir()
        assert path.stat().st_size >= 64 * 65536 - 256 * 1024
        assert path.stat().st_mode & 0o777 == 0o600
        assert body.size_octets == 64 * 65536
        body.discard()
        body.discard()
        assert list((tmp_path / "store/incoming").iterdir()) == []


def test_a_body_serves_once_and_discard_after_accept_does_no_harm(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        message = house.message("1", ALICE, octets=LARGE)
        deferred = house.pump.start(house.store.accept(message))
        message.body.discard()
        house.pump.wait_for(deferred)
        assert house.contents() == [delivered(LARGE)]
        with pytest.raises(StoreUnavailable):
            house.wait(house.store.accept(message))


def test_a_client_gone_while_its_large_message_is_synced_leaves_nothing(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        deferred = house.start("1", ALICE, octets=LARGE)
        deferred.addErrback(lambda failure: failure.trap(CancelledError))
        deferred.cancel()
        house.deliver("2", ALICE)
        house.pump.until(lambda: not list((tmp_path / "store/incoming").iterdir()))
        house.pump.until(lambda: not list((tmp_path / "store/large").iterdir()))
        assert house.contents() == [delivered()]


def test_D9_many_recipients_get_it_together(tmp_path: Path) -> None:
    people = [AccountId(f"p{number}") for number in range(150)]
    with House(tmp_path) as house:
        house.deliver("1", *people)
        house.deliver("2", *people)
        assert all(house.uids(one) == [1, 2] for one in people)
        report = house.verify()
        assert (report.messages, report.blobs) == (300, 2)


def test_a_closed_store_refuses_and_what_was_handed_in_is_kept(tmp_path: Path) -> None:
    house = House(tmp_path)
    waiting = [house.start(str(number), ALICE) for number in range(50)]
    house.wait(house.store.close())
    for one in waiting:
        house.pump.wait_for(one)
    with pytest.raises(StoreUnavailable):
        house.deliver("late", ALICE)
    with pytest.raises(StoreUnavailable):
        house.deliver("late and large", ALICE, octets=LARGE)
    with pytest.raises(StoreUnavailable):
        house.find()
    house.wait(house.store.close())
    with House(tmp_path) as house:
        assert len(house.uids()) == 50
        assert list((tmp_path / "store/large").iterdir()) == []
