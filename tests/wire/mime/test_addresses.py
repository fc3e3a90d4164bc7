"""Address lists (RFC 5322 section 3.4 and appendix A, and what senders make of them)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.mime.addresses import GROUP_END, MailAddress, parse_addresses

Plain = tuple[bytes | None, bytes | None, bytes | None, bytes | None]
END: Plain = (None, None, None, None)


def parse(value: bytes) -> list[Plain]:
    return [(one.name, one.route, one.mailbox, one.host) for one in parse_addresses(value, 1000)]


def bare(mailbox: bytes, host: bytes) -> Plain:
    return (None, None, mailbox, host)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"john@example.com", [bare(b"john", b"example.com")]),
        (b"John Doe <john@example.com>", [(b"John Doe", None, b"john", b"example.com")]),
        # RFC 5322 appendix A.1.2
        (
            b"Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>, <boss@nil.test>,"
            b' "Giant; \\"Big\\" Box" <sysservices@example.net>',
            [
                (b"Mary Smith", None, b"mary", b"x.test"),
                bare(b"jdoe", b"example.org"),
                (b"Who?", None, b"one", b"y.test"),
                bare(b"boss", b"nil.test"),
                (b'Giant; "Big" Box', None, b"sysservices", b"example.net"),
            ],
        ),
        # appendix A.1.3
        (
            b"A Group:Ed Jones <joe@where.test>,john@one.test;, undisclosed recipients:;",
            [
                (None, None, b"A Group", None),
                (b"Ed Jones", None, b"joe", b"where.test"),
                bare(b"john", b"one.test"),
                END,
                (None, None, b"undisclosed recipients", None),
                END,
            ],
        ),
        # appendix A.5 and A.6.1
        (
            b"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
            [(b"Pete", None, b"pete", b"silly.test")],
        ),
        (
            b"Joe Q. Public <john.q.public@example.com>, <@node.test,@other.test:mary@example.net>",
            [
                (b"Joe Q. Public", None, b"john.q.public", b"example.com"),
                (None, b"@node.test,@other.test", b"mary", b"example.net"),
            ],
        ),
        (b"jdoe@test  . example", [bare(b"jdoe", b"test.example")]),
        (b"john@example.com (John Doe)", [(b"John Doe", None, b"john", b"example.com")]),
        (b'"john doe"@example.com', [bare(b"john doe", b"example.com")]),
        (b'"."@x, "@"@x, " "@x', [bare(b".", b"x"), bare(b"@", b"x"), bare(b" ", b"x")]),
        (b"john@[192.0.2.1]", [bare(b"john", b"[192.0.2.1]")]),
        (b"=?utf-8?q?J=C3=BCrgen?= <j@x>", [(b"=?utf-8?q?J=C3=BCrgen?=", None, b"j", b"x")]),
        (b"J\xfcrgen <j@x>", [(b"J\xfcrgen", None, b"j", b"x")]),
    ],
)
def test_addresses_of_the_standard(value: bytes, expected: list[Plain]) -> None:
    assert parse(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", []),
        (b" , ,, ", []),
        (b"<>", []),
        (b'""', []),
        (b"(mailbox in US-ASCII)", []),
        (b"unlisted:; (no To-header on input)", [(None, None, b"unlisted", None), END]),
        (b"Nobody <>", [(b"Nobody", None, b"", b"")]),
        (b"root", [bare(b"root", b"")]),
        (b"@example.com", [bare(b"", b"example.com")]),
        (b"a@b; c@d", [bare(b"a", b"b"), bare(b"c", b"d")]),
        (b"a@b <a@b>", [(b"a@b", None, b"a", b"b")]),
        (b"<a@b> <c@d>", [bare(b"a", b"b"), bare(b"c", b"d")]),
        (b"<a@b, c@d", [bare(b"a", b"b"), bare(b"c", b"d")]),
        (b"John Doe john@x", [(b"John Doe", None, b"john", b"x")]),
        (b'"unclosed <a@b>', [(b'"unclosed', None, b"a", b"b")]),
        (b"(unclosed <a@b>", [(b"(unclosed", None, b"a", b"b")]),
        (b"a@b@c", [bare(b"a@b", b"c")]),
        (b"grp: a@b", [(None, None, b"grp", None), bare(b"a", b"b"), END]),
        (
            b"g: h: a@b;",
            [(None, None, b"g", None), END, (None, None, b"h", None)] + [bare(b"a", b"b"), END],
        ),
        (b"\\", []),
    ],
)
def test_M5_garbage_is_shown_as_it_is(value: bytes, expected: list[Plain]) -> None:
    assert parse(value) == expected


def test_F5_the_limit_holds_and_leaves_no_group_open() -> None:
    assert len(parse_addresses(b"a@b, " * 20_000, 2_000)) == 2_000
    value = b"x@y, g: a@b, c@d; e@f"
    first = MailAddress(None, None, b"x", b"y")
    group = MailAddress(None, None, b"g", None)
    member = MailAddress(None, None, b"a", b"b")
    assert parse_addresses(value, 0) == []
    assert parse_addresses(value, 1) == [first]
    assert parse_addresses(value, 2) == [first]
    assert parse_addresses(value, 3) == [first, group, GROUP_END]
    assert parse_addresses(value, 4) == [first, group, member, GROUP_END]


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(list(b'a @<>,:;."\\()[] \t\xff\0')), max_size=30), st.integers(0, 9)
)
def test_any_value_gives_entries_and_balanced_groups(octets: list[int], limit: int) -> None:
    entries = parse_addresses(bytes(octets), limit)
    assert len(entries) <= limit
    marks = [entry.mailbox is not None for entry in entries if entry.host is None]
    assert marks == [True, False] * (len(marks) // 2)
