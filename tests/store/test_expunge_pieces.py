"""Expunging many messages: in pieces, between which others are served, and each of them once."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.errors import StoreUnavailable
from gateway.store import messages
from tests.store.house import ALICE, BOB, EVERY, House

DELETED = frozenset({"\\Deleted"})


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "EXPUNGE_PIECE", 4)


@pytest.mark.parametrize("keep_s", [0, 3600])
@pytest.mark.parametrize("only_deleted", [False, True])
@pytest.mark.parametrize(
    "uids",
    [
        None,
        ((1, 30),),
        ((1, 4), (6, 9)),
        ((5, 5),),
        tuple((uid, uid) for uid in range(1, 30, 2)),
        ((2, 3), (25, 4_000_000_000)),
    ],
)
def test_what_is_named_goes_and_nothing_else(
    uids: tuple[tuple[int, int], ...] | None, only_deleted: bool, keep_s: int, tmp_path: Path
) -> None:
    with House(tmp_path, keep_deleted_s=keep_s) as house:
        house.append("INBOX", *[b"%d" % number for number in range(30)])
        box = house.box()
        house.wait(house.store.expunge(box, ((7, 8),), only_deleted=False))
        marked = ((1, 3), (6, 20), (29, 29))
        house.wait(house.store.store_flags(box, marked, "add", DELETED))
        before = set(house.uids())
        named = {uid for uid in before if any(low <= uid <= high for low, high in uids or EVERY)}
        if only_deleted:
            named &= {uid for low, high in marked for uid in range(low, high + 1)}
        gone = house.wait(house.store.expunge(box, uids, only_deleted=only_deleted))
        assert gone == tuple(sorted(named))
        assert set(house.uids()) == before - named
        house.verify()


def test_I7_others_are_served_between_the_pieces(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append("INBOX", *[b"x"] * 40)
        house.deliver("0", BOB)
        done: list[str] = []
        house.store.watch(house.box(), lambda _: done.append("piece"))
        expunging = house.pump.start(house.store.expunge(house.box(), None, only_deleted=False))
        house.start("1", BOB).addCallback(lambda _: done.append("delivery"))
        house.pump.wait_for(expunging)
        assert "delivery" in done[:3]
        assert done.count("piece") == 10
        house.verify()


def test_it_goes_on_when_nobody_waits_any_more(tmp_path: Path) -> None:
    """A POP3 client that closes right after QUIT has deleted all the same."""
    with House(tmp_path) as house:
        house.append("INBOX", *[b"x"] * 40)
        expunging = house.pump.start(house.store.expunge(house.box(), None, only_deleted=False))
        expunging.addErrback(lambda _: None)
        expunging.cancel()
        house.pump.until(lambda: house.find().highest_modseq >= 12)
        assert house.uids() == []
        house.verify()


def test_a_mailbox_deleted_between_two_pieces_is_no_error(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.wait(house.store.create_mailbox(ALICE, "work"))
        house.append("work", *[b"x"] * 12)
        box = house.box(name="work")
        expunging = house.pump.start(house.store.expunge(box, None, only_deleted=False))
        deleting = house.pump.start(house.store.delete_mailbox(ALICE, "work"))
        house.pump.wait_for(deleting)
        assert len(house.pump.wait_for(expunging)) <= 12
        house.verify()


def test_closing_the_store_meanwhile_is_told(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.append("INBOX", *[b"x"] * 40)
    expunging = house.pump.start(house.store.expunge(house.box(), None, only_deleted=False))
    house.wait(house.store.close())
    with pytest.raises(StoreUnavailable):
        house.pump.wait_for(expunging)
    with House(tmp_path) as again:
        assert 0 < len(again.uids()) < 40
        again.verify()
