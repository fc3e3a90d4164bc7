"""The gateway's IMAP and Dovecot's say the same about the same messages.

Compared by meaning, after ``tests.support.imap_compare``; what differs for a reason is listed in
``dovecot_deviations``.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

import pytest

from tests.support import imap_compare
from tests.support.corpus import all_files, crlf
from tests.support.dovecot import dovecot
from tests.support.gateway_process import Demo
from tests.support.imap_talk import ImapTalk, Refused, Value
from tests.support.mail import BOB
from tests.system.dovecot_deviations import (
    DEVIATIONS,
    ENVELOPES,
    HEADERS,
    PARTS,
    STRUCTURES,
    deviating,
)

MAX_PARTS = 40

_FLAGS = (
    rb"()",
    rb"(\Seen)",
    rb"(\Flagged Work)",
    rb"(\Answered \Seen)",
    rb"(\Draft \Flagged)",
    rb"(\Deleted $Junk)",
)


class Both(NamedTuple):
    """A session with each server, in a mailbox with the same messages, and their names."""

    ours: ImapTalk
    theirs: ImapTalk
    names: Sequence[str]

    def fetch(self, items: bytes) -> Iterator[tuple[str, dict[bytes, Value], dict[bytes, Value]]]:
        """Each message's name with both answers."""
        ours, theirs = (one.fetch(b"1:*", items) for one in self[:2])
        assert len(ours) == len(theirs) == len(self.names)
        for number, name in enumerate(self.names, 1):
            assert ours[number].keys() == theirs[number].keys()
            yield name, ours[number], theirs[number]


@pytest.fixture(scope="module")
def both(demo: Demo) -> Iterator[Both]:
    with socket.create_connection(("127.0.0.1", demo.port(143)), 60) as connection:
        with connection.makefile("rwb") as stream, dovecot() as theirs:
            ours = ImapTalk(stream, stream)
            ours.do(b"LOGIN %b %b" % (BOB[0].encode(), BOB[1].encode()))
            names = _fill(ours, theirs)
            yield Both(ours, theirs, names)
            ours.do(b"LOGOUT")


