"""Accounts as files, and that what went out comes in again."""

from __future__ import annotations

import json
import mailbox
import os
from contextlib import closing
from pathlib import Path

import pytest

from gateway.core.ids import AccountId
from gateway.transfer.exporting import Exporter, Target
from gateway.transfer.importing import Importer
from gateway.transfer.maildir import MaildirOptions, MaildirSource
from gateway.transfer.maildir_target import MaildirTarget
from gateway.transfer.mbox import MboxOptions, MboxSource
from gateway.transfer.mbox_target import MboxFile, MboxTarget
from gateway.transfer.names import NameRules
from gateway.transfer.own_directory import MARKER
from gateway.transfer.values import Report, Source
from tests.store.house import ALICE, BOB, LARGE, House

PLAIN = b"Return-Path: <a@x.test>\r\nSubject: 1\r\n\r\nFrom here\r\n>From there\r\n\r\n"
OWN_STATE = b"Status: shipped\r\nX-UID: 99\r\n folded\r\nSubject: 2\r\n\r\nlast line"
NO_HEADER = b"\r\nbody alone\r\n"
LONG = b"Subject: 3\r\n\r\n" + b"From " + b"z" * 300_000 + b"\r\nFrom \r\n"


def filled(house: House) -> None:
    house.append("INBOX", PLAIN, flags=("\\Seen", "$Forwarded"), date=1_044_262_800)
    house.append("INBOX", OWN_STATE, flags=("\\Answered", "\\Flagged", "Work"))
    house.append("INBOX", NO_HEADER, flags=("\\Draft", "\\Deleted"))
    house.append("INBOX", LONG, LARGE)
    house.wait(house.store.expunge(house.box(), ((3, 3),), only_deleted=False))
    house.wait(house.store.create_mailbox(ALICE, "Wörk.x/2003"))
    house.append("Wörk.x/2003", NO_HEADER)


def run(house: House, target: Target, only: str = "", *, dry_run: bool = False) -> Report:
    exporter = Exporter(house.wait, house.store, ALICE, lambda *_: None, dry_run=dry_run)
    return exporter.run(target, only)


def bring(house: House, source: Source, account: AccountId = BOB) -> Report:
    with closing(source):
        return Importer(house.wait, house.store, house.store.imports, account, lambda *_: None).run(
            source
        )


def copied(report: Report) -> int:
    assert report.all_is_well, (report.troubles, report.stopped)
    return sum(one.copied for one in report.folders)


def as_python_reads(path: Path) -> int:
    with closing(mailbox.mbox(path, create=False)) as found:
        return len(found)


def maildir_source(path: Path) -> MaildirSource:
    return MaildirSource(path, MaildirOptions(), NameRules({}))


def mbox_source(path: Path) -> MboxSource:
    return MboxSource(path, MboxOptions(), NameRules({}))


