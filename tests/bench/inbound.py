"""Durable deliveries per second, beside Postfix to Maildir, in one interleaved run.

``python -m tests.bench.inbound``: starts the gateway and a private Postfix, sends with Postfix' own
``smtp-source`` to each in turn, and prints messages/s for each and the ratio of the medians. A
message counts when it is where its reader finds it: in the gateway with its 250, in Postfix when
its file is in the Maildir. Needs root (for Postfix) and Debian's package postfix.
"""

from __future__ import annotations

import argparse
import imaplib
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Protocol

from tests.support.gateway_process import Demo
from tests.support.postfix import Postfix
from tests.support.waiting import eventually

RECIPIENT = "bob@example.test"
STALL_LIMIT_S = 120.0


class Peer(Protocol):
    name: str

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def port(self) -> int: ...

    def delivered(self) -> int: ...


class GatewayPeer:
    name = "gateway"

    def __init__(self, folder: Path) -> None:
        self._demo = Demo(folder)

    def start(self) -> None:
        self._demo.start()

    def stop(self) -> None:
        self._demo.stop()

    def port(self) -> int:
        return self._demo.port(25)

    def delivered(self) -> int:
        with imaplib.IMAP4("127.0.0.1", self._demo.port(143)) as client:
            client.login(RECIPIENT, "builder")
            _, data = client.status("INBOX", "(MESSAGES)")
            return int(data[0].split()[-1].rstrip(b")"))


class PostfixPeer:
    name = "postfix"

    def __init__(self, folder: Path) -> None:
        self._postfix = Postfix(folder)

    def start(self) -> None:
        self._postfix.start()

    def stop(self) -> None:
        self._postfix.stop()

    def port(self) -> int:
        return self._postfix.port

    def delivered(self) -> int:
        return self._postfix.delivered()


def send(peer: Peer, *, messages: int, octets: int, sessions: int, reuse: bool) -> float:
    """Seconds from the first connection until every message is delivered."""
    before = peer.delivered()
    program = shutil.which("smtp-source") or "/usr/sbin/smtp-source"
    command = [program, "-s", str(sessions), "-m", str(messages), "-l", str(octets)]
    command += ["-f", "load@sender.example", "-t", RECIPIENT, *(["-d"] if reuse else [])]
    started = time.monotonic()
    subprocess.run([*command, f"127.0.0.1:{peer.port()}"], check=True)
    accepted = time.monotonic()
    delivered = before + messages
    eventually(lambda: peer.delivered() >= delivered, deadline_s=STALL_LIMIT_S, every_s=0.005)
    ended = time.monotonic()
    return (accepted if ended - accepted < 0.1 else ended) - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--octets", type=int, default=4096)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--new-connections", action="store_true", help="one per message")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as scratch:
        folder = Path(scratch)
        peers: list[Peer] = [GatewayPeer(folder / "gateway"), PostfixPeer(folder / "postfix")]
        rates: dict[str, list[float]] = {peer.name: [] for peer in peers}
        started: list[Peer] = []
        try:
            for peer in peers:
                started.append(peer)
                peer.start()
            for run in range(-1, arguments.runs):
                for peer in peers:
                    seconds = send(
                        peer,
                        messages=arguments.messages,
                        octets=arguments.octets,
                        sessions=arguments.sessions,
                        reuse=not arguments.new_connections,
                    )
                    rate = arguments.messages / seconds
                    label = f"run {run + 1}" if run >= 0 else "warm-up"
                    print(f"{label:<8} {peer.name:<8} {rate:8.0f} messages/s", flush=True)
                    if run >= 0:
                        rates[peer.name].append(rate)
        finally:
            for peer in started:
                peer.stop()
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, median in medians.items():
        print(f"median   {name:<8} {median:8.0f} messages/s")
    print(f"ratio    gateway / postfix to Maildir: {medians['gateway'] / medians['postfix']:.2f}")


if __name__ == "__main__":
    main()
