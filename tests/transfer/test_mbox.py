"""mbox files: where messages end, what their state lines say, and that a second run is cheap."""

from __future__ import annotations

import fcntl
import io
from pathlib import Path

import pytest

from gateway.transfer import mbox_split
from gateway.transfer.mbox import MboxOptions, MboxSource
from gateway.transfer.mbox_split import Dialect, is_separator, separator_date, split
from gateway.transfer.names import NameRules
from gateway.transfer.values import (
    Item,
    Known,
    Message,
    MessageFailed,
    SourceFailed,
    SourceFolder,
    Trouble,
)

FROM = b"From alice@example.test Mon Feb  3 09:00:00 2003\n"


def parts(text: bytes, dialect: Dialect = "auto") -> list[tuple[bytes, bytes]]:
    found = []
    for raw in split(io.BytesIO(text), len(text), dialect):
        found.append((b"".join(raw.header), raw.content.read()))
        raw.content.close()
    return found


def read(path: Path, known: frozenset[str] = frozenset()) -> list[tuple[Item, bytes]]:
    source = MboxSource(path, MboxOptions(), NameRules({}))
    found: list[tuple[Item, bytes]] = []
    for folder in source.folders():
        assert isinstance(folder, SourceFolder)
        for item in source.open(folder, known, bodies=True, flags=False).items:
            octets = b"".join(item.chunks) if isinstance(item, Message) else b""
            found.append((item, octets))
    return found


def test_messages_end_before_a_separator_behind_a_blank_line() -> None:
    text = (
        b"\n" + FROM + b"Subject: 1\n\nFrom here on: text\nFrom me 10:00 2003\n\nmore\n\n"
        + FROM + b"Subject: 2\n\n"
        + FROM + b"Subject: 3\n\nno line end"
    )  # fmt: skip
    assert parts(text) == [
        (b"Subject: 1\n", b"From here on: text\nFrom me 10:00 2003\n\nmore\n"),
        (b"Subject: 2\n", b""),
        (b"Subject: 3\n", b"no line end"),
    ]


QUOTED = FROM + b"A: b\n\n>From x\n>>From y\n> From z\n"


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("auto", b"From x\n>From y\n> From z\n"),
        ("mboxrd", b"From x\n>From y\n> From z\n"),
        ("mboxo", b"From x\n>>From y\n> From z\n"),
        ("mboxcl2", b">From x\n>>From y\n> From z\n"),
    ],
)
def test_quotes_are_taken_away_as_the_dialect_has_them(dialect: Dialect, body: bytes) -> None:
    assert parts(QUOTED, dialect)[0][1] == body


def test_a_content_length_that_fits_is_believed_and_nothing_unquoted() -> None:
    body = b"text\n\n" + FROM + b"\n>From\n"
    header = b"Content-Length: %d\n" % len(body)
    text = FROM + header + b"\n" + body + b"\n" + FROM + b"A: b\n\nx\n"
    assert parts(text) == [(header, body), (b"A: b\n", b"x\n")]
    wrong = b"Content-Length: 4\n"
    assert parts(FROM + wrong + b"\nlonger\n\n" + FROM + b"\n") == [
        (wrong, b"longer\n"),
        (b"", b""),
    ]


def test_long_lines_and_carriage_returns_are_kept() -> None:
    line = b"x" * 200_000 + b"From y\r\n"
    text = FROM.replace(b"\n", b"\r\n") + b"A: b\r\n\r\n" + line + b"\r\n" + FROM + b"\nz\n"
    assert parts(text) == [(b"A: b\r\n", line), (b"", b"z\n")]


@pytest.mark.parametrize(
    ("line", "date"),
    [
        (b"From a Mon Feb  3 09:00:00 2003\n", 1044262800),
        (b"From a b@c Mon Feb 3 10:00 2003 +0100\n", 1044262800),
        (b"From a Mon Feb  3 04:00:00 EST 2003\r\n", 1044262800),
        (b"From - Mon Feb 03 09:00:00 2003\n", 1044262800),
        (b"From a Mon Feb  3 04:00:00 2003 -0500 remote from x\n", 1044262800),
        (b"From \n", None),
        (b"From -\n", None),
    ],
)
def test_separators_have_odd_dates(line: bytes, date: int | None) -> None:
    assert is_separator(line)
    assert separator_date(line) == date


@pytest.mark.parametrize("line", [b"From the year 2003 on\n", b"From: a\n", b"from a 10:00 2003\n"])
def test_text_is_no_separator(line: bytes) -> None:
    assert not is_separator(line)


