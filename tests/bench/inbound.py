"""Durable deliveries per second beside Postfix and aiosmtpd, in one interleaved run.

``python -m tests.bench.inbound``: starts the gateway, a private Postfix and aiosmtpd, sends with
Postfix' own ``smtp-source`` to each in turn, cell by cell (size of a message, sessions, a new
connection for each message or reused ones, STARTTLS), and prints the medians and the gateway's
ratio to each. A message counts when it is where its reader finds it: in the gateway with its 250,
in the others when its file is in the Maildir. Needs root (for Postfix) and Debian's packages
postfix and stunnel4.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from tests.bench.peers import RECIPIENT, AiosmtpdPeer, GatewayPeer, Peer, PostfixPeer, TlsFront
from tests.support.waiting import eventually

STALL_LIMIT_S = 120.0


@dataclass(frozen=True)
class Cell:
    """One way of sending."""

    octets: int
    sessions: int
    reuse: bool
    tls: bool = False

    def __str__(self) -> str:
        way = "reused" if self.reuse else "new"
        size = f"{self.octets // 1024} KiB"
        return f"{size:>7} {self.sessions:>3} {way:<6} {'STARTTLS' if self.tls else 'clear':<8}"


def cells() -> Iterator[Cell]:
    for octets, reuse, sessions in product((4096, 102_400), (True, False), (20, 100)):
        yield Cell(octets, sessions, reuse)
    for octets, sessions in product((4096, 102_400), (20, 100)):
        yield Cell(octets, sessions, reuse=True, tls=True)


def send(peer: Peer, cell: Cell, messages: int) -> float:
    """Seconds from the first connection until every message is delivered."""
    before = peer.delivered()
    program = shutil.which("smtp-source") or "/usr/sbin/smtp-source"
    command = [program, "-s", str(cell.sessions), "-m", str(messages), "-l", str(cell.octets)]
    command += ["-f", "load@sender.example", "-t", RECIPIENT, *(["-d"] if cell.reuse else [])]
    started = time.monotonic()
    subprocess.run([*command, f"127.0.0.1:{peer.port()}"], check=True)
    accepted = time.monotonic()
    delivered = before + messages
    eventually(lambda: peer.delivered() >= delivered, deadline_s=STALL_LIMIT_S, every_s=0.005)
    ended = time.monotonic()
    return (accepted if ended - accepted < 0.1 else ended) - started


def measure(
    peers: Sequence[Peer], fronts: Sequence[Peer], chosen: Sequence[Cell], messages: int, runs: int
) -> dict[tuple[Cell, str], float]:
    """Medians of messages per second; the first run warms up and does not count."""
    rates: dict[tuple[Cell, str], list[float]] = {}
    for run, cell in product(range(-1, runs), chosen):
        # A larger message takes longer; every cell shall take about as long.
        count = messages if cell.octets < 50_000 else messages // 4
        for peer in fronts if cell.tls else peers:
            rate = count / send(peer, cell, count)
            label = f"run {run + 1}" if run >= 0 else "warm-up"
            print(f"{label:<8} {cell} {peer.name:<9} {rate:8.0f} messages/s", flush=True)
            if run >= 0:
                rates.setdefault((cell, peer.name), []).append(rate)
    return {key: statistics.median(values) for key, values in rates.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=2000, help="of 4 KiB; a quarter of 100 KiB")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workers", default="auto")
    parser.add_argument("--octets", type=int, action="append", help="only this size")
    parser.add_argument("--sessions", type=int, action="append", help="only so many")
    parser.add_argument("--only", choices=("reused", "new", "tls"), help="only these connections")
    parser.add_argument("--without-aiosmtpd", action="store_true")
    arguments = parser.parse_args()
    chosen = [
        cell
        for cell in cells()
        if (not arguments.octets or cell.octets in arguments.octets)
        and (not arguments.sessions or cell.sessions in arguments.sessions)
        and (
            not arguments.only
            or arguments.only == ("tls" if cell.tls else "reused" if cell.reuse else "new")
        )
    ]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-bench-")))
        peers: list[Peer] = [
            GatewayPeer(folder / "gateway", arguments.workers),
            PostfixPeer(folder / "postfix"),
        ]
        if not arguments.without_aiosmtpd:
            peers.append(AiosmtpdPeer(folder / "aiosmtpd"))
        fronts: list[Peer] = [TlsFront(folder, peer) for peer in peers]
        for each in (*peers, *(fronts if any(cell.tls for cell in chosen) else [])):
            stack.callback(each.stop)
            each.start()
        medians = measure(peers, fronts, chosen, arguments.messages, arguments.runs)
    names = [peer.name for peer in peers]
    print(
        "\nmedians, messages/s".ljust(31) + "".join(f"{name:>10}" for name in names) + "   ratios"
    )
    for cell in chosen:
        found = [medians[cell, name] for name in names]
        ratios = " ".join(f"{found[0] / other:5.2f}" for other in found[1:])
        print(f"{cell!s:<30}" + "".join(f"{rate:10.0f}" for rate in found) + f"   {ratios}")


if __name__ == "__main__":
    main()
