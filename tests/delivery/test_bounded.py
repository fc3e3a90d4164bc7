"""What is remembered of other servers stays bounded, whatever they send."""

from __future__ import annotations

from gateway.delivery.bounded import Bounded
from gateway.delivery.dns.answers import Answer, Found, MailExchanger, octets_of


def test_number_and_octets_are_bounds() -> None:
    kept: Bounded[int, bytes | None] = Bounded(3, 100, lambda each: len(each or b""))
    for number in range(5):
        kept.put(number, b"x")
    assert [number for number in range(5) if number in kept] == [2, 3, 4]
    kept.put(2, b"y" * 98)
    kept.put(3, None)
    assert [number for number in range(5) if number in kept] == [2, 3, 4]
    kept.put(4, b"z" * 3)
    assert [number for number in range(5) if number in kept] == [3, 4], "the oldest made room"
    kept.put(5, b"w" * 1000)
    assert len(kept) == 1 and kept.get(5), "the newest stays, whatever it takes"
    for number in range(100):
        kept.put(number, b"v" * 60)
        kept.put(number, b"v" * 40)
    assert len(kept) == 2 and kept.get(99) == b"v" * 40 and kept.get(0) is None


def test_N6_long_answers_count_for_more() -> None:
    short = Answer(Found.NO_DATA, "a.example")
    for long in (
        Answer(Found.RECORDS, "a.example", octets=(b"x" * 60_000,)),
        Answer(Found.RECORDS, "a.example", texts=("2001:db8::1",) * 1000),
        Answer(Found.RECORDS, "a.example", (), (MailExchanger(1, "x" * 200),) * 200),
    ):
        assert octets_of(long) > 100 * octets_of(short)
