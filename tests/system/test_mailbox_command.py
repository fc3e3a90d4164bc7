"""``gateway mailbox`` beside the running gateway: its sessions see what the command does."""

from __future__ import annotations

import json
import poplib
from pathlib import Path

from tests.support.gateway_process import BIN, Demo, running_demo
from tests.support.idlers import Idler
from tests.support.mail import BOB, empty_inbox, imap, inbox, send_all
from tests.support.programs import run

MESSAGES = [b"Subject: %s\r\n\r\nkept\r\n" % name for name in (b"one", b"two", b"three")]


def command(demo: Demo, *arguments: str) -> str:
    line = [str(BIN / "python"), "-m", "gateway", "mailbox", *arguments]
    return run([*line, "--config", str(demo.config)]).stdout.decode()


def subjects(demo: Demo, *arguments: str) -> list[str]:
    rows = json.loads(command(demo, "deleted", "bob", *arguments, "--json"))
    return [row["subject"] for row in rows]


def test_deleted_mail_comes_back_while_sessions_watch(demo: Demo) -> None:
    send_all(demo.port(25), MESSAGES)
    kept = inbox(demo.port(143))
    empty_inbox(demo.port(143))
    assert subjects(demo) == ["three", "two", "one"]
    idler = Idler(demo.port(143))
    try:
        assert "INBOX                3" in command(demo, "undelete", "bob", "--mailbox", "INBOX")
        idler.hears_exists()
    finally:
        idler.close()
    assert inbox(demo.port(143)) == kept
    assert subjects(demo) == []

    pop3 = poplib.POP3("127.0.0.1", demo.port(110), timeout=60)
    pop3.user(BOB[0])
    pop3.pass_(BOB[1])
    pop3.dele(2)
    pop3.quit()
    assert subjects(demo) == ["two"]
    with imap(demo.port(143), BOB) as client:
        client.create("Work/Old")
        client.select("INBOX")
        client.copy("1:*", "Work/Old")
        client.unselect()
        client.delete("Work/Old")
        client.delete("Work")
    assert subjects(demo, "--mailbox", "Work/Old") == ["three", "one"]
    command(demo, "undelete", "bob", "--mailbox", "Work/Old")
    with imap(demo.port(143), BOB) as client:
        assert client.select('"Work/Old"') == ("OK", [b"2"])
        assert client.search(None, "DELETED")[1] == [b""]


def test_what_the_command_made_is_there_for_clients_and_after_a_restart(folder: Path) -> None:
    with running_demo(folder) as demo:
        command(demo, "create", "bob", "Work", "--special-use", "Archive")
        with imap(demo.port(143), BOB) as client:
            assert any(b"Work" in line for line in client.lsub()[1] if isinstance(line, bytes))
        assert demo.stop() == 0
        command(demo, "create", "bob", "Alone")  # nobody else has the store now
        demo.start()
        assert "Alone" in command(demo, "list", "bob")
        run([str(BIN / "python"), "-m", "gateway", "verify", "--config", str(demo.config)])
