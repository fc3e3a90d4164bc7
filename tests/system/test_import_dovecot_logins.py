"""Whole Dovecot, with its logins: a master user moves many people, and POP3 names stay the same."""

from __future__ import annotations

import imaplib
import os
import poplib
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.gateway_process import ROOT, Demo
from tests.support.mail import ALICE, BOB, trusting
from tests.support.ports import free_port
from tests.support.programs import need
from tests.support.waiting import eventually

MASTER = ("admin", "m4ster secret")
CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = imap pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
mail_location = maildir:{folder}/%n/Maildir
first_valid_uid = {uid}
first_valid_gid = {gid}
{users}
passdb {{
  driver = passwd-file
  args = {folder}/masters
  master = yes
}}
passdb {{
  driver = passwd-file
  args = {folder}/people
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/%n allow_all_users=yes
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
}}
service anvil {{
  chroot =
}}
"""


class OldServer:
    """``alice`` and ``bob`` have mail there."""

    def __init__(self, folder: Path) -> None:
        program = need("/usr/sbin/dovecot")
        need("/usr/lib/dovecot/pop3")
        self.imap_port = free_port()
        self.pop3_port = free_port()
        owner = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        users = (
            ""
            if os.getuid() == 0
            else f"default_internal_user = {owner.pw_name}\ndefault_login_user = {owner.pw_name}"
        )
        (folder / "masters").write_text(f"{MASTER[0]}:{{PLAIN}}{MASTER[1]}\n")
        (folder / "people").write_text("alice:{PLAIN}a-secret\nbob:{PLAIN}b-secret\n")
        for name in ("alice", "bob"):
            (folder / name).mkdir()
            if os.getuid() == 0:
                os.chown(folder / name, owner.pw_uid, owner.pw_gid)
        config = folder / "dovecot.conf"
        config.write_text(
            CONFIG.format(
                folder=folder,
                uid=owner.pw_uid,
                gid=owner.pw_gid,
                users=users,
                imap=self.imap_port,
                pop3=self.pop3_port,
            )
        )
        folder.chmod(0o755)
        self.process = subprocess.Popen([program, "-F", "-c", str(config)])
        eventually(self._answers)

    def _answers(self) -> bool:
        with suppress(OSError, poplib.error_proto):
            poplib.POP3("127.0.0.1", self.pop3_port, timeout=5).quit()
            return True
        return False

    def session(self, name: str) -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=60)
        client.login(name, f"{name[0]}-secret")
        return client

    def uidls(self, name: str) -> list[bytes]:
        client = poplib.POP3("127.0.0.1", self.pop3_port, timeout=60)
        client.user(name)
        client.pass_(f"{name[0]}-secret")
        return names_of(client)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def names_of(client: poplib.POP3) -> list[bytes]:
    try:
        return [line.split(b" ", 1)[1] for line in client.uidl()[1]]
    finally:
        client.quit()


@pytest.fixture
def old() -> Iterator[OldServer]:
    # Not below pytest's own directories: those are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="dovecot-"))
    server = None
    try:
        server = OldServer(folder)
        yield server
    finally:
        if server is not None:
            server.close()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_master_user_moves_many_people_and_pop3_names_stay(
    demo: Demo, old: OldServer, tmp_path: Path
) -> None:
    for name, count in (("alice", 5), ("bob", 3)):
        with old.session(name) as client:
            for number in range(count):
                client.append(
                    "INBOX", "", "", b"Subject: %s %d\r\n\r\nHello\r\n" % (name.encode(), number)
                )
            client.select("INBOX")
            client.store("2", "+FLAGS", "\\Deleted")
            client.expunge()
    people = tmp_path / "people.csv"
    people.write_bytes(f"\ufeff# person, login\n{ALICE[0]},alice\n{BOB[0]},bob\n".encode())
    password = tmp_path / "password"
    password.write_text(MASTER[1] + "\n")
    command = [
        sys.executable, "-m", "gateway", "import", "imap", "--config", str(demo.config),
        "--host", "127.0.0.1", "--port", str(old.imap_port), "--no-tls",
        "--people-file", str(people), "--auth-user", MASTER[0], "--password-file", str(password),
        "--pop3-uidl", "%08Xu%08Xv",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert f"{ALICE[0]}:" in done.stdout
    assert MASTER[1] not in done.stdout + done.stderr
    for name, count, who in (("alice", 4, ALICE), ("bob", 2, BOB)):
        before = old.uidls(name)
        assert len(before) == count
        here = poplib.POP3("127.0.0.1", demo.port(110), timeout=60)
        here.stls(trusting())
        here.user(who[0])
        here.pass_(who[1])
        assert [one for one in names_of(here) if one in before] == before

    password.write_text("wrong\n")
    refused = subprocess.run(
        [*command, "--json"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert refused.returncode == 1
    assert "does not let alice in" in refused.stdout
    assert "does not let bob in" in refused.stdout
