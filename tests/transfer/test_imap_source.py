"""Other IMAP servers' ways: prefixes, special uses, refusals, and sizes that are not true."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest

from gateway.transfer import imap_source
from gateway.transfer.imap_connection import ImapConnection, ImapServer, Refused
from gateway.transfer.imap_folders import ImapOptions
from gateway.transfer.imap_replies import (
    Piece,
    ReplyNotUnderstood,
    fetched,
    replies_of,
    values_of,
)
from gateway.transfer.imap_source import ImapSource
from gateway.transfer.names import NameRules
from gateway.transfer.values import Item, Known, Message, SourceFailed, SourceFolder, Trouble

SERVER = ImapServer("localhost", 143, "bob", "secret", tls="none")


class OldServer(ImapConnection):
    """Answers as an old server does, without a network."""

    def __init__(self, messages: dict[int, bytes] | None = None) -> None:
        super().__init__(SERVER, lambda _: None)
        self.messages = messages or {}
        self.listed: list[Piece | None] = [rb'() "/" INBOX']
        self.namespaces: list[Piece | None] = []
        self.refused: set[int] = set()
        self.vanished: set[int] = set()
        self.claimed_size: int | None = None
        self.asked: list[tuple[str, str]] = []

    def connect(self) -> None:
        return

    def close(self) -> None:
        return

    def patiently(self, ask):  # type: ignore[no-untyped-def]
        return ask()

    def has(self, capability: str) -> bool:
        return capability == "NAMESPACE" and bool(self.namespaces)

    def list(self, what: str) -> Sequence[Piece | None]:
        return self.listed if what == "LIST" else self.listed[:1]

    def namespace(self) -> Sequence[Piece | None]:
        return self.namespaces

    def examine(self, name: bytes) -> tuple[int, int, int]:
        return len(self.messages), 77, max(self.messages, default=0) + 1

    def fetch(self, numbers: str, items: str, *, by_uid: bool) -> Sequence[Piece | None]:
        self.asked.append((numbers, items))
        return list(self._replies(numbers, items, by_uid))

    def _replies(self, numbers: str, items: str, by_uid: bool) -> Iterator[Piece]:
        chosen = set(self.messages)
        if by_uid:
            spans = [one.partition(":") for one in numbers.split(",")]
            chosen = {uid for uid in self.messages
                      for low, _, high in spans if int(low) <= uid <= int(high or low)}  # fmt: skip
        if by_uid and chosen & self.refused:
            raise Refused("[SERVERBUG] no")
        for number, uid in enumerate(sorted(chosen - (self.vanished if by_uid else set())), 1):
            octets = self.messages[uid]
            size = len(octets) if self.claimed_size is None else self.claimed_size
            piece = re.search(r"<(\d+)\.(\d+)>", items)
            if piece:
                start = int(piece[1])
                yield (
                    b"%d (UID %d BODY[]<%d> {1}" % (number, uid, start),
                    octets[start : start + int(piece[2])],
                )
                yield b")"
            elif "BODY" in items:
                yield b"%d (BODY[] {1}" % number, octets
                yield b" FLAGS () UID %d)" % uid
            else:
                yield (
                    b'%d (UID %d FLAGS (\\Recent \\seen Work) INTERNALDATE " 3-Feb-2003 10:00:00'
                    b' +0100" RFC822.SIZE %d)' % (number, uid, size)
                )


def folders(server: OldServer, options: ImapOptions | None = None) -> list[tuple[str, str]]:
    source = ImapSource(server, "imap://bob@old", options or ImapOptions(), NameRules({}))
    return [(one.folder, one.name) for one in source.folders() if isinstance(one, SourceFolder)]


def items(server: OldServer, *known: str, bodies: bool = True, flags: bool = False) -> list[Item]:
    source = ImapSource(server, "imap://bob@old", ImapOptions("%v.%u"), NameRules({}))
    with closing(source):
        (folder,) = source.folders()
        assert isinstance(folder, SourceFolder)
        opened = source.open(folder, frozenset(known), bodies=bodies, flags=flags)
        assert opened.total == len(server.messages)
        found: list[Item] = []
        for item in opened.items:
            if isinstance(item, Message) and bodies:
                octets = b"".join(item.chunks)
                assert octets == server.messages[item.uid]
            found.append(item)
        return found


def test_folders_lose_the_prefix_and_find_their_use() -> None:
    server = OldServer()
    server.namespaces = [b'(("INBOX." ".")) (("Other Users." ".")) (("#shared." "."))']
    server.listed = [
        rb'(\HasChildren) "." "INBOX"',
        (rb'(\Sent) "." {15}', b"INBOX.Versendet"),
        b"",
        rb'(\Noselect) "." INBOX.Group',
        rb'() "." INBOX.Group.Entw&APw-rfe',
        rb'() "." "INBOX.a \"b\" \\c"',
        rb'() "." "Other Users.carol"',
        rb'() "." "#shared.all"',
        rb'() "." INBOX.Spam.old',
    ]
    assert folders(server, ImapOptions(skip=("INBOX.Spam",))) == [
        ("INBOX", "INBOX"),
        ("INBOX.Versendet", "Sent"),
        ("INBOX.Group.Entwürfe", "Group/Entwürfe"),
        ('INBOX.a "b" \\c', 'a "b" \\c'),
    ]
    assert ("#shared.all", "_shared/all") in folders(server, ImapOptions(shared=True))


def test_only_new_messages_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_source, "PIECE_OCTETS", 100)
    server = OldServer({3: b"A: b\r\n\r\n", 5: b"C: d\r\n\r\n" + b"x" * 250, 9: b"E: f\r\n\r\n"})
    first, second, third = items(server, "77.3")
    assert first == Known(3, None)
    assert isinstance(second, Message)
    assert (second.key, second.uid, second.uidl) == ("77.5", 5, "77.5")
    assert second.flags == {"\\seen", "Work"}
    assert second.internal_date == 1_044_262_800
    assert isinstance(third, Message)
    assert not any("3" in numbers for numbers, what in server.asked if "BODY" in what)
    known, *_ = items(server, "77.3", flags=True)
    assert known == Known(3, frozenset({"\\seen", "Work"}))


def test_sizes_that_are_not_true_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_source, "PIECE_OCTETS", 100)
    for claimed in (0, 1, 5_000):
        server = OldServer({3: b"A: b\r\n\r\n" + b"x" * 192, 4: b"C: d\r\n\r\n"})
        server.claimed_size = claimed
        assert [type(item) for item in items(server)] == [Message, Message]


def test_a_message_that_is_refused_does_not_take_others_along() -> None:
    server = OldServer(dict.fromkeys(range(1, 8), b"A: b\r\n\r\n"))
    server.refused = {4}  # its flags as well as its octets
    server.vanished = {6}
    found = items(server)
    troubles = [item for item in found if isinstance(item, Trouble)]
    assert sorted(one.what for one in troubles) == ["UID 4", "UID 6"]
    assert sorted(item.uid for item in found if isinstance(item, Message)) == [1, 2, 3, 5, 7]


def test_a_plan_fetches_no_message() -> None:
    server = OldServer({1: b"A: b\r\n\r\n"})
    assert [type(item) for item in items(server, bodies=False)] == [Message]
    assert not any("BODY" in what for _, what in server.asked)


def test_clear_text_is_for_this_machine() -> None:
    far = ImapServer("old.example.test", 143, "bob", "secret", tls="none")
    with pytest.raises(SourceFailed, match="clear text"):
        ImapConnection(far, lambda _: None)
    assert "secret" not in repr(far)


def test_replies_are_parted_and_read() -> None:
    pieces: list[Piece | None] = [
        (b"1 (BODY[] {3}", b'a)"'),
        b" UID 5)",
        b'2 (UID 6 FLAGS (\\Seen $X) ENVELOPE (NIL "a \\"b\\"" ()))',
        None,
    ]
    first, second = (fetched(reply) for reply in replies_of(pieces))
    assert first == {b"BODY[]": b'a)"', b"UID": b"5"}
    assert second[b"ENVELOPE"] == [None, b'a "b"', []]


@pytest.mark.parametrize("text", [b"1 (UID", b"1 UID)", b'1 (X "a)', b"1 FETCH", b"(" * 80])
def test_what_is_no_reply_is_refused(text: bytes) -> None:
    with pytest.raises(ReplyNotUnderstood):
        fetched([text]) and values_of([text])
