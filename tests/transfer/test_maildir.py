"""A Maildir's files as messages: flags, dates, lists, packed files, what is not to be trusted."""

from __future__ import annotations

import gzip
import os
from contextlib import closing
from pathlib import Path

import pytest

from gateway.transfer import maildir_folder
from gateway.transfer.maildir import MaildirOptions, MaildirSource
from gateway.transfer.maildir_folder import files_in
from gateway.transfer.names import NameRules
from gateway.transfer.values import (
    Item,
    Known,
    Message,
    MessageFailed,
    Opened,
    SourceFailed,
    SourceFolder,
    Trouble,
)

DATE = 1_044_262_800
TEXT = b"Received: by x; Tue, 4 Feb 2003 09:00:00 +0000\nSubject: a\n\nb\n"


def put(root: Path, name: str, octets: bytes = TEXT) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(octets)
    os.utime(path, (DATE, DATE))


def source_of(root: Path, **options: object) -> MaildirSource:
    return MaildirSource(root, MaildirOptions(**options), NameRules({}))  # type: ignore[arg-type]


def opened(source: MaildirSource, known: frozenset[str] = frozenset(), folder: str = ".") -> Opened:
    (chosen,) = (
        one for one in source.folders() if isinstance(one, SourceFolder) and one.folder == folder
    )
    return source.open(chosen, known, bodies=True, flags=False)


def items(root: Path, known: frozenset[str] = frozenset(), **options: object) -> list[Item]:
    with closing(source_of(root, **options)) as source:
        return list(opened(source, known).items)


def messages(root: Path, **options: object) -> list[tuple[Message, bytes]]:
    found = []
    with closing(source_of(root, **options)) as source:
        for item in opened(source).items:
            assert isinstance(item, Message), item
            found.append((item, b"".join(item.chunks)))
    return found


def test_flags_are_in_names(tmp_path: Path) -> None:
    put(tmp_path, "new/1.a.host")
    put(tmp_path, "cur/2.b.host,S=61,W=65:2,PRSTab")
    put(tmp_path, "cur/3.c.host;2,DF")
    put(tmp_path, "cur/4.d.host!2,S,W=5")
    put(tmp_path, "tmp/5.e.host")
    put(tmp_path, "cur/.nfs0001")
    put(tmp_path, "courierpop3dsizelist", b"/2 1 1 1\n")
    put(tmp_path, "dovecot-keywords", b"0 Work\n1 $Junk\n")
    found = {item.key: item for item, _ in messages(tmp_path)}
    assert {key: set(item.flags) for key, item in found.items()} == {
        "1.a.host": set(),
        "2.b.host": {"$Forwarded", "\\Answered", "\\Seen", "\\Deleted", "Work", "$Junk"},
        "3.c.host": {"\\Draft", "\\Flagged"},
        "4.d.host": set(),
    }
    assert {item.internal_date for item in found.values()} == {DATE}


def test_dates_are_where_the_administrator_says(tmp_path: Path) -> None:
    put(tmp_path, "cur/1044000000.a.host")
    put(tmp_path, "cur/z.host")
    for date_from, dates in (("name", [1044000000, DATE]), ("header", [1044349200] * 2)):
        found = messages(tmp_path, date_from=date_from)
        assert [item.internal_date for item, _ in found] == dates
        assert {octets for _, octets in found} == {TEXT.replace(b"\n", b"\r\n")}


def test_packed_messages_are_unpacked(tmp_path: Path) -> None:
    put(tmp_path, "cur/1.a:2,SZ", gzip.compress(TEXT))
    ((item, octets),) = messages(tmp_path)
    assert octets == TEXT.replace(b"\n", b"\r\n")
    assert item.flags == {"\\Seen"}


def test_uids_come_first_and_in_order(tmp_path: Path) -> None:
    for name in ("1.new", "9.c,S=5", "5.b:2,S", "7.a"):
        put(tmp_path, f"cur/{name}")
    put(tmp_path, "dovecot-uidlist", b"3 V77 N30 Gx\n4 P00x :7.a\n8 :9.c,S=5\n20 :5.b\n21 :gone\n")
    with closing(source_of(tmp_path)) as source:
        folder = opened(source)
        assert (folder.uid_validity, folder.uid_next, folder.total) == (77, 30, 4)
        found = [item for item in folder.items if isinstance(item, Message)]
    assert [(one.key, one.uid, one.uidl) for one in found] == [
        ("7.a", 4, "00x"),
        ("9.c", 8, f"{8:08x}{77:08x}"),
        ("5.b", 20, f"{20:08x}{77:08x}"),
        ("1.new", 0, ""),
    ]


