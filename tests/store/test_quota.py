"""How much an account may keep: enforced exactly in each transaction that adds, and counted exactly
whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

import pytest
from twisted.internet.defer import Deferred

from gateway.core.errors import OverQuota
from gateway.core.ids import AccountId
from gateway.core.mailboxes import MailboxEvent
from gateway.core.messages import Accepted, NewMessage
from gateway.core.quota import Quota, Usage
from gateway.core.uidset import Ranges
from gateway.store import quota as store_quota
from gateway.store.blobs import StoredOctets
from gateway.store.transaction import Transaction
from tests.store.house import (
    ALICE,
    BOB,
    CAROL,
    EVERY,
    LARGE,
    MESSAGE,
    NOW,
    RECEIVED,
    RETURN_PATH,
    House,
    delivered,
)

SIZE = len(delivered())
NOBODY = AccountId("n0body")


def bound(house: House, octets: int = 0, messages: int = 0, account: AccountId = ALICE) -> None:
    house.wait(house.store.quota.set_quota(account, Quota(octets, messages)))


def usage(house: House, account: AccountId = ALICE) -> Usage:
    return house.wait(house.store.quota.usage(account))


def exempt(house: House, ingest_id: str, *local: AccountId, octets: bytes = MESSAGE) -> NewMessage:
    body = house.body(octets)
    return NewMessage(
        ingest_id, None, RETURN_PATH, RECEIVED, body, local, (), NOW, may_exceed_quota=True
    )


def warnings(house: House) -> list[tuple[AccountId, Usage]]:
    told: list[tuple[AccountId, Usage]] = []
    house.store.quota.watch_filling(lambda account, used: told.append((account, used)))
    return told


def test_the_last_octet_fits_and_the_next_does_not(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        bound(house, octets=2 * SIZE)
        house.deliver("1", ALICE)
        house.deliver("2", ALICE)
        with pytest.raises(OverQuota) as refused:
            house.deliver("3", ALICE, octets=b"")
        assert refused.value.account_ids == (ALICE,)
        assert usage(house) == Usage(2 * SIZE, 2, Quota(2 * SIZE, 0))
        house.wait(house.store.expunge(house.box(), ((1, 1),), only_deleted=False))
        house.deliver("4", ALICE)
    house.verify()


def test_messages_are_bounded_as_well(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        bound(house, messages=1)
        house.deliver("1", ALICE)
        with pytest.raises(OverQuota):
            house.append()
        assert house.uids() == [1]


def test_D10_in_a_batch_only_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        bound(house, messages=2)
        house.pump.wait(house.store.ensure_account(BOB))
        answers = [house.start(f"a{number}", ALICE, octets=MESSAGE) for number in range(5)]
        answers += [house.start(f"b{number}", BOB, octets=MESSAGE) for number in range(5)]
        answers.append(house.start("both", ALICE, BOB, remote=[CAROL]))
        results: list[object] = []
        for answer in answers:
            answer.addBoth(lambda result: results.append(getattr(result, "value", result)))
        house.pump.until(lambda: len(results) == len(answers))
        assert [isinstance(result, Accepted) for result in results] == [True] * 2 + [False] * 3 + [
            True
        ] * 5 + [False]
        assert all(
            isinstance(result, OverQuota) for result in results if not isinstance(result, Accepted)
        )
        assert (len(house.uids()), len(house.uids(BOB))) == (2, 5)
        # All or nobody: neither the other person nor the queue has the message.
        assert house.wait(house.store.depth()).messages == 0
    house.verify()


def test_a_refused_large_message_leaves_no_file(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        bound(house, octets=1000)
        with pytest.raises(OverQuota):
            house.deliver("1", ALICE, octets=LARGE)
        with pytest.raises(OverQuota):
            house.append("INBOX", LARGE)
        assert list((tmp_path / "store" / "large").iterdir()) == []
    house.verify()


def test_what_was_stored_before_is_not_refused_afterwards(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        bound(house, messages=1)
        house.deliver("1", ALICE)
        again = house.start("1", ALICE)
        other = house.start("2", BOB)
        assert house.pump.wait_for(again).ingest_id == "1"
        house.pump.wait_for(other)
        assert house.uids() == [1]


def test_D5_what_may_exceed_is_taken_and_counted(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        bound(house, octets=10)
        house.wait(house.store.accept(exempt(house, "report", ALICE)))
        house.deliver("1", BOB, remote=[CAROL])
        (item,) = house.lease(NOW)
        report = exempt(house, "report 2", ALICE)
        house.wait(house.store.record(item.queue_id, (), report))
        assert usage(house).messages == 2


def test_copying_is_refused_and_moving_deleting_and_marking_are_not(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append("INBOX", MESSAGE, MESSAGE)
        bound(house, octets=1)
        inbox = house.box()
        with pytest.raises(OverQuota):
            house.wait(house.store.copy(inbox, EVERY, ALICE, "Trash", move=False))
        assert house.uids(name="Trash") == []
        house.wait(house.store.store_flags(inbox, EVERY, "add", frozenset({"\\Seen"})))
        house.wait(house.store.copy(inbox, EVERY, ALICE, "Trash", move=True))
        assert house.uids(name="Trash") == [1, 2]
        house.wait(house.store.expunge(house.box(name="Trash"), None, only_deleted=False))
        assert usage(house) == Usage(0, 0, Quota(1, 0))
    house.verify()


def test_bounds_survive_a_restart_and_go_when_the_directory_says_so(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        bound(house, messages=1)
        house.deliver("1", ALICE)
    with House(tmp_path) as house:
        with pytest.raises(OverQuota):  # though nobody has told this process yet
            house.deliver("2", ALICE)
        bound(house)
        house.deliver("2", ALICE)


def test_telling_again_costs_nothing_until_the_row_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with House(tmp_path) as house:
        bound(house, messages=5)
        bound(house, account=NOBODY)
        reads: list[object] = []
        pool = house.store._readers
        run = pool.run

        def counted(job: Callable[[StoredOctets], object]) -> Deferred[object]:
            reads.append(job)
            return run(job)

        monkeypatch.setattr(pool, "run", counted)
        bound(house, messages=5)
        bound(house, account=NOBODY)
        assert reads == []
        monkeypatch.setattr(store_quota, "TRUST_S", -1.0)
        bound(house, messages=6)
        # Another process was told something else.
        bound(house, messages=7)
        bound(house, messages=6)
        assert usage(house).quota == Quota(0, 6)


def test_one_who_has_no_bounds_gets_no_account_by_being_asked_about(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        bound(house, account=NOBODY)
        assert usage(house, NOBODY) == Usage(0, 0, Quota())
        assert house.wait(house.store.list_mailboxes(NOBODY)) == []


def test_a_batch_of_people_without_bounds_is_not_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    standings = store_quota._standings

    def counted(tx: Transaction, accounts: Iterable[AccountId]) -> object:
        asked.append(accounts)
        return standings(tx, accounts)

    monkeypatch.setattr(store_quota, "_standings", counted)
    with House(tmp_path) as house:
        bound(house, account=ALICE)
        bound(house, account=BOB)
        for answer in [house.start(f"{number}", ALICE, BOB) for number in range(20)]:
            house.pump.wait_for(answer)
        assert asked == []
        bound(house, messages=100, account=BOB)
        asked.clear()
        house.deliver("last", ALICE, BOB)
        assert asked == [{BOB}]


def test_many_people_with_bounds_in_one_message(tmp_path: Path) -> None:
    people = [AccountId(f"p{number:03}") for number in range(131)]
    with House(tmp_path) as house:
        for person in people:
            bound(house, messages=1, account=person)
        house.deliver("1", *people)
        with pytest.raises(OverQuota) as refused:
            house.deliver("2", *people)
        assert sorted(refused.value.account_ids) == people


def test_one_warning_at_ninety_percent_and_the_next_after_falling_below_eighty(
    tmp_path: Path,
) -> None:
    with House(tmp_path) as house:
        told = warnings(house)
        bound(house, messages=10)
        for number in range(8):
            house.deliver(f"{number}", ALICE)
        assert told == []
        house.deliver("ninth", ALICE)
        house.deliver("tenth", ALICE)
        house.pump.until(lambda: told)
        assert told == [(ALICE, Usage(9 * SIZE, 9, Quota(0, 10)))]
        inbox = house.box()
        house.wait(house.store.expunge(inbox, ((1, 2),), only_deleted=False))
        house.append()
        assert len(told) == 1  # eighty is not below eighty
        house.wait(house.store.expunge(inbox, ((3, 4),), only_deleted=False))
        house.append("INBOX", MESSAGE, MESSAGE)
        house.pump.until(lambda: len(told) > 1)
        assert [used.messages for _, used in told] == [9, 9]


def test_less_room_or_more_tells_and_calms_too(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        told = warnings(house)
        for number in range(9):
            house.deliver(f"{number}", ALICE)
        bound(house, messages=9)
        bound(house, messages=100)
        bound(house, octets=9 * SIZE)
        house.pump.until(lambda: len(told) > 1)
        assert [used.percent for _, used in told] == [100, 100]


def test_a_delivery_that_is_undone_warns_nobody(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        told = warnings(house)
        bound(house, messages=10)
        with pytest.raises(OverQuota):
            house.append("INBOX", *[MESSAGE] * 11)
        house.deliver("1", BOB)
        assert told == []


def test_a_watcher_that_fails_hinders_nobody(tmp_path: Path) -> None:
    def fail(account_id: AccountId, used: Usage) -> None:
        raise ValueError(account_id)

    with House(tmp_path) as house:
        events: list[MailboxEvent] = []
        house.append()
        house.store.watch(house.box(), events.append)
        stop = house.store.quota.watch_filling(fail)
        bound(house, messages=2)
        house.deliver("1", ALICE)
        house.pump.until(lambda: events)
        stop()


def test_counters_are_exact_whatever_happens(tmp_path: Path) -> None:
    """A model that only sums up agrees after each of many random operations."""
    random = Random(1)
    boxes = ["INBOX", "Trash", "Sent"]
    kept: dict[str, dict[int, int]] = {name: {} for name in boxes}
    most = 40 * SIZE

    def total() -> Usage:
        sizes = [size for box in kept.values() for size in box.values()]
        return Usage(sum(sizes), len(sizes), Quota(most, 60))

    def some(name: str) -> Ranges:
        low = random.randint(1, 40)
        return ((low, low + random.randint(0, 20)),)

    def among(name: str, uids: Ranges) -> dict[int, int]:
        return {u: s for u, s in kept[name].items() if uids[0][0] <= u <= uids[0][1]}

    with House(tmp_path) as house:
        bound(house, octets=most, messages=60)
        for number in range(250):
            name, other = random.sample(boxes, 2)
            before = total()
            text = MESSAGE + b"x" * random.randint(0, 3 * SIZE)
            match random.choice(["deliver", "append", "copy", "move", "expunge", "delete"]):
                case "deliver":
                    fits = before.has_room_for(len(delivered(text)))
                    try:
                        house.deliver(f"{number}", ALICE, octets=text)
                    except OverQuota:
                        assert not fits
                    else:
                        assert fits
                        kept["INBOX"][house.uids()[-1]] = len(delivered(text))
                case "append":
                    fits = before.has_room_for(2 * len(text), 2)
                    try:
                        result = house.append(name, text, text)
                    except OverQuota:
                        assert not fits
                    else:
                        assert fits
                        kept[name] |= dict.fromkeys(result.uids, len(text))
                case "copy" | "move" as what:
                    uids = some(name)
                    chosen = among(name, uids)
                    move = what == "move"
                    fits = move or before.has_room_for(sum(chosen.values()), len(chosen))
                    try:
                        copied = house.wait(
                            house.store.copy(house.box(name=name), uids, ALICE, other, move=move)
                        )
                    except OverQuota:
                        assert not fits
                    else:
                        assert fits or not chosen
                        for old, new in zip(copied.source_uids, copied.uids, strict=True):
                            kept[other][new] = kept[name][old]
                            if move:
                                del kept[name][old]
                case "expunge":
                    uids = some(name)
                    house.wait(house.store.expunge(house.box(name=name), uids, only_deleted=False))
                    for uid in among(name, uids):
                        del kept[name][uid]
                case "delete" if name != "INBOX" and random.random() < 0.3:
                    house.wait(house.store.delete_mailbox(ALICE, name))
                    house.wait(house.store.create_mailbox(ALICE, name))
                    kept[name] = {}
            assert usage(house) == total()
    house.verify()


def test_renaming_inbox_and_having_mail_back_need_no_room(tmp_path: Path) -> None:
    with House(tmp_path, keep_deleted_s=86_400) as house:
        house.append("INBOX", MESSAGE, MESSAGE)
        bound(house, messages=2)
        house.wait(house.store.rename_mailbox(ALICE, "INBOX", "Old"))
        assert usage(house).messages == 2
        house.wait(house.store.expunge(house.box(name="Old"), ((1, 1),), only_deleted=False))
        house.deliver("1", ALICE)
        deleted = house.wait(house.store.vault.deleted(ALICE))
        wanted = [one.vault_id for one in deleted]
        assert house.wait(house.store.vault.undelete(ALICE, wanted)) == 1
        assert usage(house).messages == 3
        with pytest.raises(OverQuota):
            house.deliver("2", ALICE)
    house.verify()
