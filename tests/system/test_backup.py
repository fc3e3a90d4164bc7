"""Backups of a gateway under load: nothing acknowledged before one began is missing from it."""

from __future__ import annotations

import imaplib
import json
import smtplib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.gateway_process import BIN, Demo
from tests.support.mail import ALICE, BOB, imap, inbox
from tests.support.programs import run
from tests.support.waiting import eventually

SENDERS = 3
LARGE_EVERY = 25
SENDER = "sender@sender.example"


def command(*arguments: str, expect: int = 0) -> Any:
    """The result of a command of the administrator, from its JSON."""
    line = [str(BIN / "python"), "-m", "gateway", *arguments, "--json"]
    return json.loads(run(line, expect=expect, timeout_s=60).stdout)


class Load:
    """Several senders and a client that deletes, until stopped."""

    def __init__(self, demo: Demo) -> None:
        self._demo = demo
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.acknowledged: list[str] = []
        self.errors: list[BaseException] = []
        senders = [
            threading.Thread(target=self._guard, args=(self._send, number), daemon=True)
            for number in range(SENDERS)
        ]
        deleting = threading.Thread(target=self._guard, args=(self._delete, 0), daemon=True)
        self._threads = [*senders, deleting]
        for thread in self._threads:
            thread.start()

    def so_far(self) -> set[str]:
        with self._lock:
            return set(self.acknowledged)

    def grow(self, count: int) -> None:
        """Wait until so many more were acknowledged."""
        goal = len(self.so_far()) + count
        eventually(lambda: self.errors or len(self.so_far()) >= goal)
        assert not self.errors, self.errors

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        assert not self.errors, self.errors

    def _guard(self, work: Any, number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            self.errors.append(error)

    def _send(self, number: int) -> None:
        with smtplib.SMTP("127.0.0.1", self._demo.port(25), "client.example", 60) as client:
            count = 0
            while not self._stop.is_set():
                count += 1
                token = f"token-{number}-{count}"
                filling = b"x" * 78 + b"\r\n"
                lines = 15_000 if count % LARGE_EVERY == 0 else count % 50
                octets = b"Subject: %s\r\n\r\n" % token.encode() + filling * lines
                # Bob's stay; Alice deletes hers.
                client.sendmail(SENDER, [BOB[0], ALICE[0]], octets)
                with self._lock:
                    self.acknowledged.append(token)

    def _delete(self, _: int) -> None:
        with imap(self._demo.port(143), ALICE) as client:
            while not self._stop.is_set():
                if client.select("INBOX")[1] != [b"0"]:
                    client.store("1:*", "+FLAGS.SILENT", "(\\Deleted)")
                    client.expunge()


@contextmanager
def loaded(demo: Demo) -> Iterator[Load]:
    load = Load(demo)
    try:
        yield load
    finally:
        load._stop.set()
    load.stop()


def tokens(messages: list[bytes]) -> list[str]:
    return [
        line[9:].decode()
        for message in messages
        for line in message.split(b"\r\n\r\n", 1)[0].split(b"\r\n")
        if line.startswith(b"Subject: ")
    ]


def test_backups_under_load_restore_to_a_gateway_with_all_that_was_acknowledged(
    folder: Path, tmp_path: Path
) -> None:
    backup = str(tmp_path / "backup")
    demo = Demo(folder, workers=2)
    demo.start()
    try:
        config = ["--config", str(demo.config)]
        with loaded(demo) as load:
            load.grow(60)
            before_first = load.so_far()
            first = command("backup", backup, *config)
            load.grow(60)
            before_second = load.so_far()
            second = command("backup", backup, *config)
        assert first["damaged"] == second["damaged"] == []
        assert second["manifest"]["number"] == 2
        assert 0 < second["copied_octets"] < second["manifest"]["octets"]
        known = command("verify", *config)
        assert known["sound"], known["problems"]
        with imap(demo.port(143), BOB) as client:
            client.select("INBOX")
            uid_validity = client.response("UIDVALIDITY")
            uid_next = int(client.response("UIDNEXT")[1][0] or b"0")
        refused = [str(BIN / "python"), "-m", "gateway", "restore", backup, *config]
        assert b"in use" in run(refused, expect=1).stderr
    finally:
        demo.stop()

    restored = command("restore", backup, "--force", *config)
    assert restored["report"]["sound"], restored["report"]["problems"]
    assert Path(restored["moved_aside"]).is_dir()
    demo.start()
    try:
        found = tokens(inbox(demo.port(143)))
        assert before_first <= before_second <= set(found)
        assert len(found) == len(set(found))
        with imap(demo.port(143), BOB) as client:
            client.select("INBOX")
            assert client.response("UIDVALIDITY") == uid_validity
            assert int(client.response("UIDNEXT")[1][0] or b"0") > uid_next
            last = _last_uid(client)
            client.append("INBOX", "", "", b"Subject: after\r\n\r\n")
            client.noop()
            assert _last_uid(client) > max(last, uid_next)
        assert command("verify", *config)["sound"]
    finally:
        demo.stop()


def _last_uid(client: imaplib.IMAP4) -> int:
    _, found = client.uid("SEARCH", "ALL")
    return int(found[0].split()[-1])
