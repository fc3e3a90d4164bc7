"""IMAP sessions that wait in IDLE, each known to be served by one certain worker."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tests.support.gateway_process import Demo
from tests.support.mail import BOB
from tests.support.waiting import eventually

TRIES = 200


class Idler:
    """A session of ``person`` in IDLE on INBOX."""

    def __init__(self, port: int, person: tuple[str, str] = BOB) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._lines = self.socket.makefile("rb")
        self.worker = 0
        assert self._lines.readline().startswith(b"* OK")
        self._command(f"LOGIN {person[0]} {person[1]}")
        self._command("SELECT INBOX")
        self.socket.sendall(b"i IDLE\r\n")
        assert self._lines.readline().startswith(b"+")

    def _command(self, text: str) -> None:
        self.socket.sendall(f"c {text}\r\n".encode())
        while not (line := self._lines.readline()).startswith(b"c "):
            assert line, "the gateway hung up"
        assert line.startswith(b"c OK"), line

    def hears_exists(self) -> float:
        """When EXISTS has come."""
        while not (line := self._lines.readline()).endswith(b" EXISTS\r\n"):
            assert line and not line.startswith(b"* BYE"), line
        return time.monotonic()

    def hears_bye(self) -> bool:
        """Whether the gateway says goodbye before it hangs up."""
        with contextlib.suppress(ConnectionResetError):
            if any(line.startswith(b"* BYE") for line in iter(self._lines.readline, b"")):
                return True
        return False

    def close(self) -> None:
        self._lines.close()
        self.socket.close()


def imap_counts(demo: Demo) -> dict[int, int]:
    """Open IMAP sessions by worker."""
    return {
        worker["number"]: (worker["sessions"] or {}).get("imap", 0)
        for worker in demo.status()["workers"]
    }


def _back_to(demo: Demo, number: int, count: int) -> bool:
    return imap_counts(demo)[number] <= count


@contextmanager
def one_in_each_worker(demo: Demo) -> Iterator[dict[int, Idler]]:
    """The kernel decides who accepts: sessions are opened until every worker has one."""
    found: dict[int, Idler] = {}
    # Who left before may still be counted, and would then be missing beside who comes.
    eventually(lambda: not any(imap_counts(demo).values()))
    counts = imap_counts(demo)
    try:
        for _ in range(TRIES):
            if len(found) == len(counts):
                break
            before = imap_counts(demo)
            idler = Idler(demo.port(143))
            after = imap_counts(demo)
            (number,) = [each for each in after if after[each] > before[each]]
            if number in found:
                idler.close()
                # Counted out, so that the next one is told from it.
                eventually(partial(_back_to, demo, number, before[number]))
            else:
                idler.worker = number
                found[number] = idler
        assert len(found) == len(counts), f"only workers {sorted(found)} ever accepted"
        yield found
    finally:
        for idler in found.values():
            idler.close()
