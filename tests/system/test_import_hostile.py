"""An IMAP server that lies, by accident or on purpose, harms nothing but its own mail.

The server is a table of answers on a real socket, so that what Python's imaplib does with them is
part of the test.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from gateway.transfer import imap_source
from gateway.transfer.imap_connection import ANSWER_OCTETS, ImapConnection, ImapServer
from gateway.transfer.imap_folders import ImapOptions
from gateway.transfer.imap_source import MAX_UID, ImapSource
from gateway.transfer.names import NameRules
from gateway.transfer.values import (
    Item,
    Message,
    MessageFailed,
    SourceFailed,
    SourceFolder,
    Trouble,
)

PASSWORD = "5ecret word"
Answer = bytes | Callable[[socket.socket], None]


class Liar:
    """Answers by the first word of ``answers`` that a command holds; what is left over is OK."""

    def __init__(self, answers: dict[bytes, Answer]) -> None:
        usual: dict[bytes, Answer] = {
            b"LOGIN": b"",
            b"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n",
            b"LIST": b'* LIST () "/" INBOX\r\n',
            b"EXAMINE": b"* 1 EXISTS\r\n* OK [UIDVALIDITY 7] .\r\n* OK [UIDNEXT 10] .\r\n",
            b"FETCH 1:1 (UID)": b"* 1 FETCH (UID 5)\r\n",
            b"RFC822.SIZE": b"* 1 FETCH (UID 5 FLAGS () INTERNALDATE NIL RFC822.SIZE 4)\r\n",
            b"BODY": b"* 1 FETCH (UID 5 BODY[] {4}\r\n\r\na\n)\r\n",
        }
        self.answers = answers | {word: usual[word] for word in usual if word not in answers}
        self.logins = 0
        self.heard: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines, suppress(OSError):
                connection.sendall(b"* OK ready\r\n")
                for line in lines:
                    self._answer(connection, line)

    def _answer(self, connection: socket.socket, line: bytes) -> None:
        self.heard.append(line)
        self.logins += b"LOGIN" in line
        name = next((word for word in self.answers if word in line), b"")
        answer = self.answers.get(name, b"")
        if callable(answer):
            answer(connection)
            return
        tag = line.split(b" ", 1)[0]
        ending = b"" if b"\r\nTAG " in b"\r\n" + answer else b"TAG OK done\r\n"
        connection.sendall((answer + ending).replace(b"TAG ", tag + b" "))


def hang_up(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionError


@contextmanager
def pulling(
    answers: dict[bytes, Answer], sleep: Callable[[float], None] = lambda _: None
) -> Iterator[tuple[ImapSource, Liar]]:
    server = Liar(answers)
    threading.Thread(target=server.serve, daemon=True).start()
    port = server.listener.getsockname()[1]
    connection = ImapConnection(
        ImapServer("127.0.0.1", port, "bob", PASSWORD, tls="none", timeout_s=20), sleep
    )
    source = ImapSource(connection, "imap://bob@old", ImapOptions(), NameRules({}))
    with closing(server.listener), closing(source):
        yield source, server
        with suppress(OSError):
            server.listener.shutdown(socket.SHUT_RDWR)


def items(answers: dict[bytes, Answer]) -> list[Item]:
    with pulling(answers) as (source, _):
        (folder,) = source.folders()
        assert isinstance(folder, SourceFolder)
        found: list[Item] = []
        for item in source.open(folder, frozenset(), bodies=True, flags=False).items:
            found.append(item)
            if isinstance(item, Message):
                b"".join(item.chunks)
        return found


def refused_by(answers: dict[bytes, Answer]) -> str:
    with pytest.raises(SourceFailed) as refused:
        items(answers)
    return str(refused.value)


def test_an_honest_answer_is_taken() -> None:
    (message,) = items({})
    assert isinstance(message, Message)
    assert (message.uid, message.key) == (5, "7.5")


def test_a_literal_without_end_takes_no_memory() -> None:
    """imaplib would reserve what the server announces."""
    for size in (b"99999999999", b"9" * 30, b"9" * 5_000, b"%d" % (ANSWER_OCTETS + 1)):
        (trouble,) = items({b"BODY": b"* 1 FETCH (UID 5 BODY[] {%b}\r\nabc" % size})
        assert isinstance(trouble, Trouble)
        assert trouble.what == "UID 5"
        assert "octets" in trouble.why


def test_a_list_without_end_ends() -> None:
    line = b'* LIST () "/" %b\r\n' % (b"x" * 900)

    def flood(connection: socket.socket) -> None:
        for _ in range(ANSWER_OCTETS // 900_000 + 2):
            connection.sendall(line * 1_000)
        raise ConnectionError

    assert "one answer has more than" in refused_by({b"LIST": flood})


def test_uids_that_are_none_are_told() -> None:
    for uid in (0, MAX_UID + 1, 99_999_999_999):
        (trouble,) = items({b"FETCH 1:1 (UID)": b"* 1 FETCH (UID %d)\r\n" % uid})
        assert isinstance(trouble, Trouble)
        assert "1 messages no UID" in trouble.why


def test_uids_that_descend_or_repeat_come_once_and_in_order() -> None:
    numbers = b"".join(b"* %d FETCH (UID %d)\r\n" % pair for pair in ((1, 9), (2, 5), (3, 9)))
    trouble, *found = items(
        {
            b"EXAMINE": b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] .\r\n",
            b"FETCH 1:3 (UID)": numbers,
            b"RFC822.SIZE": b"* 1 FETCH (UID 9 RFC822.SIZE 1)\r\n"
            b"* 2 FETCH (UID 5 RFC822.SIZE 1)\r\n",
            b"BODY": b"* 1 FETCH (UID 9 BODY[] {1}\r\na)\r\n* 2 FETCH (UID 5 BODY[] {1}\r\nb)\r\n",
        }
    )
    assert isinstance(trouble, Trouble)
    assert [one.uid for one in found if isinstance(one, Message)] == [5, 9]


def test_a_mailbox_of_a_billion_that_is_not_there_ends() -> None:
    (trouble,) = items({b"EXAMINE": b"* 9999999999 EXISTS\r\n", b"FETCH 1:2000": b""})
    assert isinstance(trouble, Trouble)


def test_a_date_that_is_not_told_is_the_headers() -> None:
    text = b"Date: Tue, 4 Feb 2003 09:00:00 +0000\r\n\r\n"
    body = b"* 1 FETCH (UID 5 BODY[] {%d}\r\n%b)\r\n" % (len(text), text)
    (message,) = items({b"BODY": body})
    assert isinstance(message, Message)
    assert message.internal_date == 1_044_349_200


def test_answers_that_are_no_imap_are_told() -> None:
    for answer in (b"* LIST ()\r\n", b"* LIST NIL\r\n", b"* LIST (((((\r\n", b"* LIST\r\n"):
        assert "cannot be listed" in refused_by({b"LIST": answer})
    (trouble,) = items({b"RFC822.SIZE": b"* 1 FETCH (UID 5 X%b\r\n" % (b"a[ " * 100_000)})
    assert isinstance(trouble, Trouble)


def test_names_cannot_smuggle_commands() -> None:
    evil = b'x" \r\nA1 DELETE INBOX'
    listed = b'* LIST () "/" {%d}\r\n%b\r\n* LIST () "/" "../../etc/&AAo-"\r\n' % (len(evil), evil)
    with pulling({b"LIST": listed}) as (source, server):
        found = source.folders()
        folder = next(one for one in found if isinstance(one, SourceFolder))
        assert folder.name == "__/__/etc/_"
        source.open(folder, frozenset(), bodies=True, flags=False)
    assert [type(one) for one in found].count(Trouble) == 1
    assert not any(b"DELETE" in line for line in server.heard)


def test_a_server_that_repeats_the_password_does_not_tell_it() -> None:
    for answer in (
        b'TAG NO "5ecret word" is wrong\r\n',
        b"TAG BAD LOGIN bob 5ecret word\r\n",
        b"* BYE 5ecret word\r\n",
        b"5ecret word\r\n",
    ):
        told = refused_by({b"LOGIN": answer})
        assert PASSWORD not in told
        assert "[password]" in told


def test_a_folder_that_breaks_the_connection_is_given_up() -> None:
    """And the next one is read."""
    listed = b'* LIST () "/" Bad\r\n* LIST () "/" Good\r\n'
    with pulling({b'"Bad"': hang_up, b"LIST": listed}) as (source, server):
        bad, good = (one for one in source.folders() if isinstance(one, SourceFolder))
        with pytest.raises(MessageFailed, match="the connection is lost each time"):
            source.open(bad, frozenset(), bodies=True, flags=False)
        assert source.open(good, frozenset(), bodies=True, flags=False).total == 1
        assert server.logins < 10


def test_a_uidvalidity_that_changes_meanwhile_stops_the_import() -> None:
    """The UIDs that were read mean other messages now."""
    validity = iter(range(100, 200))

    def examine(connection: socket.socket) -> None:
        connection.sendall(
            b"* 1 EXISTS\r\n* OK [UIDVALIDITY %d] .\r\n%b OK done\r\n"
            % (next(validity), server.heard[-1].split(b" ", 1)[0])
        )

    with pulling({b"EXAMINE": examine, b"BODY": hang_up}) as (source, server):
        (folder,) = source.folders()
        assert isinstance(folder, SourceFolder)
        opened = source.open(folder, frozenset(), bodies=True, flags=False)
        with pytest.raises(SourceFailed, match="made anew"):
            list(opened.items)


def test_an_endless_message_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces come for ever, whatever the size was said to be."""
    monkeypatch.setattr(imap_source, "MAX_MESSAGE_OCTETS", 8_000_000)
    with pulling({b"RFC822.SIZE": b"* 1 FETCH (UID 5 RFC822.SIZE 9999999)\r\n"}) as (
        source,
        server,
    ):

        def piece(connection: socket.socket) -> None:
            tag, _, rest = server.heard[-1].partition(b" ")
            offset, _, size = rest[rest.index(b"<") + 1 : rest.index(b">")].partition(b".")
            connection.sendall(
                b"* 1 FETCH (UID 5 BODY[]<%b> {%b}\r\n" % (offset, size)
                + b"x" * int(size)
                + b")\r\n%b OK done\r\n" % tag
            )

        server.answers[b"BODY"] = piece
        (folder,) = source.folders()
        assert isinstance(folder, SourceFolder)
        (message,) = source.open(folder, frozenset(), bodies=True, flags=False).items
        assert isinstance(message, Message)
        with pytest.raises(MessageFailed, match="more than 8,000,000 octets"):
            for _ in message.chunks:
                pass