def test_state_lines_become_flags_and_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "mbox"
    path.write_bytes(
        FROM + b"X-IMAPbase: 1275660208 0000000009 Work\nStatus: RO\nX-Status: AF\nX-UID: 4\n"
        b"X-Keywords: Work\n  $Forwarded\nSubject: a\n b\n\nbody\n\n"
        + FROM + b"X-Mozilla-Status: 1005\nX-Mozilla-Keys: $label1      \nSubject: c\n\n\n"
        + FROM + b"X-Mozilla-Status: 0009\nSubject: deleted\n\n\n"
        + FROM + b"X-UID: 3\nSubject: d\n\n"
    )  # fmt: skip
    (first, octets), (second, _), (third, _) = read(path)
    assert octets == b"Subject: a\r\n b\r\n\r\nbody\r\n"
    assert isinstance(first, Message)
    assert first.flags == {"\\Seen", "\\Answered", "\\Flagged", "Work"}
    assert (first.uid, first.internal_date) == (4, 1044262800)
    assert isinstance(second, Message)
    assert second.flags == {"\\Seen", "\\Flagged", "$Forwarded", "$label1"}
    assert isinstance(third, Message)
    assert third.uid == 0  # not ascending


def test_the_folders_own_state_is_no_message(tmp_path: Path) -> None:
    path = tmp_path / "mbox"
    path.write_bytes(
        FROM + b"X-IMAP: 1275660208 2\nSubject: DON'T DELETE\n\n\n" + FROM + b"A: b\n\n"
    )
    source = MboxSource(path, MboxOptions(), NameRules({}))
    (folder,) = source.folders()
    assert isinstance(folder, SourceFolder)
    opened = source.open(folder, frozenset(), bodies=True, flags=False)
    assert opened.uid_validity == 1275660208
    assert len(list(opened.items)) == 1


def test_a_second_run_finds_what_is_new_whatever_was_flagged_or_removed(tmp_path: Path) -> None:
    path = tmp_path / "mbox"
    twin = FROM + b"Subject: twin\n\nsame\n\n"
    path.write_bytes(twin + FROM + b"Subject: b\n\n\n" + twin)
    keys = [item.key for item, _ in read(path) if isinstance(item, Message)]
    assert len(set(keys)) == 3
    path.write_bytes(
        twin.replace(b"Subject", b"Status: RO\nSubject") + twin + FROM + b"Subject: c\n\n\n"
    )
    items = [item for item, _ in read(path, frozenset(keys))]
    assert [type(item) for item in items] == [Known, Known, Message]


def test_thunderbirds_tree_has_levels(tmp_path: Path) -> None:
    for name in ("Inbox", "Sent", "Work.sbd/2003", "Work.sbd/2003.sbd/May", "Empty"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if name == "Empty" else FROM + b"A: b\n\n")
    (tmp_path / "Empty.msf").write_bytes(b"// <!-- mork")
    (tmp_path / "prefs.js").write_bytes(b"user_pref()")
    (tmp_path / "link").symlink_to("/etc")
    found = MboxSource(tmp_path, MboxOptions(), NameRules({})).folders()
    names = [one.name for one in found if isinstance(one, SourceFolder)]
    assert names == ["Empty", "INBOX", "Sent", "Work/2003", "Work/2003/May"]
    assert [one.what for one in found if isinstance(one, Trouble)] == ["link"]


def test_what_is_no_mbox_is_told(tmp_path: Path) -> None:
    path = tmp_path / "letter"
    path.write_bytes(b"Dear Sirs\n")
    (item, _), = read(path)  # fmt: skip
    assert isinstance(item, Trouble)
    with pytest.raises(SourceFailed, match="no file"):
        MboxSource(tmp_path, MboxOptions(), NameRules({})).folders()


def test_a_file_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mbox"
    path.write_bytes(FROM + b"A: b\n\n")
    with path.open("rb+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(MessageFailed, match="another program"):
            read(path)


def test_a_file_that_becomes_a_link_is_not_followed(tmp_path: Path) -> None:
    """Between the listing and the reading, which may take minutes, its owner can exchange it."""
    secret = tmp_path / "secret"
    secret.write_bytes(FROM + b"Subject: another one's\n\n")
    root = tmp_path / "mail"
    (root / "sub").mkdir(parents=True)
    for name in ("a", "sub/b"):
        (root / name).write_bytes(FROM + b"A: b\n\n")
    source = MboxSource(root, MboxOptions(), NameRules({}))
    first, second = (one for one in source.folders() if isinstance(one, SourceFolder))
    (root / "a").unlink()
    (root / "a").symlink_to(secret)
    (root / "sub").rename(root / "was")
    (root / "sub").symlink_to(root / "was")
    for folder in (first, second):
        with pytest.raises(MessageFailed, match="symbolic link"):
            source.open(folder, frozenset(), bodies=True, flags=False)


def test_no_octet_is_lost_at_the_end(tmp_path: Path) -> None:
    assert parts(FROM + b"\nlast\n\r") == [(b"", b"last\n\r")]
    assert parts(FROM + b"\n\0\n\n" + FROM) == [(b"", b"\0\n"), (b"", b"")]


def test_lines_beyond_a_block_are_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"".join(
        FROM + b"A: %d\n\n>From x\n%b\n>>From y\n\nFrom z\n\n" % (number, b"t" * number)
        for number in range(200)
    )
    expected = parts(text)
    monkeypatch.setattr(mbox_split, "PIECE_OCTETS", 64)
    monkeypatch.setattr(mbox_split, "LINE_OCTETS", 80)
    assert parts(text) == expected
    assert expected[7][1] == b"From x\n" + b"t" * 7 + b"\n>From y\n\nFrom z\n"
