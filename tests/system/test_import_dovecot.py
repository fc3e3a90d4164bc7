"""Mail moves from a real Dovecot to the store and back, and to clients nothing has changed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from gateway.core.messages import Flags
from gateway.store.verify import verify
from gateway.transfer.exporting import Exporter
from gateway.transfer.imap_connection import ImapConnection, ImapServer
from gateway.transfer.imap_folders import ImapOptions
from gateway.transfer.imap_source import ImapSource
from gateway.transfer.importing import Importer
from gateway.transfer.maildir import MaildirOptions, MaildirSource
from gateway.transfer.maildir_target import MaildirTarget
from gateway.transfer.names import NameRules
from gateway.transfer.values import Message, Report, Source, SourceFolder
from gateway.wire.imap import mutf7
from gateway.wire.imap.dates import parse_date_time
from tests.store.house import ALICE, House
from tests.support.dovecot import DovecotHome, dovecot_home, dovecot_port
from tests.support.gateway_process import ROOT
from tests.support.imap_talk import ImapTalk, Text, Value
from tests.support.waiting import eventually

Picture = dict[str, tuple[int, int, dict[int, tuple[Flags, int, bytes]]]]
"""UIDVALIDITY, UIDNEXT, and of each message by UID flags, date and octets; by mailbox."""

FOLDERS = ("INBOX", "Work/2003", "Entwürfe & Söhne", "Sent")


def message(number: int, octets: int = 300) -> bytes:
    filler = b"".join(b"line %d of %d\r\n" % (line, number) for line in range(octets // 16))
    return b"From: a@example.test\r\nSubject: message %d\r\n\r\n%b" % (number, filler)


def wire(name: str) -> bytes:
    return b'"%b"' % mutf7.encode(name)


def fill(talk: ImapTalk, count: int = 6) -> None:
    """Messages with flags, keywords and dates; some deleted, so that UIDs have gaps."""
    for index, folder in enumerate(FOLDERS):
        if folder != "INBOX":
            talk.do(b"CREATE " + wire(folder))
            talk.do(b"SUBSCRIBE " + wire(folder))
        for number in range(count):
            flags = (b"\\Seen", b"$Forwarded Work", b"\\Flagged \\Answered", b"\\Draft", b"")[
                number % 5
            ]
            talk.do(
                b'APPEND %b (%b) "%02d-Feb-2003 10:%02d:00 +0100" %%b'
                % (wire(folder), flags, number % 27 + 1, index),
                message(number, 300 if number else 1_500_000),
            )
        talk.do(b"SELECT " + wire(folder))
        talk.do(b"STORE 2,%d +FLAGS (\\Deleted)" % count)
        talk.do(b"EXPUNGE")
    talk.do(b"SELECT INBOX")


def picture(talk: ImapTalk) -> Picture:
    found: Picture = {}
    for folder in FOLDERS:
        untagged = b"\n".join(talk.do(b"EXAMINE " + wire(folder)))
        numbers = [
            int(re.search(rb"\[%b (\d+)" % name, untagged)[1])  # type: ignore[index]
            for name in (b"UIDVALIDITY", b"UIDNEXT")
        ]
        messages: dict[int, tuple[Flags, int, bytes]] = {}
        for items in talk.fetch(b"1:*", b"UID FLAGS INTERNALDATE BODY.PEEK[]").values():
            uid, flags, octets = items[b"UID"], items[b"FLAGS"], items[b"BODY[]"]
            assert isinstance(uid, bytes) and isinstance(flags, list) and isinstance(octets, Text)
            messages[int(uid)] = (_flags(flags), _date(items[b"INTERNALDATE"]), bytes(octets))
        found[folder] = (numbers[0], numbers[1], messages)
    return found


def _flags(values: list[Value]) -> Flags:
    names = [value.decode() for value in values if isinstance(value, bytes)]
    return Flags(name for name in names if name != "\\Recent")


def _date(value: Value) -> int:
    assert isinstance(value, bytes)
    date = parse_date_time(value)
    assert date is not None
    return date


def stored(house: House) -> Picture:
    found: Picture = {}
    for folder in FOLDERS:
        mailbox = house.find(name=folder)
        messages = {
            int(row.uid): (row.flags, row.internal_date, house.octets(row))
            for row in house.rows(name=folder)
        }
        found[folder] = (mailbox.uid_validity, int(mailbox.uid_next), messages)
    return found


def bring(house: House, source: Source, **options: bool) -> Report:
    importer = Importer(
        house.wait, house.store, house.store.imports, ALICE, lambda *_: None, **options
    )
    try:
        return importer.run(source)
    finally:
        source.close()


def maildir_of(home: DovecotHome, options: MaildirOptions | None = None) -> MaildirSource:
    return MaildirSource(home.maildir, options or MaildirOptions(), NameRules({}))


def imap_of(port: int, sleeps: list[float] | None = None) -> ImapSource:
    server = ImapServer("127.0.0.1", port, "bob", "secret", tls="none")
    slept = sleeps if sleeps is not None else []
    connection = ImapConnection(server, slept.append)
    return ImapSource(connection, "imap://bob@127.0.0.1", ImapOptions(), NameRules({}))


def copied(report: Report) -> int:
    return sum(one.copied for one in report.folders)


@pytest.fixture
def home() -> Iterator[DovecotHome]:
    with dovecot_home() as made:
        with made.session() as talk:
            fill(talk)
        yield made


@pytest.mark.parametrize("layout", ["maildir++", "fs"])
def test_a_maildir_moves_in_and_out_again(tmp_path: Path, layout: str) -> None:
    fs = ":LAYOUT=fs" if layout == "fs" else ""
    with dovecot_home(fs) as old:
        with old.session() as talk:
            fill(talk)
            before = picture(talk)
        with House(tmp_path / "state") as house:
            report = bring(house, maildir_of(old))
            assert (report.troubles, report.stopped) == ([], "")
            assert all(one.kept_uids for one in report.folders if one.copied)
            assert stored(house) == before
            again = bring(house, maildir_of(old))
            assert (copied(again), sum(one.already for one in again.folders)) == (0, 16)
            listed = house.wait(house.store.list_mailboxes(ALICE))
            assert {"Work/2003", "Entwürfe & Söhne"} <= {o.name for o in listed if o.subscribed}
            house.verify()
            target = MaildirTarget(tmp_path / "out", "fs" if layout == "fs" else "maildir++")
            exported = Exporter(house.wait, house.store, ALICE, lambda *_: None).run(target)
            assert exported.all_is_well
            assert copied(exported) == 16
        with dovecot_home(fs) as new:
            shutil.copytree(tmp_path / "out", new.maildir)
            new.hand_over()
            with new.session() as talk:
                assert picture(talk) == before
                assert any(b"Work/2003" in line for line in talk.do(b'LSUB "" "*"'))


def test_pop3_names_are_those_of_dovecot(tmp_path: Path, home: DovecotHome) -> None:
    """``%08Xu%08Xv`` unless the list has a name of its own, as after an earlier migration."""
    uid_list = home.maildir / "dovecot-uidlist"
    text = re.sub(r"(?m)^3 (?!V)", "3 Pold-name ", uid_list.read_text(), count=1)
    uid_list.write_text(text)
    with House(tmp_path) as house:
        bring(house, maildir_of(home))
        inbox = house.find()
        uidls = house.wait(house.store.uidls(inbox.mailbox_id))
        assert uidls[house.rows()[0].uid] == f"{1:08x}{inbox.uid_validity:08x}"
        assert "old-name" in uidls.values()
        assert len(uidls) == len(house.rows())


def test_messages_are_found_while_dovecot_renames_them(home: DovecotHome) -> None:
    with home.session() as talk, closing(maildir_of(home)) as source:
        inbox, *_ = source.folders()
        assert isinstance(inbox, SourceFolder)
        opened = source.open(inbox, frozenset(), bodies=True, flags=False)
        talk.do(b"SELECT INBOX")
        talk.do(b"STORE 1:* +FLAGS (\\Seen \\Deleted)")
        for item in opened.items:
            assert isinstance(item, Message)
            assert item.flags >= {"\\Seen", "\\Deleted"}


def test_imap_brings_the_same(tmp_path: Path, home: DovecotHome) -> None:
    with home.session() as talk:
        before = picture(talk)
    with House(tmp_path) as house, dovecot_port(home) as server:
        report = bring(house, imap_of(server.port))
        assert (report.troubles, report.stopped) == ([], "")
        assert stored(house) == before
        with home.session() as talk:
            talk.do(b"APPEND INBOX (\\Seen) %b", message(77))
            talk.do(b"SELECT INBOX")
            talk.do(b"STORE 1 FLAGS (\\Seen $Junk)")
        dry = bring(house, imap_of(server.port), dry_run=True)
        assert copied(dry) == 1
        assert len(house.rows()) == 4
        again = bring(house, imap_of(server.port), refresh_flags=True)
        assert copied(again) == 1
        assert sum(one.flags_set for one in again.folders) == 1
        with home.session() as talk:
            assert stored(house) == picture(talk)
        house.verify()


def test_a_connection_that_breaks_is_made_again(tmp_path: Path, home: DovecotHome) -> None:
    with home.session() as talk:
        before = picture(talk)
    sleeps: list[float] = []
    with House(tmp_path) as house, dovecot_port(home) as server:
        server.cuts = [3_000, 900_000, 2_500, 1_700_000]
        report = bring(house, imap_of(server.port, sleeps))
        assert (report.troubles, report.stopped) == ([], "")
        assert stored(house) == before
        assert server.logins == 5
        assert sleeps == [1.0] * 4
        house.verify()


_PULL = """
import sys
from pathlib import Path
from tests.store.house import House
from tests.system.test_import_dovecot import bring, imap_of
with House(Path(sys.argv[1])) as house:
    report = bring(house, imap_of(int(sys.argv[2])))
    sys.exit(not report.all_is_well)
