"""Search keys over real messages, each against the answer worked out by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from datetime import date
from pathlib import Path
from typing import TypeVar

import pytest

from gateway.core.ids import AccountId
from gateway.core.search import (
    All,
    And,
    DateIs,
    HasFlag,
    HeaderHas,
    Not,
    Or,
    SearchKey,
    SizeIs,
    TextHas,
    UidIn,
)
from tests.store.house import ALICE, House

pytestmark = pytest.mark.usefixtures("processes")

T = TypeVar("T")

DAY = 86_400
EPOCH = date(1970, 1, 1).toordinal()


def made(subject: str, sent: str, text: str) -> bytes:
    head = f"From: Ann <ann@example.test>\r\nSubject: {subject}\r\n"
    if sent:
        head += f"Date: {sent}\r\n"
    return (head + "Content-Type: text/plain; charset=utf-8\r\n\r\n" + text).encode()


# uid: 1 flagged, 2 seen + keyword, 3 plain, 4 large, 5 no header at all
MESSAGES = [
    (made("Hello World", "Mon, 1 Jan 2024 23:30:00 -0500", "first text\r\n"), ["\\Flagged"], 10),
    (made("=?utf-8?b?R3LDvMOfZQ==?=", "Tue, 2 Jan 2024 00:10:00 +0900", "Zweiter\r\n"),
     ["\\Seen", "Work"], 11),
    (made("third", "", "=41 straße\r\n"), [], 12),
    (made("fourth", "not a date", "x" * 1_500_000 + "needle\r\n"), ["\\Seen"], 13),
    (b"", [], 14),
]  # fmt: skip


def day(year: int, month: int, number: int) -> int:
    return date(year, month, number).toordinal()


KEYS: list[tuple[SearchKey, list[int]]] = [
    (All(), [1, 2, 3, 4, 5]),
    (UidIn(((2, 3), (5, 2**32 - 1))), [2, 3, 5]),
    (UidIn(()), []),
    (UidIn(tuple((uid, uid) for uid in range(1, 200, 2))), [1, 3, 5]),
    (HasFlag("\\Seen"), [2, 4]),
    (HasFlag("\\flagged"), [1]),
    (HasFlag("work"), [2]),
    (Not(HasFlag("WORK")), [1, 3, 4, 5]),
    (Not(HasFlag("\\Seen")), [1, 3, 5]),
    (SizeIs(">", 1_000_000), [4]),
    (SizeIs("<", 1), [5]),
    (SizeIs("<", 2**70), [1, 2, 3, 4, 5]),
    (DateIs("internal", "=", EPOCH + 11), [2]),
    (DateIs("internal", "<", EPOCH + 12), [1, 2]),
    (DateIs("internal", ">=", EPOCH + 12), [3, 4, 5]),
    (DateIs("sent", "=", day(2024, 1, 1)), [1]),  # the header's own day, not UTC's
    (DateIs("sent", "=", day(2024, 1, 2)), [2]),
    (DateIs("sent", "<", day(2024, 1, 3)), [1, 2]),
    (DateIs("sent", ">=", day(2024, 1, 2)), [2]),
    (HeaderHas("subject", "hello w"), [1]),
    (HeaderHas("Subject", "GRÜSSE"), [2]),
    (HeaderHas("date", ""), [1, 2, 4]),
    (HeaderHas("x-none", ""), []),
    (TextHas("FIRST", False), [1]),
    (TextHas("hello", False), []),
    (TextHas("hello", True), [1]),
    (TextHas("STRASSE", False), [3]),
    (TextHas("needle", True), [4]),
    (And((HasFlag("\\Seen"), TextHas("needle", False))), [4]),
    (And(()), [1, 2, 3, 4, 5]),
    (Or(HasFlag("\\Flagged"), HeaderHas("subject", "third")), [1, 3]),
    (Not(Or(HasFlag("\\Seen"), TextHas("first", False))), [3, 5]),
    (Not(And((HasFlag("\\Seen"), Not(HasFlag("work"))))), [1, 2, 3, 5]),
    (Or(And((SizeIs(">", 1_000_000), DateIs("internal", "=", EPOCH + 13))),
        And((UidIn(((1, 1),)), DateIs("internal", "<", EPOCH + 11), All()))), [1, 4]),
    (Not(And((SizeIs(">", 5), UidIn(((1, 3),)), DateIs("internal", ">=", EPOCH),
              HeaderHas("subject", "")))), [4, 5]),
    (And((Or(SizeIs("<", 10), HasFlag("nothing")), Not(All()))), []),
]  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("search")) as house:
        for octets, flags, number in MESSAGES:
            house.append("INBOX", octets, flags=flags, date=number * DAY + 5)
        yield house


@pytest.mark.parametrize(("key", "expected"), KEYS, ids=lambda value: repr(value)[:60])
def test_search(key: SearchKey, expected: list[int], house: House) -> None:
    assert house.wait(house.store.search(house.box(), key)) == expected


def test_a_damaged_message_does_not_match_and_does_not_end_the_search(tmp_path: Path) -> None:
    with House(tmp_path, roll_octets=1) as house:
        house.append()
        house.append()
        (tmp_path / "store/segments/0000000001.seg").unlink()
        assert house.wait(house.store.search(house.box(), TextHas("text", True))) == [2]


def test_long_mailboxes_are_searched_in_batches(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        account = AccountId("many")
        octets = [made(f"number {number}", "", "") for number in range(1100)]
        house.append("INBOX", *octets, account=account)
        box = house.box(account)
        assert house.wait(house.store.search(box, HeaderHas("subject", "99"))) == [
            number + 1 for number in range(1100) if "99" in str(number)
        ]


def test_others_are_served_while_a_search_goes_on(tmp_path: Path) -> None:
    with House(tmp_path, reader_threads=1) as house:
        texts = [made(f"number {n}", "", "needle" if n % 50 == 0 else "hay") for n in range(250)]
        result = house.append("INBOX", *texts)
        mailbox = house.wait(house.store.find_mailbox(ALICE, "INBOX"))
        ended: list[str] = []

        async def noted(name: str, work: Awaitable[T]) -> T:
            result = await work
            ended.append(name)
            return result

        key = TextHas("needle", with_header=False)
        search = house.pump.start(noted("search", house.store.search(mailbox.mailbox_id, key)))
        other = house.pump.start(noted("other", house.store.status(ALICE, "INBOX")))
        found = house.pump.wait_for(search)
        house.pump.wait_for(other)
        assert ended == ["other", "search"]
        assert found == [result.uids[n] for n in range(0, 250, 50)]
