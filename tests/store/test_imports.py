"""Mailboxes that move in: once each, with their UIDs while those mean what they meant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from gateway.core.errors import MailboxNameRefused
from gateway.core.ids import AccountId
from gateway.core.messages import Flags
from gateway.core.quota import Quota
from gateway.core.transfer import Imported, ImportedMessage, ImportSource
from gateway.store.store import Store
from tests.store.house import ALICE, LARGE, MESSAGE, NOW, House
from tests.support.pump import Pump

pytestmark = pytest.mark.usefixtures("processes")

SOURCE = ImportSource("imap://alice@old.example.test", "INBOX")
OTHER = ImportSource("maildir:/old/alice", "INBOX")
THEIRS = 1_100_000_000


def incoming(
    house: House,
    key: str,
    uid: int = 0,
    *,
    octets: bytes = MESSAGE,
    flags: Sequence[str] = (),
    uidl: str = "",
) -> ImportedMessage:
    return ImportedMessage(key, house.body(octets), Flags(flags), NOW - 5, uid, uidl)


def bring(
    house: House,
    *uids: int,
    name: str = "INBOX",
    source: ImportSource = SOURCE,
    uid_validity: int = THEIRS,
    uid_next: int = 0,
) -> Imported:
    """Messages whose keys are their UIDs."""
    messages = [incoming(house, f"k{uid}", uid) for uid in uids]
    return house.wait(
        house.store.imports.import_messages(
            ALICE, name, source, messages, uid_validity=uid_validity, uid_next=uid_next
        )
    )


def test_messages_come_with_flags_and_dates_and_make_their_mailbox(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        brought = house.wait(
            house.store.imports.import_messages(
                ALICE,
                "Work/2003",
                SOURCE,
                [
                    incoming(house, "a", flags=("\\Seen", "$Forwarded")),
                    incoming(house, "b", octets=LARGE),
                ],
            )
        )
        assert brought.uids == (1, 2)
        assert brought.kept_uids
        rows = house.rows(name="Work/2003")
        assert [row.flags for row in rows] == [{"\\Seen", "$Forwarded"}, frozenset()]
        assert [row.internal_date for row in rows] == [NOW - 5] * 2
        assert house.contents(name="Work/2003") == [MESSAGE, LARGE]
        status = house.wait(house.store.status(ALICE, "Work/2003"))
        assert (status.messages, status.unseen, status.recent) == (2, 1, 0)
        house.verify()


def test_a_key_is_imported_once_however_often_it_comes(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        add = house.store.imports.import_messages
        first = [incoming(house, "a"), incoming(house, "a", octets=LARGE), incoming(house, "b")]
        assert house.wait(add(ALICE, "INBOX", SOURCE, first)).uids == (1, None, 2)
        again = [incoming(house, "b", octets=LARGE), incoming(house, "c")]
        assert house.wait(add(ALICE, "INBOX", SOURCE, again)).uids == (None, 3)
        # Another folder's keys are others.
        assert house.wait(add(ALICE, "INBOX", OTHER, [incoming(house, "a")])).uids == (4,)
        keys = house.wait(house.store.imports.imported_keys(ALICE, SOURCE))
        assert keys == {"a", "b", "c"}
        house.verify()
        assert not list((tmp_path / "store" / "large").iterdir())


def test_a_deleted_message_does_not_come_back(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        bring(house, 1, 2)
        house.wait(house.store.expunge(house.box(), ((1, 1),), only_deleted=False))
        assert bring(house, 1, 2).uids == (None, None)
        assert house.uids() == [2]


def test_uids_and_uid_validity_are_taken_over(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        assert bring(house, 7, 9).uids == (7, 9)
        assert bring(house, 9, 12).uids == (None, 12)
        assert bring(house, uid_next=40).kept_uids
        assert bring(house, 41).uids == (41,)
        inbox = house.find()
        assert (inbox.uid_validity, inbox.uid_next) == (THEIRS, 42)
        # A client that remembers the old server's MODSEQ must not find ours older.
        assert inbox.highest_modseq > 2**40
        house.deliver("d", ALICE)
        assert house.uids() == [7, 9, 12, 41, 42]
        house.verify()


def test_an_empty_folder_is_taken_over_too(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        bring(house, name="Sent", uid_next=30)
        sent = house.find(name="Sent")
        assert (sent.uid_validity, sent.uid_next) == (THEIRS, 30)


def test_who_had_mail_here_already_gets_new_uids(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("d", ALICE)
        before = house.find().uid_validity
        brought = bring(house, 7, 9)
        assert brought.uids == (2, 3)
        assert not brought.kept_uids
        assert house.find().uid_validity == before


def test_an_emptied_mailbox_takes_over_what_lies_above(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("d", ALICE)
        house.wait(house.store.expunge(house.box(), None, only_deleted=False))
        assert bring(house, 2, 5).uids == (2, 5)
        assert house.find().uid_validity == THEIRS
        house.verify()


def test_a_delivery_between_two_runs_ends_the_keeping(tmp_path: Path) -> None:
    """UID 3 means the delivery here and another message there."""
    with House(tmp_path) as house:
        bring(house, 1, 2)
        house.deliver("d", ALICE)
        brought = bring(house, 1, 2, 3)
        assert brought.uids == (None, None, 4)
        assert not brought.kept_uids
        assert brought.uid_validity > THEIRS
        assert house.find().uid_validity == brought.uid_validity
        assert bring(house, 5).uid_validity == brought.uid_validity  # once is enough
        house.verify()


def test_what_is_numbered_here_stays_away_from_what_is_numbered_there(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        messages = [incoming(house, "a", 3), incoming(house, "b")]
        brought = house.wait(
            house.store.imports.import_messages(
                ALICE, "INBOX", SOURCE, messages, uid_validity=THEIRS, uid_next=8
            )
        )
        assert brought.uids == (3, 8)
        assert brought.kept_uids
        assert brought.uid_validity == THEIRS
        # There, 9 may be the message that is 8 here.
        assert bring(house, 9).uid_validity != THEIRS


@pytest.mark.parametrize(
    ("uids", "uid_validity"),
    [((5, 4), THEIRS), ((4, 4), THEIRS), ((4, 2**32 - 2), THEIRS), ((4, 5), 2**32 - 1), ((4,), 0)],
)
def test_uids_that_cannot_be_kept_are_not(
    tmp_path: Path, uids: tuple[int, ...], uid_validity: int
) -> None:
    with House(tmp_path) as house:
        messages = [incoming(house, f"k{index}", uid) for index, uid in enumerate(uids)]
        brought = house.wait(
            house.store.imports.import_messages(
                ALICE, "INBOX", SOURCE, messages, uid_validity=uid_validity
            )
        )
        assert brought.uids == tuple(range(1, len(uids) + 1))
        assert not brought.kept_uids
        assert house.find().uid_validity not in (0, THEIRS, 2**32 - 1)
        house.verify()


def test_two_mailboxes_never_share_a_uid_validity(tmp_path: Path) -> None:
    """RENAME would make one of them the other to a client."""
    with House(tmp_path) as house:
        assert bring(house, 4, name="Work").kept_uids
        assert not bring(house, 4, name="Play", source=OTHER).kept_uids
        assert bring(house, 9, name="Work").kept_uids


def test_a_uid_validity_taken_over_is_not_given_again(tmp_path: Path) -> None:
    ahead = 3_000_000_000
    with House(tmp_path) as house:
        bring(house, 4, name="Work", uid_validity=ahead)
        house.wait(house.store.delete_mailbox(ALICE, "Work"))
        made = house.wait(house.store.create_mailbox(ALICE, "Work"))
        assert made.uid_validity > ahead
        house.verify()


def test_pop3_names_are_kept_with_the_message(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        messages = [
            incoming(house, "a", uidl="000000014f3c"),
            incoming(house, "b", uidl="no\r\nname"),
            incoming(house, "c"),
        ]
        house.wait(house.store.imports.import_messages(ALICE, "INBOX", SOURCE, messages))
        rows = house.pump.wait_for(
            house.store._readers.run(
                lambda stored: stored.connection.execute("SELECT uid, uidl FROM uidls").fetchall()
            )
        )
        assert rows == [(1, "000000014f3c")]


def test_an_import_is_not_refused_for_quota(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.wait(house.store.quota.set_quota(ALICE, Quota(messages=1)))
        bring(house, 1, 2, 3)
        assert house.uids() == [1, 2, 3]
        assert house.wait(house.store.quota.usage(ALICE)).messages == 3


def test_a_refused_name_imports_nothing(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        with pytest.raises(MailboxNameRefused):
            bring(house, 1, name="a//b")
        assert not house.wait(house.store.imports.imported_keys(ALICE, SOURCE))


def test_a_process_that_dies_leaves_message_and_key_or_neither(tmp_path: Path) -> None:
    """The batch is one transaction: what a store opened afterwards has, it has whole."""
    with House(tmp_path) as house:
        bring(house, 1, 2)
        unfinished: Deferred[Imported] = house.pump.start(
            house.store.imports.import_messages(
                ALICE, "INBOX", SOURCE, [incoming(house, "k3", 3)], uid_validity=THEIRS
            )
        )
        assert not unfinished.called
    pump = Pump()
    store = Store.open(
        tmp_path, call_from_thread=pump.call_from_thread, wall_clock=lambda: float(NOW)
    )
    keys = pump.wait(store.imports.imported_keys(AccountId("a11ce"), SOURCE))
    selection = pump.wait(store.select(ALICE, "INBOX", claim_recent=False))
    assert {f"k{uid}" for uid in selection.uids} == keys
    pump.wait(store.close())