"""


def test_a_pull_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    """kill -9 at several moments: nothing twice, nothing missing."""
    state = tmp_path / "state"
    with dovecot_home() as old:
        with old.session() as talk:
            fill(talk, 60)
            before = picture(talk)
        with dovecot_port(old) as server:
            command = [sys.executable, "-c", _PULL, str(state), str(server.port)]
            environ = {**os.environ, "PYTHONPATH": str(ROOT)}
            for megabytes in (1, 3, 6):
                process = subprocess.Popen(command, env=environ)
                eventually(partial(_is_beyond, state, megabytes * 500_000, process))
                process.send_signal(signal.SIGKILL)
                process.wait(30)
            assert subprocess.run(command, env=environ, check=False, timeout=60).returncode == 0
        assert verify(state).sound
        with House(state) as house:
            assert stored(house) == before


def _is_beyond(state: Path, octets: int, process: subprocess.Popen[bytes]) -> bool:
    return _octets_in(state) > octets or process.poll() is not None


def _octets_in(state: Path) -> int:
    octets = 0
    for path in (state / "store").rglob("*"):
        try:
            octets += path.stat().st_size if path.suffix == ".seg" or path.parent.name in (
                "large", "incoming") else 0  # fmt: skip
        except OSError:
            continue
    return octets


def test_a_wrong_password_says_so(tmp_path: Path, home: DovecotHome) -> None:
    with House(tmp_path) as house, dovecot_port(home) as server:
        wrong = ImapServer("127.0.0.1", server.port, "bob", "wrong", tls="none")
        source = ImapSource(
            ImapConnection(wrong, time.sleep), "imap://bob@x", ImapOptions(), NameRules({})
        )
        report = bring(house, source)
        assert "does not let bob in" in report.stopped
        assert "wrong" not in report.stopped
