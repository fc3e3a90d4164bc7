"""Mail programs that people use: curl and swaks send, mutt and mbsync and curl read."""

from __future__ import annotations

import mailbox
import shlex
from pathlib import Path

from tests.support.gateway_process import Demo
from tests.support.mail import ALICE, BOB, imap, inbox
from tests.support.programs import need, run


def deliver(demo: Demo, subject: str, body: str = "Hello\r\n") -> None:
    program = need("swaks")
    run(
        [program, "--server", "127.0.0.1", "--port", str(demo.port(25)), "--silent", "2"]
        + ["--from", "someone@elsewhere.example", "--to", BOB[0], "--helo", "client.example"]
        + ["--header", f"Subject: {subject}", "--body", body]
    )


def test_swaks_delivers_over_smtp(demo: Demo) -> None:
    deliver(demo, "from swaks")
    assert any(b"Subject: from swaks" in message for message in inbox(demo.port(143)))


def test_swaks_submits_with_each_mechanism_and_tls(demo: Demo) -> None:
    program = need("swaks")
    common = ["--from", ALICE[0], "--to", BOB[0], "--au", ALICE[0], "--ap", ALICE[1]]
    for ways in (
        ["--port", str(demo.port(587)), "--tls", "--auth", "PLAIN"],
        ["--port", str(demo.port(587)), "--tls", "--auth", "LOGIN"],
        ["--port", str(demo.port(465)), "--tlsc", "--auth", "PLAIN"],
        ["--port", str(demo.port(2525)), "--auth", "LOGIN", "--pipeline"],
    ):
        run([program, "--server", "127.0.0.1", *common, *ways, "--silent", "2"])


def test_swaks_is_told_that_a_password_is_wrong(demo: Demo) -> None:
    program = need("swaks")
    result = run(
        [program, "--server", "127.0.0.1", "--port", str(demo.port(587)), "--tls"]
        + ["--from", ALICE[0], "--to", BOB[0], "--au", ALICE[0], "--ap", "wrong"],
        expect=28,
    )
    assert b"535 5.7.8" in result.stdout


def test_curl_sends_reads_searches_and_deletes(demo: Demo, tmp_path: Path) -> None:
    program = need("curl")
    message = tmp_path / "message"
    message.write_bytes(b"From: alice@example.test\r\nSubject: curl was here\r\n\r\nBody\r\n")
    login = ["-sS", "-k", "-u", ":".join(ALICE)]
    run(
        [program, *login, "--ssl-reqd", f"smtp://127.0.0.1:{demo.port(587)}", "-T", str(message)]
        + ["--mail-from", ALICE[0], "--mail-rcpt", ALICE[0]]
    )
    url = f"imaps://127.0.0.1:{demo.port(993)}/INBOX"
    found = run([program, *login, f"{url}?SUBJECT%20%22curl%20was%22"]).stdout
    assert found.strip() == b"* SEARCH 1"
    assert b"curl was here" in run([program, *login, f"{url};UID=1"]).stdout
    run([program, *login, url, "-X", "STORE 1 +FLAGS \\Deleted"])
    run([program, *login, url, "-X", "EXPUNGE"])
    assert run([program, *login, f"{url}?ALL"]).stdout.strip() == b"* SEARCH"
    listed = run([program, *login, f"pop3s://127.0.0.1:{demo.port(995)}/"]).stdout
    assert listed.strip() == b""


MBSYNC = """
IMAPAccount demo
Host 127.0.0.1
Port {port}
User {login}
Pass {password}
SSLType None
AuthMechs {mechanism}

IMAPStore far
Account demo

MaildirStore near
Path {folder}/
Inbox {folder}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
Sync All
SyncState *
"""


def test_mbsync_mirrors_both_ways(demo: Demo, tmp_path: Path) -> None:
    program = need("mbsync")
    deliver(demo, "for mbsync")
    folder = tmp_path / "mail"
    folder.mkdir()
    config = tmp_path / "mbsyncrc"
    values = {"port": demo.port(143), "login": BOB[0], "password": BOB[1], "folder": folder}
    config.write_text(MBSYNC.format(**values, mechanism="LOGIN"))
    run([program, "-c", str(config), "-a"])
    local = mailbox.Maildir(folder / "INBOX", create=False)
    assert any(message["Subject"] == "for mbsync" for message in local)
    assert (folder / "Sent").is_dir(), "the special-use folders are mirrored"

    # A flag set here, a message and a folder made here arrive there.
    key = next(key for key, message in local.items() if message["Subject"] == "for mbsync")
    message = local[key]
    message.add_flag("F")
    message.set_subdir("cur")
    local[key] = message
    projects = mailbox.Maildir(folder / "Projects")
    projects.add(b"Subject: written offline\n\nBody\n")
    config.write_text(MBSYNC.format(**values, mechanism="PLAIN"))
    run([program, "-c", str(config), "-a"])
    with imap(demo.port(143), BOB) as client:
        client.select("INBOX", readonly=True)
        _, (found,) = client.search(None, "FLAGGED", "SUBJECT", '"for mbsync"')
        assert len(found.split()) == 1
        status, (count,) = client.select("Projects", readonly=True)
        assert (status, count) == ("OK", b"1")


def test_mutt_reads_over_imap_and_pop3(demo: Demo, tmp_path: Path) -> None:
    program = need("mutt")
    deliver(demo, "for mutt")
    (tmp_path / "Mail").mkdir()  # mutt would ask whether to make it
    rc = tmp_path / "muttrc"
    rc.write_text(
        f'set imap_user="{BOB[0]}"\nset imap_pass="{BOB[1]}"\n'
        f'set pop_user="{BOB[0]}"\nset pop_pass="{BOB[1]}"\n'
        "set ssl_starttls=no\nset ssl_force_tls=no\nset tunnel_is_secure=yes\n"
        'set header_cache=""\nset mail_check_stats=no\nset confirmappend=no\nset confirmcreate=no\n'
    )
    environ = {"HOME": str(tmp_path), "TERM": "xterm"}
    for url in (f"imap://127.0.0.1:{demo.port(143)}/INBOX", f"pop://127.0.0.1:{demo.port(110)}"):
        copy = tmp_path / url.split(":")[0]
        pushed = f"<limit>~s mutt<enter><copy-message>{copy}<enter><exit>"
        mutt = shlex.join([program, "-n", "-F", str(rc), "-e", f'push "{pushed}"', "-f", url])
        # script(1) gives it the terminal without which mutt would send mail instead of reading.
        run([need("script"), "-qec", mutt, "/dev/null"], environ=environ, timeout_s=30)
        assert b"Subject: for mutt" in copy.read_bytes()
