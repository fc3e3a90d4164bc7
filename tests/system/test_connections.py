"""Many connections and few descriptors; the end while clients shake hands or sleep."""

from __future__ import annotations

import imaplib
import smtplib
import socket
import sys
from pathlib import Path

from gateway.app.server import DRAIN_LIMIT_S
from tests.support.gateway_process import Demo
from tests.support.mail import ALICE, BOB, trusting
from tests.support.programs import need
from tests.support.waiting import eventually

FILES = 150
MESSAGE = b"Subject: x\r\n\r\n" + (b"y" * 70 + b"\r\n") * 30_000  # a file of its own in the store


# Who waits until their clients close, waits longer than DRAIN_LIMIT_S.
PATIENT = """
import runpy, sys
from gateway.edge import connection
assert connection.CLOSE_GRACE_S
connection.CLOSE_GRACE_S = 300.0
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def greeting(port: int) -> tuple[socket.socket, bytes]:
    client = socket.create_connection(("127.0.0.1", port), timeout=60)
    return client, client.recv(1000)


def test_N3_connections_leave_files_to_the_mail_and_nothing_spins(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "d")
    demo.start(command=[need("prlimit"), f"--nofile={FILES}"])
    try:
        assert any(f"{FILES} open files are allowed" in line for line in demo.output)
        sender = smtplib.SMTP("127.0.0.1", demo.port(25), timeout=60)
        clients = [greeting(demo.port(25)) for _ in range(FILES)]
        told = [words for _, words in clients]
        assert sum(words.startswith(b"220 ") for words in told) == FILES // 2 - 1
        assert sum(words.startswith(b"421 4.7.0 ") for words in told) == FILES // 2 + 1
        sender.sendmail("a@far.example", [BOB[0]], MESSAGE)
        assert demo.status()["sessions"] == {"smtp": FILES // 2}
        for client, _ in clients:
            client.close()
        eventually(lambda: demo.status()["sessions"] == {"smtp": 1})
        again, words = greeting(demo.port(25))
        assert words.startswith(b"220 ")
        again.close()
        sender.quit()
    finally:
        assert demo.stop() == 0


def test_D11_who_shakes_no_hands_and_who_sleeps_do_not_delay_the_end(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "d")
    demo.start(command=[sys.executable, "-c", PATIENT])
    clients = []
    for port, words in (
        (25, b"EHLO x\r\nSTARTTLS\r\n"),
        (110, b"STLS\r\n"),
        (143, b"a STARTTLS\r\n"),
    ):
        client, _ = greeting(demo.port(port))
        for line in words.splitlines(keepends=True):
            client.sendall(line)
            assert client.recv(1000)
        clients.append(client)
    silent = socket.create_connection(("127.0.0.1", demo.port(993)), timeout=60)
    asleep = imaplib.IMAP4_SSL("127.0.0.1", demo.port(993), ssl_context=trusting(), timeout=60)
    asleep.login(*ALICE)
    assert demo.stop(DRAIN_LIMIT_S - 2) == 0
    assert b"BYE" in asleep.readline()
    asleep.shutdown()
    for client in (*clients, silent):
        client.close()