def test_couriers_list_is_read_without_inventing_pop3_names(tmp_path: Path) -> None:
    put(tmp_path, "cur/1.a:2,S")
    put(tmp_path, "courierimapuiddb", b"1 1275660208 6\n4 1.a\n")
    ((item, _),) = messages(tmp_path)
    assert (item.uid, item.uidl) == (4, "")


def test_a_broken_list_is_told_and_messages_come_all_the_same(tmp_path: Path) -> None:
    put(tmp_path, "cur/1.a")
    put(tmp_path, "dovecot-uidlist", b"3 V77 N30\n4 :b\n4 :1.a\n")
    trouble, message = items(tmp_path)
    assert isinstance(trouble, Trouble)
    assert "does not ascend" in trouble.why
    assert isinstance(message, Message)
    assert message.uid == 0


def test_lists_may_lie_elsewhere(tmp_path: Path) -> None:
    put(tmp_path, "mail/cur/1.a")
    put(tmp_path, "mail/.Work/cur/1.a")
    put(tmp_path, "control/.INBOX/dovecot-uidlist", b"3 V77 N30\n4 :1.a\n")
    put(tmp_path, "control/.Work/dovecot-uidlist", b"3 V78 N30\n5 :1.a\n")
    with closing(source_of(tmp_path / "mail", control=tmp_path / "control")) as source:
        assert opened(source).uid_validity == 77
        assert opened(source, folder=".Work").uid_validity == 78


