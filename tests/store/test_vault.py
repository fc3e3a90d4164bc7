"""Deleted mail: kept for its time, had back whole, gone when the time is over or the disk full."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.core.errors import MailboxNameRefused, StoreFull
from gateway.core.ids import AccountId
from gateway.core.mailboxes import MailboxEvent
from gateway.core.vault import DeletedMessage
from gateway.store import reserve as reserving
from gateway.store import retention as retaining
from gateway.store import vault as vaulting
from tests.store.house import ALICE, BOB, EVERY, LARGE, MESSAGE, NOW, House, delivered
from tests.store.test_committer import FullIndex

DAY = 86_400
KEEP_S = 14 * DAY


def keeping(tmp_path: Path, keep_deleted_s: int = KEEP_S) -> House:
    return House(tmp_path, keep_deleted_s=keep_deleted_s)


def expunge(house: House, name: str = "INBOX", account: AccountId = ALICE) -> tuple[int, ...]:
    box = house.box(account, name)
    return house.wait(house.store.expunge(box, None, only_deleted=False))


def deleted(house: House, account: AccountId = ALICE, **which: object) -> list[DeletedMessage]:
    return list(house.wait(house.store.vault.deleted(account, **which)))  # type: ignore[arg-type]


def undelete(house: House, found: Sequence[DeletedMessage], into: str | None = None) -> int:
    ids = [message.vault_id for message in found]
    return house.wait(house.store.vault.undelete(ALICE, ids, into=into))


def files_of(house: House) -> list[str]:
    folder = house.state_dir / "store"
    return sorted(path.name for name in ("large", "segments") for path in (folder / name).iterdir())


def test_an_expunged_message_comes_back_as_it_was(tmp_path: Path) -> None:
    with keeping(tmp_path) as house:
        house.append(
            "INBOX", MESSAGE, LARGE, flags=("\\Deleted", "\\Seen", "$Label"), date=NOW - 99
        )
        before = house.rows()
        house.now += 10
        assert expunge(house) == (1, 2)
        assert house.rows() == []
        house.verify()

        second, first = deleted(house)
        assert (first.uid, second.uid) == (1, 2)
        assert first.mailbox_name == "INBOX"
        assert first.flags == {"\\Deleted", "\\Seen", "$Label"}
        assert first.internal_date == NOW - 99
        assert first.deleted_at == NOW + 10
        assert first.size_octets == len(MESSAGE)
        assert house.wait(house.store.read(first.blob_id, 0, first.size_octets)) == MESSAGE

        assert undelete(house, [first, second]) == 2
        assert deleted(house) == []
        after = house.rows()
        assert [row.uid for row in after] == [3, 4]
        assert [row.flags for row in after] == [{"\\Seen", "$Label"}] * 2
        assert [row.internal_date for row in after] == [NOW - 99] * 2
        assert [row.blob_id for row in after] == [row.blob_id for row in before]
        assert house.contents() == [MESSAGE, LARGE]
        house.verify()


def test_what_was_kept_survives_the_process_and_its_copy(tmp_path: Path) -> None:
    with keeping(tmp_path / "one") as house:
        house.append("INBOX", MESSAGE)
        expunge(house)
        shutil.copytree(tmp_path / "one", tmp_path / "two")  # as a power cut would leave it
    for place in ("one", "two"):
        with keeping(tmp_path / place) as house:
            house.verify()
            assert undelete(house, deleted(house)) == 1
            assert house.contents() == [MESSAGE]
            house.verify()


def test_open_sessions_see_it_arrive(tmp_path: Path) -> None:
    with keeping(tmp_path) as house:
        house.append("INBOX", MESSAGE, MESSAGE)
        expunge(house)
        box, modseq = house.box(), house.find().highest_modseq
        seen: list[MailboxEvent] = []
        house.store.watch(box, seen.append)
        undelete(house, deleted(house))
        assert [event.mailbox_id for event in seen] == [box]
        changes = house.wait(house.store.changes(box, modseq))
        assert [row.uid for row in changes.changed] == [3, 4]


def test_a_deleted_mailbox_is_made_again_with_those_above_it(tmp_path: Path) -> None:
    with keeping(tmp_path) as house:
        house.append()
        house.wait(house.store.create_mailbox(ALICE, "Work/2023/May"))
        house.append("Work/2023/May", b"one", b"two", flags=("$Later",))
        for name in ("Work/2023/May", "Work/2023", "Work"):
            house.wait(house.store.set_subscribed(ALICE, name, False))
            house.wait(house.store.delete_mailbox(ALICE, name))
        house.verify()
        found = deleted(house, mailbox="Work/2023/May")
        assert len(found) == 2
        assert undelete(house, found) == 2
        assert house.contents(ALICE, "Work/2023/May") == [b"one", b"two"]
        listed = house.wait(house.store.list_mailboxes(ALICE))
        names = [each.name for each in listed if each.exists]
        assert {"Work", "Work/2023", "Work/2023/May"} <= set(names)
        assert "Work/2023/May" in [each.name for each in listed if each.subscribed]
        house.verify()


def test_messages_of_many_mailboxes_go_where_they_lay_or_into_one(tmp_path: Path) -> None:
    with keeping(tmp_path) as house:
        for name, octets in (("Sent", b"s"), ("INBOX", b"i"), ("Archive", b"a")):
            house.append(name, octets)
            expunge(house, name)
        assert undelete(house, deleted(house, mailbox="inbox")) == 1
        assert house.contents() == [b"i"]
        assert undelete(house, deleted(house), into="Found/again") == 2
        assert house.contents(ALICE, "Found/again") == [b"a", b"s"]
        assert house.rows(ALICE, "Sent") == []
        with pytest.raises(MailboxNameRefused):
            undelete(house, [], into="a//b")
        house.verify()


def test_moved_messages_live_on_and_are_not_kept_twice(tmp_path: Path) -> None:
    with keeping(tmp_path) as house:
        house.append()
        house.wait(house.store.copy(house.box(), EVERY, ALICE, "Trash", move=True))
        house.append()
        house.wait(house.store.rename_mailbox(ALICE, "INBOX", "Old"))
        assert deleted(house) == []
        assert expunge(house, "Trash") == (1,)
        assert [message.mailbox_name for message in deleted(house)] == ["Trash"]
        house.verify()


def test_one_message_of_two_people_is_kept_for_each(tmp_path: Path) -> None:
    with keeping(tmp_path) as house:
        house.deliver("1", ALICE, BOB, octets=LARGE)
        expunge(house)
        expunge(house, account=BOB)
        house.verify()
        assert (
            house.wait(house.store.vault.undelete(ALICE, [m.vault_id for m in deleted(house, BOB)]))
            == 0
        )
        assert undelete(house, deleted(house)) == 1
        assert house.contents() == [delivered(LARGE)]
        house.now += KEEP_S + 3600
        house.deliver("2", ALICE)
        assert deleted(house, BOB) == []
        assert house.contents()[0] == delivered(LARGE)
        house.verify()


def test_nothing_comes_back_twice(tmp_path: Path) -> None:
    with keeping(tmp_path) as house:
        house.append()
        expunge(house)
        found = deleted(house)
        assert undelete(house, [*found, *found]) == 1
        assert undelete(house, found) == 0
        assert house.uids() == [2]


def test_many_come_back_in_several_transactions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vaulting, "UNDELETE_ROWS", 3)
    with keeping(tmp_path) as house:
        texts = [b"%d" % number for number in range(10)]
        house.append("INBOX", *texts)
        expunge(house)
        assert undelete(house, deleted(house)) == 10
        assert house.contents() == texts
        house.verify()


def test_without_retention_nothing_is_kept(tmp_path: Path) -> None:
    with keeping(tmp_path, 0) as house:
        house.append("INBOX", LARGE)
        expunge(house)
        assert deleted(house) == []
        house.deliver("next", ALICE)
        assert not [name for name in files_of(house) if not name.endswith(".seg")]
        house.verify()


def test_kept_mail_counts_to_no_quota(tmp_path: Path) -> None:
    with keeping(tmp_path) as house:
        house.append("INBOX", MESSAGE, MESSAGE)
        expunge(house)
        usage = house.wait(house.store.quota.usage(ALICE))
        assert (usage.octets, usage.messages) == (0, 0)
        undelete(house, deleted(house))
        usage = house.wait(house.store.quota.usage(ALICE))
        assert (usage.octets, usage.messages) == (2 * len(MESSAGE), 2)


def test_what_is_over_is_not_shown_and_frees_its_disk(tmp_path: Path) -> None:
    with keeping(tmp_path) as house:
        house.append("INBOX", LARGE)
        expunge(house)
        house.now += KEEP_S - 1
        assert len(deleted(house)) == 1
        assert deleted(house, since=NOW + 1) == []
        house.now += 1
        assert deleted(house) == []
        large = [name for name in files_of(house) if not name.endswith(".seg")]
        assert len(large) == 1
        house.deliver("the next write", ALICE)
        house.pump.until(lambda: large[0] not in files_of(house))
        house.verify()


def test_what_is_over_goes_in_bounded_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retaining, "EXPIRE_ROWS", 2)
    with keeping(tmp_path) as house:
        house.append("INBOX", *[MESSAGE] * 5)
        expunge(house)
        house.now += KEEP_S + 3600
        for number, left in enumerate((3, 1, 0)):
            house.deliver(str(number), ALICE)
            blobs = house.verify().blobs
            assert blobs == left + number + 1


def test_D6_a_full_disk_lets_go_of_the_oldest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retaining, "RELIEF_OCTETS", 1)
    with keeping(tmp_path) as house:
        for octets in (b"old", b"middle", b"new"):
            house.append("INBOX", octets)
            expunge(house)
            house.now += 60
        disk = FullIndex(house, monkeypatch)
        with pytest.raises(StoreFull):
            house.deliver("refused", ALICE)
        house.pump.until(lambda: len(deleted(house)) == 2)
        monkeypatch.setattr(reserving, "RESERVE_OCTETS", 0)
        disk.reserve._octets = 1 << 60
        with pytest.raises(StoreFull):
            house.deliver("refused so soon that compaction has not had its moment", ALICE)
        house.now += 60
        with pytest.raises(StoreFull):
            house.deliver("refused again", ALICE)
        house.pump.until(lambda: len(deleted(house)) == 1)
        assert house.wait(house.store.read(deleted(house)[0].blob_id, 0, 9)) == b"new"
        house.verify()


def test_D6_what_is_deleted_on_a_full_disk_makes_room_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with keeping(tmp_path) as house:
        house.append("INBOX", LARGE)
        disk = FullIndex(house, monkeypatch)
        assert expunge(house) == (1,)
        assert deleted(house) == []
        disk.full = False
        house.deliver("next", ALICE)
        house.pump.until(lambda: [name for name in files_of(house) if ".seg" not in name] == [])
        expunge(house)
        assert len(deleted(house)) == 1
        house.verify()


def test_D6_undeleting_on_a_full_disk_is_refused_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with keeping(tmp_path) as house:
        house.append()
        expunge(house)
        monkeypatch.setattr(retaining, "RELIEF_ROWS", 0)
        disk = FullIndex(house, monkeypatch)
        with pytest.raises(StoreFull):
            undelete(house, deleted(house))
        disk.full = False
        assert undelete(house, deleted(house)) == 1
        house.verify()