def test_a_maildir_comes_in_again_as_it_went_out(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with House(tmp_path / "a") as house:
        filled(house)
        assert copied(run(house, MaildirTarget(out, "maildir++"))) == 5
        inbox, rows = house.find(), house.rows()
    assert (out / ".W&APY-rk_x.2003" / "maildirfolder").exists()
    assert not list(out.rglob("tmp/*"))
    with House(tmp_path / "b") as house:
        bring(house, maildir_source(out), ALICE)
        assert house.find().uid_validity == inbox.uid_validity
        assert house.find().uid_next == inbox.uid_next
        found = house.rows()
        assert [(r.uid, r.flags, r.internal_date) for r in found] == [
            (r.uid, r.flags, r.internal_date) for r in rows
        ]
        assert house.contents() == [PLAIN, OWN_STATE, LONG, LARGE]
        assert house.contents(name="Wörk_x/2003") == [NO_HEADER]
        # What POP3 called them there, it calls them here.
        uidls = house.wait(house.store.uidls(house.box()))
        assert uidls[rows[0].uid] == f"{inbox.uid_validity}.{rows[0].uid}"


def test_a_second_export_adds_what_is_new(tmp_path: Path) -> None:
    with House(tmp_path / "a") as house:
        filled(house)
        for kind, path in (("maildir", tmp_path / "m"), ("mbox", tmp_path / "x")):
            make = MboxTarget if kind == "mbox" else lambda at: MaildirTarget(at, "fs")
            assert copied(run(house, make(path), "INBOX")) == 4
            before = {p: p.stat().st_mtime_ns for p in path.rglob("*") if "mail-gateway" in p.name}
            house.append("INBOX", b"Subject: new\r\n\r\n", flags=("Late",))
            report = run(house, make(path))
            assert copied(report) == 2
            assert sum(one.already for one in report.folders) == 4
            house.wait(house.store.expunge(house.box(), ((6, 99),), only_deleted=False))
            for p in before.keys() - {path / MARKER}:
                assert p.stat().st_mtime_ns == before[p]


def test_mbox_comes_in_again_as_it_went_out(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with House(tmp_path / "a") as house:
        filled(house)
        assert copied(run(house, MboxTarget(out))) == 5
        inbox, rows = house.find(), house.rows()
    assert as_python_reads(out / "INBOX") == 4
    assert (
        (out / "INBOX").read_bytes().startswith(b"From a@x.test Mon Feb  3 09:00:00 2003 +0000\n")
    )
    with House(tmp_path / "b") as house:
        bring(house, mbox_source(out), ALICE)
        assert house.find().uid_validity == inbox.uid_validity
        found = house.rows()
        assert [(r.uid, r.internal_date) for r in found] == [(r.uid, r.internal_date) for r in rows]
        assert [r.flags - {"\\Seen"} for r in found] == [r.flags - {"\\Seen"} for r in rows]
        contents = house.contents()
        assert contents[0] == PLAIN
        assert contents[1] == b"Subject: 2\r\n\r\nlast line\r\n"
        assert contents[2] == LONG
        assert house.contents(name="Wörk.x/2003") == [NO_HEADER]


def test_nothing_of_others_is_touched(tmp_path: Path) -> None:
    with House(tmp_path / "a") as house:
        filled(house)
        full = tmp_path / "full"
        full.mkdir()
        (full / "letter").write_bytes(b"mine")
        report = run(house, MboxTarget(full))
        assert "not empty" in report.stopped
        assert [path.name for path in full.iterdir()] == ["letter"]
        out = tmp_path / "out"
        copied(run(house, MboxTarget(out)))
        assert "another account or form" in run(house, MaildirTarget(out, "fs")).stopped
        with (out / "INBOX").open("ab") as file:
            file.write(b"From somebody else\n")
        house.append("INBOX", PLAIN)
        assert "has been changed" in run(house, MboxTarget(out)).stopped
        assert (out / "INBOX").read_bytes().endswith(b"From somebody else\n")


def test_a_maildir_that_a_server_uses_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with House(tmp_path / "a") as house:
        filled(house)
        copied(run(house, MaildirTarget(out, "maildir++")))
        with (out / "dovecot-uidlist").open("a") as file:
            file.write("77 :1700000000.M1P2.host\n")
        assert "used by a mail server" in run(house, MaildirTarget(out, "maildir++")).stopped


def test_an_interrupted_export_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with House(tmp_path / "a") as house:
        filled(house)
        finish = MboxFile.finish

        def interrupted(file: MboxFile) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(MboxFile, "finish", interrupted)
        assert "interrupted" in run(house, MboxTarget(tmp_path / "out")).stopped
        monkeypatch.setattr(MboxFile, "finish", finish)
        assert copied(run(house, MboxTarget(tmp_path / "out"))) == 5
        assert as_python_reads(tmp_path / "out" / "INBOX") == 4
        state = json.loads((tmp_path / "out" / MARKER).read_text())["state"]
        assert state["INBOX"]["size"] == (tmp_path / "out" / "INBOX").stat().st_size


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    with House(tmp_path / "a") as house:
        filled(house)
        assert copied(run(house, MboxTarget(tmp_path / "out"), dry_run=True)) == 5
        assert not (tmp_path / "out").exists()


def test_a_damaged_message_does_not_stop_the_rest(tmp_path: Path) -> None:
    with House(tmp_path / "a") as house:
        filled(house)
        (large,) = (tmp_path / "a" / "store" / "large").iterdir()
        with large.open("r+b") as file:
            file.seek(1000)
            file.write(b"?")
        report = run(house, MaildirTarget(tmp_path / "out", "maildir++"))
        assert [one.failed for one in report.folders if one.mailbox == "INBOX"] == [1]
        assert report.troubles[0].what.startswith("INBOX: UID")
        assert not report.all_is_well
        assert not list((tmp_path / "out").rglob("tmp/*"))


def test_sizes_in_names_are_those_that_dovecot_trusts(tmp_path: Path) -> None:
    target = MaildirTarget(tmp_path / "out", "maildir++")
    with House(tmp_path / "a") as house:
        house.append("INBOX", b"A: b\r\n\r\nx\r\r\n\r\n")
        copied(run(house, target, "INBOX"))
    (path,) = (tmp_path / "out" / "cur").iterdir()
    octets = path.read_bytes()
    assert octets == b"A: b\n\nx\r\n\n"
    assert f",S={len(octets)},W={len(octets) + 3}:2," in path.name
    assert os.stat(path).st_mode & 0o077 == 0


def test_keywords_beyond_those_of_a_maildir_are_told(tmp_path: Path) -> None:
    with House(tmp_path / "a") as house:
        for number in range(30):
            house.append("INBOX", PLAIN, flags=(f"k{number:02d}",))
        report = run(house, MaildirTarget(tmp_path / "out", "maildir++"))
        (trouble,) = report.troubles
        assert trouble.what == "INBOX"
        assert "left out (messages): k26 (1), k27 (1), k28 (1), k29 (1)" in trouble.why
        assert sum(one.copied for one in report.folders) == 30


@pytest.mark.parametrize("form", ["mbox", "maildir++", "fs"])
def test_names_that_come_to_one_place_keep_theirs(tmp_path: Path, form: str) -> None:
    """Also one that is made anew under its name, and names too long for a file system."""

    def target() -> Target:
        if form == "mbox":
            return MboxTarget(tmp_path / "out")
        return MaildirTarget(tmp_path / "out", "fs" if form == "fs" else "maildir++")

    def make(house: House, name: str) -> None:
        house.wait(house.store.create_mailbox(ALICE, name))
        house.append(name, PLAIN)

    with House(tmp_path / "a") as house:
        for name in ("x_y", "Z.sbd", "Z", "Z/a", "_.d", "ü" * 125 + "/" + "ü" * 125):
            make(house, name)
        first = copied(run(house, target()))
        assert first >= 6
        for name in ("x.y", ".d"):
            make(house, name)
        house.wait(house.store.delete_mailbox(ALICE, "x_y"))
        make(house, "x_y")
        assert copied(run(house, target())) == 3
        assert copied(run(house, target())) == 0
        again = run(house, target())
        assert len({one.folder for one in again.folders}) == len(again.folders)