def test_folders_of_both_layouts(tmp_path: Path) -> None:
    for name in ("plus/cur", "plus/.Entw&APw-rfe.2003/cur", "plus/.sent/new", "plus/.bare/tmp"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("fs/cur", "fs/Work/2003/cur", "fs/Work/cur", "fs/cur/x"):
        (tmp_path / name).mkdir(parents=True)
    put(tmp_path, "plus/subscriptions", b"Entw&APw-rfe.2003\n")
    with closing(source_of(tmp_path / "plus")) as source:
        found = [one for one in source.folders() if isinstance(one, SourceFolder)]
        assert [(one.name, one.subscribed) for one in found] == [
            ("INBOX", False),
            ("Entwürfe/2003", True),
            ("Sent", False),
        ]
    with closing(source_of(tmp_path / "fs")) as source:
        names = [one.name for one in source.folders() if isinstance(one, SourceFolder)]
        assert names == ["INBOX", "Work", "Work/2003"]
    (tmp_path / "letters").mkdir()
    nothing = source_of(tmp_path / "letters")
    with closing(nothing) as source, pytest.raises(SourceFailed, match="no Maildir"):
        source.folders()


def test_known_messages_are_not_read(tmp_path: Path) -> None:
    put(tmp_path, "cur/1.a,S=5:2,S")
    (tmp_path / "cur" / "1.a,S=5:2,S").chmod(0)
    (item,) = items(tmp_path, frozenset({"1.a"}))
    assert item == Known(0, frozenset({"\\Seen"}))


def test_links_and_devices_are_refused(tmp_path: Path) -> None:
    """People can write into their Maildir; what the import may read, they may not get."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"root:x\n")
    root = tmp_path / "mail"
    put(root, "cur/1.good")
    (root / "cur" / "2.link").symlink_to(secret)
    os.mkfifo(root / "cur" / "3.pipe")
    (root / "cur" / "4.directory").mkdir()
    (root / ".Linked").symlink_to(tmp_path)
    (root / ".Inner").mkdir()
    (root / ".Inner" / "cur").symlink_to(tmp_path)
    found = items(root)
    assert [type(item) for item in found] == [Message, Trouble, Trouble, Trouble]
    with closing(source_of(root)) as source:
        refused = [one for one in source.folders() if isinstance(one, Trouble)]
        assert [one.what for one in refused] == [".Linked"]
        names = [one.folder for one in source.folders() if isinstance(one, SourceFolder)]
        assert names == [".", ".Inner"]
        with pytest.raises(MessageFailed, match="symbolic link"):
            opened(source, folder=".Inner")


def test_files_that_move_or_vanish_meanwhile_do_not_stop_the_rest(tmp_path: Path) -> None:
    for name in ("new/1.a", "cur/2.b:2,", "cur/3.c:2,", "cur/4.d:2,"):
        put(tmp_path, name)
    with closing(source_of(tmp_path)) as source:
        folder = opened(source)
        (tmp_path / "new/1.a").rename(tmp_path / "cur/1.a:2,S")
        (tmp_path / "cur/2.b:2,").rename(tmp_path / "cur/2.b:2,F")
        (tmp_path / "cur/3.c:2,").unlink()
        found = list(folder.items)
    first, second, gone, last = found
    assert isinstance(first, Message)
    assert first.flags == {"\\Seen"}
    assert isinstance(second, Message)
    assert second.flags == {"\\Flagged"}
    assert isinstance(gone, Trouble)
    assert "went away" in gone.why
    assert isinstance(last, Message)


def test_a_folder_that_is_gone_says_so(tmp_path: Path) -> None:
    put(tmp_path, "cur/1.a")
    put(tmp_path, ".Work/cur/1.a")
    with closing(source_of(tmp_path)) as source:
        folder = next(
            one for one in source.folders() if isinstance(one, SourceFolder) and one.folder != "."
        )
        (tmp_path / ".Work").rename(tmp_path / "elsewhere")
        with pytest.raises(MessageFailed, match="No such file"):
            source.open(folder, frozenset(), bodies=True, flags=False)


def test_names_that_are_no_text_are_kept_apart(tmp_path: Path) -> None:
    for name in (b"cur/1.\xe9", b"cur/1.\\xe9"):
        (tmp_path / "cur").mkdir(exist_ok=True)
        (tmp_path / os.fsdecode(name)).write_bytes(TEXT)
    keys = {item.key for item in items(tmp_path) if isinstance(item, Message)}
    assert keys == {"1.\\xe9", "1.\\\\xe9"}


def test_names_that_differ_in_their_sizes_are_two_messages(tmp_path: Path) -> None:
    put(tmp_path, "cur/1.x,S=4:2,S", b"a\nb\n")
    put(tmp_path, "cur/1.x,S=6:2,", b"a\nbcd\n")
    found = messages(tmp_path)
    assert sorted(octets for _, octets in found) == [b"a\r\nb\r\n", b"a\r\nbcd\r\n"]
    assert len({message.key for message, _ in found}) == 2


@pytest.mark.parametrize(
    "text",
    [
        b"3 V7 N9 Gx\n00000000000199999999999999 :1.x\n",
        b"3 V7 N9 Gx\n%b :1.x\n" % (b"9" * 5_000),
        b"3 V7 N9 Gx\n4294967296 :1.x\n",
        b"x" * 70_000,
        b"\xff\0\n",
    ],
)
def test_lists_that_lie_give_no_uids(tmp_path: Path, text: bytes) -> None:
    put(tmp_path, "cur/1.x:2,a", TEXT)
    put(tmp_path, "dovecot-uidlist", text)
    put(tmp_path, "dovecot-keywords", b"0000000000000099999 x\n%b y\n0 Work\n" % (b"9" * 5_000))
    trouble, message = items(tmp_path)
    assert isinstance(trouble, Trouble)
    assert "messages get new UIDs" in trouble.why
    assert isinstance(message, Message)
    assert message.uid == 0
    assert message.flags == {"Work"}


def test_what_many_clients_delete_meanwhile_is_looked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        put(tmp_path, f"cur/{number:02d}.x:2,")
    looks = []

    def looked(fd: int) -> dict[str, str]:
        looks.append(fd)
        return files_in(fd)

    with closing(source_of(tmp_path)) as source:
        found = opened(source)
        monkeypatch.setattr(maildir_folder, "files_in", looked)
        for path in (tmp_path / "cur").iterdir():
            path.unlink()
        assert all(isinstance(item, Trouble) for item in found.items)
    assert len(looks) == 1
