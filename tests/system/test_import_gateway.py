"""``gateway import imap`` beside a running gateway: its own IMAP door is the old server."""

from __future__ import annotations

import imaplib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.gateway_process import ROOT, Demo
from tests.support.mail import ALICE, BOB, trusting
from tests.support.waiting import eventually

APPENDED = b"Subject: moved\r\n\r\nHello\r\n"


def pull(demo: Demo, password_file: Path, *options: object) -> subprocess.CompletedProcess[str]:
    """Bob gets what Alice has."""
    command: Sequence[object] = (
        sys.executable, "-m", "gateway", "import", "imap", BOB[0], "--config", demo.config,
        "--host", "localhost", "--user", ALICE[0], "--password-file", password_file, *options,
    )  # fmt: skip
    return subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def session(demo: Demo, who: tuple[str, str]) -> imaplib.IMAP4:
    client = imaplib.IMAP4("127.0.0.1", demo.port(143), timeout=60)
    client.starttls(trusting())
    client.login(*who)
    return client


def new_count(client: imaplib.IMAP4) -> object:
    """What the selected mailbox is said to hold, if something is said."""
    client.noop()
    return client.response("EXISTS")[1][-1]


def test_mail_moves_while_the_gateway_runs(demo: Demo, tmp_path: Path) -> None:
    password_file = tmp_path / "password"
    password_file.write_text(ALICE[1] + "\n")
    certificate = demo.folder / "tls-certificate.pem"
    if not certificate.exists():
        (certificate,) = [
            path for path in demo.folder.rglob("*.pem") if b"CERTIFICATE-----" in path.read_bytes()
        ]
    with session(demo, ALICE) as old:
        old.create("Moving/Around")
        old.append("Moving/Around", "(\\Flagged $Work)", '"03-Feb-2003 10:00:00 +0100"', APPENDED)

    refused = pull(demo, password_file, "--port", demo.port(993))
    assert refused.returncode == 1
    assert "does not prove who it is" in refused.stderr

    with session(demo, BOB) as open_session:
        open_session.create("Moving/Around")
        open_session.select("Moving/Around")
        starttls = ("--starttls", "--port", demo.port(143), "--ca-file", certificate)
        done = pull(demo, password_file, *starttls)
        assert (done.returncode, done.stderr[-300:] if done.returncode else "") == (0, "")
        # Who looks into the mailbox sees it come.
        eventually(lambda: new_count(open_session) == b"1")
        _, data = open_session.fetch("1", "(FLAGS INTERNALDATE BODY.PEEK[])")
        assert isinstance(data[0], tuple)
        assert data[0][1] == APPENDED
        shown = data[0][0] + (data[1] if isinstance(data[1], bytes) else b"")
        assert b"\\Flagged" in shown
        assert b'"03-Feb-2003 09:00:00 +0000"' in shown or b'" 3-Feb-2003 09:00:00' in shown

    again = pull(demo, password_file, "--port", demo.port(993), "--ca-file", certificate)
    assert again.returncode == 0
    total = again.stdout.splitlines()[-1].split()
    assert total[0] == "total"
    assert total[2:5] == ["0", total[1], "0"]
    assert ALICE[1] not in done.stdout + done.stderr + again.stdout + refused.stderr
