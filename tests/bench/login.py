"""Logins per second over IMAP beside Dovecot, both over one slapd, in one interleaved run.

``python -m tests.bench.login``: 20 connections at a time come, log in with LOGIN, see the answer
and log out. First-time logins are of people who have not been seen before: the directory is
searched and asked for its word each time. Repeated ones are of a few people who came a moment ago.
Dovecot binds with ``auth_bind``; a cache of logins it has by default none, and with ``--cache`` it
gets its own. Prints medians of the rounds and the ratios. Needs root (for Dovecot), and Debian's
packages slapd, dovecot-imapd and dovecot-ldap.
"""

from __future__ import annotations

import argparse
import selectors
import socket
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path

from tests.bench.login_peers import DovecotPeer, GatewayPeer, Peer, people, running
from tests.support.slapd import Slapd

AT_ONCE = 20
REGULARS = 50
"""People whose logins are repeated."""


class _Client:
    """One connection, from the greeting to the goodbye."""

    def __init__(self, port: int, name: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self._login = b"a LOGIN %b pw-%b\r\n" % (name.encode(), name.encode())
        self._heard = b""
        self._said = 0

    def readable(self) -> bool:
        """Go on; True when all is done."""
        octets = self.socket.recv(65536)
        self._heard += octets
        if self._said == 0 and b"\r\n" in self._heard:
            self._said = 1
            self.socket.send(self._login)
        elif self._said == 1 and b"\r\na " in self._heard:
            assert b"\r\na OK" in self._heard, self._heard
            self._said = 2
            self.socket.send(b"b LOGOUT\r\n")
        if octets:
            return False
        assert b"\r\nb OK" in self._heard, self._heard
        self.socket.close()
        return True


def log_in(port: int, names: Sequence[str]) -> float:
    """Everybody once; returns logins per second."""
    waiting = deque(names)
    began = time.perf_counter()
    with selectors.DefaultSelector() as selector:
        running_now = 0
        while waiting or running_now:
            while waiting and running_now < AT_ONCE:
                client = _Client(port, waiting.popleft())
                selector.register(client.socket, selectors.EVENT_READ, client)
                running_now += 1
            ready = selector.select(30)
            assert ready, "nobody answers"
            for key, _ in ready:
                # Unregistered first: a closed socket has no descriptor any more.
                selector.unregister(key.fileobj)
                if key.data.readable():
                    running_now -= 1
                else:
                    selector.register(key.fileobj, selectors.EVENT_READ, key.data)
    return len(names) / (time.perf_counter() - began)


def rounds(
    peers: Sequence[Peer], first: int, repeated: int, number: int
) -> Iterator[tuple[str, str, float]]:
    """Yields kind, peer, logins per second."""
    regulars = [f"u{index}" for index in range(REGULARS)]
    for each in range(number):
        start = REGULARS + each * first
        newcomers = [f"u{index}" for index in range(start, start + first)]
        for peer in peers if each % 2 else peers[::-1]:
            yield "first", peer.name, log_in(peer.port(), newcomers)
            log_in(peer.port(), regulars)
            many = list(islice(cycle(regulars), repeated))
            yield "repeated", peer.name, log_in(peer.port(), many)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--first", type=int, default=400, help="people in each round")
    parser.add_argument("--repeated", type=int, default=1500, help="logins in each round")
    parser.add_argument("--workers", default="auto")
    parser.add_argument("--cache", action="store_true", help="give Dovecot its cache of logins")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-login-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        slapd = Slapd(
            folder / "ldap",
            people(REGULARS + options.rounds * options.first),
            overlays=("syncprov", "unlimited"),
        )
        slapd.start()
        stack.callback(slapd.stop)
        peers: list[Peer] = [
            GatewayPeer(folder / "gateway", slapd, options.workers),
            DovecotPeer(slapd, cache=options.cache),
        ]
        for peer in peers:
            stack.enter_context(running(peer))
        figures: dict[tuple[str, str], list[float]] = {}
        for kind, who, rate in rounds(peers, options.first, options.repeated, options.rounds):
            print(f"  {kind:<9} {who:<8} {rate:8.0f}/s", flush=True)
            figures.setdefault((kind, who), []).append(rate)
    for kind in ("first", "repeated"):
        ours, theirs = (statistics.median(figures[kind, peer.name]) for peer in peers)
        print(f"{kind:<9} gateway {ours:.0f}/s, dovecot {theirs:.0f}/s, ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
