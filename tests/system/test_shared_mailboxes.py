"""A group's mailbox, shared by its members: two workers, real programs, and a file of people."""

from __future__ import annotations

import imaplib
import json
import mailbox
import os
import poplib
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.gateway_process import ROOT, Demo
from tests.support.mail import ALICE, BOB, imap
from tests.support.programs import need, run
from tests.support.waiting import eventually
from tests.system.test_clients import MBSYNC

MAIL = b"From: customer@far.test\r\nTo: info@example.test\r\nSubject: %b\r\n\r\nHello\r\n"
PEOPLE = "ou=people,dc=example,dc=test"
GROUPS = f"""
dn: cn=staff,{PEOPLE}
objectClass: groupOfNames
entryUUID: 5c2f4d1e-7a36-4f0b-9a58-0d8c9e1b6b01
cn: staff
member: uid=bob,{PEOPLE}

dn: cn=info,{PEOPLE}
objectClass: groupOfNames
objectClass: inetLocalMailRecipient
entryUUID: 5c2f4d1e-7a36-4f0b-9a58-0d8c9e1b6b02
cn: info
mail: info@example.test
member: cn=staff,{PEOPLE}
member: uid=alice,{PEOPLE}

dn: cn=audit,{PEOPLE}
objectClass: groupOfNames
objectClass: inetLocalMailRecipient
entryUUID: 5c2f4d1e-7a36-4f0b-9a58-0d8c9e1b6b03
cn: audit
mail: audit@example.test
member: uid=alice,{PEOPLE}
"""
SETTINGS = """
[groups."info@example.test"]
mailbox = "shared"
[groups."audit@example.test"]
mailbox = "shared"
deliver = "both"
rights = {members = "none", "bob@example.test" = "read"}
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    gateway = Demo(tmp_path_factory.mktemp("shared") / "d", workers=2)
    gateway.prepare()
    change(gateway, "", GROUPS)
    gateway.config.write_text(gateway.config.read_text() + SETTINGS)
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()


def change(gateway: Demo, old: str, new: str) -> None:
    """In the file of people, which is read again when it changes."""
    path = gateway.folder / "people.ldif"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new) if old else text + new)


def deliver(demo: Demo, subject: bytes, to: str = "info@example.test") -> None:
    with smtplib.SMTP("127.0.0.1", demo.port(25), timeout=60) as client:
        assert client.sendmail("customer@far.test", [to], MAIL % subject) == {}


def found(client: imaplib.IMAP4, subject: str) -> bool:
    client.noop()
    return bool(client.search(None, "SUBJECT", subject)[1][0])


def command(demo: Demo, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *arguments, "--config", str(demo.config)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_members_in_different_workers_see_one_mailbox(demo: Demo) -> None:
    with ExitStack() as stack:
        # The kernel gives connections to workers as it likes: several are in both, almost surely.
        clients = [stack.enter_context(imap(demo.port(143), person)) for person in (ALICE, BOB) * 4]
        for client in clients:
            assert client.select("Shared/info")[0] == "OK"
        deliver(demo, b"for all of us")
        for client in clients:
            eventually(lambda client=client: found(client, '"for all of us"'))  # type: ignore[misc]
        (number,) = clients[0].search(None, "SUBJECT", '"for all of us"')[1]
        assert clients[0].store(number.decode(), "+FLAGS", "(\\Flagged)")[0] == "OK"
        for client in clients[1:]:
            eventually(lambda client=client: found(client, '"for all" FLAGGED'))  # type: ignore[misc]
        clients[1].store(number.decode(), "+FLAGS.SILENT", "(\\Deleted)")
        clients[1].expunge()
        for client in clients:
            eventually(lambda client=client: not found(client, '"for all"'))  # type: ignore[misc]


def test_who_reads_only_and_who_gets_copies(demo: Demo) -> None:
    deliver(demo, b"for the auditors", "audit@example.test")
    with imap(demo.port(143), BOB) as bob, imap(demo.port(143), ALICE) as alice:
        with pytest.raises(imaplib.IMAP4.readonly):
            bob.select("Shared/audit")
        assert bob.select("Shared/audit", readonly=True)[0] == "OK"
        assert found(bob, '"for the auditors"')
        assert alice.select("Shared/audit")[0] == "NO"
        alice.select("INBOX", readonly=True)
        assert found(alice, '"for the auditors"'), "a member gets a copy, and may not look there"
        bob.select("INBOX", readonly=True)
        assert not found(bob, '"for the auditors"')
    pop3 = poplib.POP3("127.0.0.1", demo.port(110), timeout=60)
    with pytest.raises(poplib.error_proto):
        pop3.user("info@example.test")
        pop3.pass_("builder")
    pop3.close()


def test_a_member_answers_in_the_groups_name(demo: Demo) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port(587), timeout=60) as client:
        client.login(*BOB)
        answer = b"From: info@example.test\r\nSubject: Re: question\r\n\r\nYes\r\n"
        assert client.sendmail("info@example.test", ["alice@example.test"], answer) == {}
        with pytest.raises(smtplib.SMTPResponseException) as refused:
            client.sendmail("audit@example.test", ["alice@example.test"], answer)
        assert refused.value.smtp_code in (550, 553)


def test_mbsync_mirrors_what_is_shared(demo: Demo, tmp_path: Path) -> None:
    program = need("mbsync")
    deliver(demo, b"for mbsync")
    folder = tmp_path / "mail"
    folder.mkdir()
    config = tmp_path / "mbsyncrc"
    values = {"port": demo.port(143), "login": BOB[0], "password": BOB[1], "folder": folder}
    config.write_text(MBSYNC.format(**values, mechanism="PLAIN"))
    # It complains of Shared/audit, where it may write nothing, and goes on.
    run([program, "-c", str(config), "-a"], expect=None)
    shared = mailbox.Maildir(folder / "Shared" / "info", create=False)
    assert any(message["Subject"] == "for mbsync" for message in shared)
    key = next(key for key, message in shared.items() if message["Subject"] == "for mbsync")
    message = shared[key]
    message.add_flag("F")
    message.set_subdir("cur")
    shared[key] = message
    run([program, "-c", str(config), "-a"], expect=None)
    with imap(demo.port(143), ALICE) as alice:
        alice.select("Shared/info", readonly=True)
        assert found(alice, '"for mbsync" FLAGGED')


def test_administrators_find_it_by_the_groups_address(demo: Demo) -> None:
    listed = json.loads(command(demo, "mailbox", "list", "info@example.test", "--json"))
    assert listed["account_id"] == "group=5c2f4d1e-7a36-4f0b-9a58-0d8c9e1b6b02"
    assert {each["name"] for each in listed["mailboxes"]} >= {"INBOX", "Sent"}
    shown = command(demo, "user", "show", "audit@example.test")
    assert "opened as   Shared/audit, by 1 members" in shown
    assert "rights      members: none, bob@example.test: read" in shown
    told = command(demo, "explain", "--from", "x@far.test", "--to", "info@example.test")
    assert "info@example.test: shared mailbox of info@example.test" in told


def test_who_leaves_the_group_is_out(demo: Demo) -> None:
    with imap(demo.port(143), BOB) as bob:
        assert bob.select("Shared/info")[0] == "OK"
        change(demo, f"cn: staff\nmember: uid=bob,{PEOPLE}", f"cn: staff\nmember: cn=no,{PEOPLE}")
        eventually(lambda: bob.select("Shared/info")[0] == "NO")
        assert all(b"Shared/info" not in line for line in bob.list()[1] if isinstance(line, bytes))
        assert bob.append("Shared/info", "", "", MAIL % b"late")[0] == "NO"
    with imap(demo.port(143), ALICE) as alice:
        assert alice.select("Shared/info")[0] == "OK"


def test_a_group_of_another_name_keeps_its_mailbox(demo: Demo) -> None:
    deliver(demo, b"under the old name")
    change(demo, f"cn=info,{PEOPLE}", f"cn=helpdesk,{PEOPLE}")
    change(demo, "mail: info@", "mail: helpdesk@example.test\nmailLocalAddress: info@")
    # Each worker reads the changed file for itself.
    eventually(lambda: _delivered(demo, b"under the new name", "helpdesk@example.test"))
    with imap(demo.port(143), ALICE) as alice:
        alice.select("Shared/info")
        assert found(alice, '"under the old name"') and found(alice, '"under the new name"')


def _delivered(demo: Demo, subject: bytes, to: str) -> bool:
    try:
        deliver(demo, subject, to)
    except smtplib.SMTPRecipientsRefused:
        return False
    return True
