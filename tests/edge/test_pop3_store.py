"""POP3 over the real store: what was delivered comes out, what QUIT removes is gone for good."""

from __future__ import annotations

import time
from pathlib import Path

from gateway.core.messages import NewMessage
from gateway.edge.pop3_transaction import CHUNK_OCTETS
from gateway.store.store import Store
from tests.support.pop3_fakes import ALICE, Client, Pop3Bench
from tests.support.pump import Pump


class Mail:
    """A store on disk, its pump, and a door over it."""

    def __init__(self, folder: Path) -> None:
        self.pump = Pump()
        self.store = Store.open(
            folder, call_from_thread=self.pump.call_from_thread, wall_clock=time.time
        )
        self.bench = Pop3Bench(real_store=self.store)
        self._serial = 0

    def deliver(self, message: bytes) -> None:
        body = self.store.open_body()
        body.write(message)
        self._serial += 1
        new = NewMessage(
            f"{time.time_ns()}-{self._serial}", None, b"", b"", body, (ALICE.account_id,), (), 0
        )
        self.pump.wait(self.store.accept(new))

    def say(self, client: Client, line: bytes, end: bytes = b"\r\n") -> bytes:
        reply = client.say(line)
        while not reply.endswith(end):
            self.pump.until(client.transport.value)
            reply += client.read()
        return reply

    def login(self) -> Client:
        client = self.bench.connect()
        self.say(client, b"USER alice")
        assert self.say(client, b"PASS secret").startswith(b"+OK ")
        return client

    def close(self) -> None:
        self.pump.wait(self.store.close())


def test_delivered_messages_come_out_and_go_by_quit(tmp_path: Path) -> None:
    mail = Mail(tmp_path)
    small = b"Subject: small\r\n\r\n.dot\r\n"
    large = b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * (5 * CHUNK_OCTETS // 18)
    for message in (small, large, b"third"):
        mail.deliver(message)
    client = mail.login()
    end = b"\r\n.\r\n"
    assert mail.say(client, b"STAT") == b"+OK 3 %d\r\n" % (len(small) + len(large) + 5)
    assert mail.say(client, b"RETR 1", end).endswith(b"\r\nSubject: small\r\n\r\n..dot" + end)
    assert mail.say(client, b"RETR 2", end).partition(b"\r\n")[2] == large + b".\r\n"
    assert mail.say(client, b"TOP 2 1", end).endswith(b"\r\n\r\n0123456789abcdef" + end)
    ids = mail.say(client, b"UIDL", end).split(b"\r\n")[1:-2]
    mail.deliver(b"fourth")  # the session does not notice
    mail.say(client, b"DELE 1")
    mail.say(client, b"DELE 2")
    assert mail.say(client, b"QUIT") == b"+OK bye\r\n"
    client.lose()
    mail.close()

    again = Mail(tmp_path)  # P4: unique ids survive a restart and are not given to others
    client = again.login()
    left = again.say(client, b"UIDL", end).split(b"\r\n")[1:-2]
    assert len(left) == 2 and left[0].split()[1] == ids[2].split()[1]
    assert left[1].split()[1] not in {line.split()[1] for line in ids}
    assert again.say(client, b"RETR 2", end).endswith(b"\r\nfourth" + end)
    client.lose()
    again.close()


def test_P5_the_lock_is_the_session_s(tmp_path: Path) -> None:
    mail = Mail(tmp_path)
    mail.deliver(b"one")
    first = mail.login()
    mail.say(first, b"DELE 1")
    second = mail.bench.connect()
    mail.say(second, b"USER alice")
    assert mail.say(second, b"PASS secret").startswith(b"-ERR [IN-USE] ")
    mail.deliver(b"two")  # delivery is not hindered
    first.lose()
    mail.say(second, b"USER alice")
    assert mail.say(second, b"PASS secret").startswith(b"+OK 2 messages")
    second.lose()
    mail.close()