def _fill(*servers: ImapTalk) -> list[str]:
    """The same messages with the same flags and dates for all."""
    names: list[str] = []
    for server in servers:
        server.do(b"CREATE Compared")
    for path in all_files():
        message = crlf(path.read_bytes())
        if b"\0" in message:  # IMAP has no way to send it (RFC 3501 section 9, CHAR8)
            continue
        number = len(names)
        day = date(2024, 1, 1) + timedelta(days=number // 10)
        when = b"%b %02d:30:00 +0000" % (day.strftime("%d-%b-%Y").encode(), number % 24)
        head = b'APPEND Compared %b "%b" ' % (_FLAGS[number % len(_FLAGS)], when)
        for server in servers:
            server.do(head + b"%b", message)
        names.append(path.stem)
    for server in servers:
        server.do(b"SELECT Compared")
    assert len(names) >= 30
    return names


def compare(
    both: Both, aspect: str, items: bytes, meaning: Callable[[bytes, Value], object]
) -> None:
    known = deviating(aspect)
    different = [
        (name, item, meaning(item, ours[item]), meaning(item, theirs[item]))
        for name, ours, theirs in both.fetch(items)
        if name not in known
        for item in ours
        if meaning(item, ours[item]) != meaning(item, theirs[item])
    ]
    assert different == []


def test_octets_sizes_flags_and_dates(both: Both) -> None:
    def meaning(item: bytes, value: Value) -> object:
        if item == b"INTERNALDATE":
            return imap_compare.date(value)
        if item == b"FLAGS":
            return {imap_compare.text(flag) for flag in imap_compare.items(value)}
        return value

    items = b"BODY.PEEK[] RFC822.SIZE FLAGS INTERNALDATE UID BODY.PEEK[]<10.100>"
    compare(both, "", items + b" BODY.PEEK[]<99999999.5>", meaning)


def test_headers_and_texts(both: Both) -> None:
    compare(
        both,
        HEADERS,
        b"BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[TEXT]<5.7> RFC822.HEADER"
        b" BODY.PEEK[HEADER.FIELDS (From To subject X-None content-type)]"
        b" BODY.PEEK[HEADER.FIELDS (Received)]<3.20>"
        b" BODY.PEEK[HEADER.FIELDS.NOT (Received From To)]",
        lambda _, value: value,
    )


def test_envelopes(both: Both) -> None:
    compare(both, ENVELOPES, b"ENVELOPE", lambda _, value: imap_compare.envelope(value))


def test_structures(both: Both) -> None:
    compare(both, STRUCTURES, b"BODY BODYSTRUCTURE", lambda _, value: imap_compare.body(value))


def test_parts(both: Both) -> None:
    """Every part by number: body, MIME header, partial; header and text of messages in messages."""
    known = deviating(PARTS)
    different: list[object] = []
    compared = 0
    for number, (name, ours, theirs) in enumerate(both.fetch(b"BODY"), 1):
        if name in known:
            continue
        paths = list(imap_compare.part_paths(ours[b"BODY"]))
        assert paths == list(imap_compare.part_paths(theirs[b"BODY"])), name
        items = " ".join(_sections(path, message) for path, message in paths[:MAX_PARTS]).encode()
        (found,), (expected,) = (
            one.fetch(b"%d" % number, items).values() for one in (both.ours, both.theirs)
        )
        compared += len(found)
        different += [
            (name, item, found.get(item), expected.get(item))
            for item in found.keys() | expected.keys()
            # A section that a message does not have is NIL here and empty there.
            if (found.get(item) or b"") != (expected.get(item) or b"")
        ]
    assert different == []
    assert compared > 100


def _sections(path: str, is_message: bool) -> str:
    names = ["", ".MIME"]
    if is_message:
        names += [".HEADER", ".TEXT", ".HEADER.FIELDS (From Subject)"]
    sections = " ".join(f"BODY.PEEK[{path}{name}]" for name in names)
    return f"{sections} BODY.PEEK[{path}]<3.9> BODY.PEEK[{path}.99]"


_SAME_SEARCHES = (
    *("ALL", "SEEN", "UNSEEN", "ANSWERED", "UNANSWERED", "FLAGGED", "DELETED", "UNDELETED"),
    *("DRAFT", "UNDRAFT", "RECENT", "NEW", "OLD"),
    "FLAGGED UNDELETED",
    "KEYWORD Work",
    "KEYWORD work",
    "UNKEYWORD Work",
    "KEYWORD Nowhere",
    "BEFORE 10-Jan-2024",
    "ON 2-Jan-2024",
    'SINCE "03-jan-2024"',
    "LARGER 10000",
    "SMALLER 500",
    "NOT LARGER 1000",
    "1:10,20:*",
    "*",
    "NOT 1:30",
    "UID 3:7,25:*",
    "UID 99999:*",
    "OR SEEN (FLAGGED DRAFT)",
    "OR OR ANSWERED SEEN NOT SMALLER 2000",
    "NOT (SEEN NOT FLAGGED)",
    "NOT NOT SEEN",
    "UID SEARCH SEEN",
    "UID SEARCH UID 5:1",
    "FROM example",
    'FROM "ALICE"',
    "TO bob",
    "CC example",
    'BCC ""',
    "SUBJECT test",
    'SUBJECT "re:"',
    "HEADER X-Mailer outlook",
    "HEADER Received localhost",
    'HEADER List-Id ""',
    'TEXT "postfix"',
    'TEXT "Subject: "',
    'BODY ""',
    "CHARSET UTF-8 SUBJECT gr\N{LATIN SMALL LETTER U WITH DIAERESIS}",
    "CHARSET UTF-8 FROM \N{LATIN SMALL LETTER E WITH ACUTE}",
)


def test_searches(both: Both) -> None:
    for keys in _SAME_SEARCHES:
        ours, theirs = (_search(one, keys) for one in both[:2])
        assert ours == theirs, keys


def _search(server: ImapTalk, keys: str) -> list[int]:
    """Text that is not ASCII goes as a literal: not every server takes it between quotes."""
    if keys.isascii():
        return server.search(keys.encode())
    words, _, text = keys.rpartition(" ")
    return server.search(words.encode() + b" %b", text.encode())


@pytest.mark.parametrize(
    "keys",
    [
        "SENTON 5-Jan-2026",
        "SENTSINCE 1-Jan-2010",
        # Dovecot takes a message without a Date for one of 1970.
        "HEADER Date 0 SENTBEFORE 1-Jan-2005",
        'SUBJECT ""',
        'HEADER Message-ID ""',
        "HEADER Content-Type multipart",
    ],
)
def test_searches_in_headers_that_both_read_alike(both: Both, keys: str) -> None:
    # Headers that end elsewhere; dates before 1970, without a comma, or that cannot be read.
    dates = {"imap_tools-0090", "imap_tools-0096", "sisimai-0470", "stalwart-0182"}
    known = deviating(HEADERS) | dates
    ours, theirs = (_search(one, keys) for one in both[:2])
    different = {both.names[number - 1] for number in set(ours) ^ set(theirs)}
    assert different - known == set()


def test_words_in_bodies(both: Both) -> None:
    """What Dovecot finds in decoded text is found here; here reports are read as well."""
    for word in ("hello", "attached", "localhost", "neko"):
        ours, theirs = (set(_search(one, f"BODY {word}")) for one in both[:2])
        assert theirs <= ours, word


def test_refusals(both: Both) -> None:
    """What one does not understand, the other does not either."""
    for command in (
        b"FETCH 1 BODY[MIME]",
        b"FETCH 0 FLAGS",
        b"FETCH 1 (FLAGS",
        b"FETCH 1 NONSENSE",
        b"SEARCH NONSENSE",
        b"SEARCH BEFORE 99-Xxx-2020",
        b"SEARCH CHARSET X-NONE ALL",
        b"STORE 1 FLAGS (\\Nonsense)",
        b"SELECT Nowhere",
        b"COPY 1 Nowhere",
        b"NONSENSE",
    ):
        for server in both[:2]:
            with pytest.raises(Refused):
                server.do(command)
        for server in both[:2]:
            server.do(b"SELECT Compared")


def test_every_deviation_is_a_message_once_a_group() -> None:
    for one in DEVIATIONS:
        names = one.names.split()
        assert len(set(names)) == len(names), one.reason
