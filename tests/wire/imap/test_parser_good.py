"""Every command in the forms clients use, with its exact value."""

from __future__ import annotations

import pytest

from gateway.wire.imap import commands as c
from gateway.wire.imap.events import BEFORE_LOGIN
from gateway.wire.imap.fetch_items import FetchAttribute
from gateway.wire.imap.sequence import SequenceSet
from tests.wire.imap.drive import command

T = b"a1"
NONE: frozenset[str] = frozenset()

GOOD: list[tuple[bytes, c.Command]] = [
    (b"a1 CAPABILITY", c.Capability(T)),
    (b"a1 noop", c.Noop(T)),
    (b"a1 LOGOUT", c.Logout(T)),
    (b"a1 STARTTLS", c.StartTls(T)),
    (b"a1 CHECK", c.Check(T)),
    (b"a1 CLOSE", c.Close(T)),
    (b"a1 UNSELECT", c.Unselect(T)),
    (b"a1 NAMESPACE", c.Namespace(T)),
    (b"a1 IDLE", c.Idle(T)),
    (b"a1 ID NIL", c.Id(T, None)),
    (b"a1 ID ()", c.Id(T, ())),
    (
        b'a1 ID ("name" "x \xc3\xa9" "os" NIL)',
        c.Id(T, (("name", "x \u00e9"), ("os", None))),
    ),
    (b"a1 AUTHENTICATE plain", c.Authenticate(T, "PLAIN", None)),
    (b"a1 AUTHENTICATE PLAIN =", c.Authenticate(T, "PLAIN", b"=")),
    (b"a1 AUTHENTICATE PLAIN AGEAYg==", c.Authenticate(T, "PLAIN", b"AGEAYg==")),
    (b"a1 LOGIN alice wonderland", c.Login(T, "alice", b"wonderland")),
    (b'a1 LOGIN "al ice" "a\\"b\\\\c"', c.Login(T, "al ice", b'a"b\\c')),
    (b'a1 LOGIN ali]ce ""', c.Login(T, "ali]ce", b"")),
    (b'a1 LOGIN "\xc3\xa9" "\xff"', c.Login(T, "\u00e9", b"\xff")),
    (b"a1 LOGIN {5}\r\nalice {4}\r\na\r\nb", c.Login(T, "alice", b"a\r\nb")),
    (b"a1 LOGIN {5+}\r\nalice {0+}\r\n", c.Login(T, "alice", b"")),
    (b"a1 LOGIN {005}\r\nalice {0}\r\n", c.Login(T, "alice", b"")),
    (b"a1 SELECT inbox", c.Select(T, "INBOX")),
    (b'a1 EXAMINE "Sent Items"', c.Examine(T, "Sent Items")),
    (b"a1 SELECT {9+}\r\nEntw&APw-", c.Select(T, "Entw\u00fc")),
    (b"a1 CREATE Entw&APw-rfe/", c.Create(T, "Entw\u00fcrfe")),
    (b"a1 DELETE a/b", c.Delete(T, "a/b")),
    (b"a1 RENAME a InBoX/b", c.Rename(T, "a", "INBOX/b")),
    (b"a1 SUBSCRIBE a", c.Subscribe(T, "a")),
    (b"a1 UNSUBSCRIBE a", c.Unsubscribe(T, "a")),
    (b'a1 LIST "" *', c.List(T, "", ("*",))),
    (b'a1 LIST "" ""', c.List(T, "", ("",))),
    (b'a1 LIST a/ "%/Entw&APw-*"', c.List(T, "a/", ("%/Entw\u00fc*",))),
    (
        b'a1 LIST "" (a b%) RETURN (special-use)',
        c.List(T, "", ("a", "b%"), False, ("SPECIAL-USE",)),
    ),
    (b'a1 LIST "" % RETURN ()', c.List(T, "", ("%",))),
    (b'a1 LSUB "" "*"', c.List(T, "", ("*",), True)),
    (
        b"a1 STATUS a (messages UIDNEXT UIDNEXT)",
        c.Status(T, "a", (c.StatusItem.MESSAGES, c.StatusItem.UIDNEXT)),
    ),
    (b"a1 EXPUNGE", c.Expunge(T)),
    (b"a1 UID EXPUNGE 1:*", c.Expunge(T, SequenceSet(((1, 0),)))),
    (
        b"a1 UID FETCH 1:* (FLAGS)",
        c.Fetch(T, SequenceSet(((1, 0),)), (FetchAttribute.UID, FetchAttribute.FLAGS), True),
    ),
    (
        b"a1 STORE 1,3 +flags.silent (\\seen $Forwarded \\Recent)",
        c.Store(
            T,
            SequenceSet(((1, 1), (3, 3))),
            c.StoreMode.ADD,
            frozenset({"\\Seen", "$Forwarded"}),
            True,
        ),
    ),
    (
        b"a1 UID STORE 7 FLAGS ()",
        c.Store(T, SequenceSet(((7, 7),)), c.StoreMode.REPLACE, NONE, False, True),
    ),
    (
        b"a1 STORE 7 -FLAGS \\Deleted x",
        c.Store(
            T, SequenceSet(((7, 7),)), c.StoreMode.REMOVE, frozenset({"\\Deleted", "x"}), False
        ),
    ),
    (b"a1 COPY 2:4 Trash", c.Copy(T, SequenceSet(((2, 4),)), "Trash")),
    (b"a1 UID COPY 2 Trash", c.Copy(T, SequenceSet(((2, 2),)), "Trash", True)),
    (b"a1 MOVE 2 Trash", c.Move(T, SequenceSet(((2, 2),)), "Trash")),
    (b"a1 UID MOVE * Trash", c.Move(T, SequenceSet(((0, 0),)), "Trash", True)),
]


@pytest.mark.parametrize(("line", "expected"), GOOD, ids=[repr(line)[:50] for line, _ in GOOD])
def test_command_is_understood(line: bytes, expected: c.Command) -> None:
    assert command(line) == expected


def test_login_fits_the_limits_before_login() -> None:
    line = b"a1 LOGIN {5}\r\nalice {10}\r\nwonderland"
    assert command(line, BEFORE_LOGIN) == c.Login(T, "alice", b"wonderland")


def test_a_long_initial_response_fits_the_limits_before_login() -> None:
    initial = b"A" * 12_288
    received = command(b"a1 AUTHENTICATE PLAIN " + initial, BEFORE_LOGIN)
    assert received == c.Authenticate(T, "PLAIN", initial)


def test_secrets_are_not_in_a_commands_repr() -> None:
    """SECURITY A9: what is logged by accident holds no password."""
    assert "wonderland" not in repr(command(b"a1 LOGIN alice wonderland"))
    assert "AGEAYg" not in repr(command(b"a1 AUTHENTICATE PLAIN AGEAYg=="))


def test_every_command_names_its_rfc_section() -> None:
    assert all(type(value).rfc.startswith("RFC ") for _, value in GOOD)
    assert set(c.COMMANDS) - {type(value) for _, value in GOOD} == {c.Append, c.Search}
    assert set(c.COMMANDS) >= {type(value) for _, value in GOOD}
