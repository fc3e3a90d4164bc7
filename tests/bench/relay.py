"""Mail passed on per second beside Postfix, in one interleaved run.

``python -m tests.bench.relay``: smtp-source sends to the gateway and to a private Postfix in turn,
and each passes everything on to smtp-sink, to 1, 20 and 200 destinations, and to 20 of which one is
dead (it takes connections and never says a word). Both promise the same: on disk before 250, and
kept until the next server has it. A round lasts from the first connection until the sink has every
message that can arrive. Prints medians, ratios, and what the dead destination costs the others.
Needs root (for Postfix) and Debian's package postfix.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Protocol

from gateway.app.demo import prepare
from tests.support.gateway_process import Demo
from tests.support.ports import accepts, free_port
from tests.support.postfix import Postfix
from tests.support.waiting import eventually

STALL_LIMIT_S = 180.0
AT_ONCE = 20  # sessions of the sending side, whatever the number of destinations
WARM_UP = 500  # messages
DEAD = 20  # this destination of the last cell


@dataclass(frozen=True)
class Cell:
    """One way of spreading mail over destinations."""

    destinations: int
    dead: bool = False

    def __str__(self) -> str:
        return f"{self.destinations:>4}{', one of them dead' if self.dead else ''}"

    def domains(self) -> list[str]:
        numbers = list(range(1, self.destinations + 1))
        if self.dead:
            numbers[DEAD - 1] = 0
        return [domain(number) for number in numbers]


CELLS = (Cell(1), Cell(20), Cell(200), Cell(20, dead=True))


def domain(number: int) -> str:
    """0 is the dead one."""
    return f"d{number}.example"


def address(number: int) -> str:
    """Each destination has an address of its own, so that nothing can be taken for another's."""
    return f"127.0.2.{number}"


class Peer(Protocol):
    name: str

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def port(self) -> int: ...


class GatewayPeer:
    """The demo, which may relay from here."""

    name = "gateway"

    def __init__(self, folder: Path, workers: str, sink: int, dead: int) -> None:
        self._demo = Demo(folder)
        self._demo.environ |= {
            "GATEWAY_WORKERS": workers,
            "GATEWAY_RELAY_NETWORKS": '["127.0.0.0/8"]',
            "GATEWAY_LIMITS__CONNECTIONS_PER_ADDRESS": "5000",
        }
        self._sink, self._dead = sink, dead

    def start(self) -> None:
        prepare(self._demo.folder, self._demo.base)
        tables = [
            f'[outbound.destinations."{domain(number)}"]\n'
            f'next_hop = "smtp://{address(number)}:{self._dead if not number else self._sink}"\n'
            for number in range(201)
        ]
        text = self._demo.config.read_text()
        self._demo.config.write_text(text + "\n" + "".join(tables))
        self._demo.start()

    def stop(self) -> None:
        self._demo.stop()

    def port(self) -> int:
        return self._demo.port(25)


class PostfixPeer:
    """Debian's Postfix as it comes, with a transport for each destination's address."""

    name = "postfix"

    def __init__(self, folder: Path, sink: int, dead: int) -> None:
        transports = folder.with_suffix(".transport")
        transports.write_text(
            "".join(
                f"{domain(number)} smtp:[{address(number)}]:{dead if not number else sink}\n"
                for number in range(201)
            )
        )
        subprocess.run(["postmap", f"texthash:{transports}"], check=False, capture_output=True)
        self._postfix = Postfix(
            folder,
            settings={
                "smtpd_recipient_restrictions": "permit_mynetworks, reject",
                "virtual_mailbox_domains": "",
                "transport_maps": f"texthash:{transports}",
                "smtp_dns_support_level": "disabled",
                "smtp_tls_security_level": "none",
            },
        )

    def start(self) -> None:
        self._postfix.start()

    def stop(self) -> None:
        self._postfix.stop()

    def port(self) -> int:
        return self._postfix.port


class Sink:
    """smtp-sink on all addresses; counts what it has taken."""

    def __init__(self) -> None:
        self.port = free_port()
        self.taken = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("smtp-sink") or "/usr/sbin/smtp-sink"
        self._process = subprocess.Popen(
            [program, "-c", "-u", "nobody", "-m", "2000", f"0.0.0.0:{self.port}", "2000"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        threading.Thread(target=self._read, daemon=True).start()
        eventually(lambda: accepts(self.port))

    def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        rest = b""
        while text := os.read(self._process.stdout.fileno(), 65_536):
            counts = re.findall(rb"mesg=(\d+)\D", rest + text)
            if counts:
                self.taken = int(counts[-1])
            rest = (rest + text)[-80:]  # a line may come in two pieces

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)


@contextmanager
def silent_server() -> Iterator[int]:
    """Connections are made by the system, and nobody ever answers."""
    with socket.socket() as server:
        server.bind(("0.0.0.0", 0))
        server.listen(5)
        yield server.getsockname()[1]


def send(peer: Peer, sink: Sink, cell: Cell, messages: int, octets: int) -> float:
    """Seconds from the first connection until the sink has all that can arrive."""
    program = shutil.which("smtp-source") or "/usr/sbin/smtp-source"
    domains = cell.domains()
    each = messages // len(domains)
    # One destination is sent to in as many sessions as many are.
    sessions = AT_ONCE if len(domains) == 1 else 1
    alive = [name for name in domains if name != domain(0)]
    expected = sink.taken + each * len(alive)

    def one(name: str) -> None:
        command = [program, "-d", "-s", str(sessions), "-m", str(each), "-l", str(octets)]
        command += ["-f", f"load@from-{name}", "-t", f"someone@{name}"]
        subprocess.run([*command, f"127.0.0.1:{peer.port()}"], check=True)

    started = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, domains))
    eventually(lambda: sink.taken >= expected, deadline_s=STALL_LIMIT_S, every_s=0.005)
    return time.monotonic() - started


def measure(
    started: Callable[[], AbstractContextManager[Sequence[Peer]]],
    sink: Sink,
    cells: Sequence[Cell],
    messages: int,
    octets: int,
    runs: int,
) -> dict[tuple[Cell, str], float]:
    """Medians of messages per second that arrived.

    Each run has servers of its own, as mail for a dead destination stays with them; a few messages
    warm them up.
    """
    rates: dict[tuple[Cell, str], list[float]] = {}
    for run in range(1, runs + 1):
        with started() as peers:
            for peer in peers:
                send(peer, sink, Cell(1), WARM_UP, octets)
            for cell, peer in product(cells, peers):
                arriving = messages // cell.destinations * (cell.destinations - cell.dead)
                rate = arriving / send(peer, sink, cell, messages, octets)
                print(f"run {run}  {cell!s:<24} {peer.name:<9} {rate:8.0f} messages/s", flush=True)
                rates.setdefault((cell, peer.name), []).append(rate)
    return {key: statistics.median(values) for key, values in rates.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--octets", type=int, default=4096)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workers", default="auto")
    parser.add_argument("--destinations", type=int, action="append", help="only so many")
    parser.add_argument("--without-postfix", action="store_true")
    arguments = parser.parse_args()
    wanted = arguments.destinations
    cells = [cell for cell in CELLS if not wanted or cell.destinations in wanted]
    with ExitStack() as stack:
        dead = stack.enter_context(silent_server())
        sink = Sink()
        stack.callback(sink.stop)
        sink.start()

        @contextmanager
        def started() -> Iterator[Sequence[Peer]]:
            with ExitStack() as run:
                name = run.enter_context(tempfile.TemporaryDirectory(prefix="gateway-bench-"))
                folder = Path(name)
                peers: list[Peer] = [
                    GatewayPeer(folder / "gateway", arguments.workers, sink.port, dead)
                ]
                if not arguments.without_postfix:
                    peers.append(PostfixPeer(folder / "postfix", sink.port, dead))
                for peer in peers:
                    run.callback(peer.stop)
                    peer.start()
                yield peers

        medians = measure(
            started, sink, cells, arguments.messages, arguments.octets, arguments.runs
        )
    report(medians, cells, ["gateway"] if arguments.without_postfix else ["gateway", "postfix"])


def report(
    medians: dict[tuple[Cell, str], float], cells: Sequence[Cell], names: Sequence[str]
) -> None:
    print("\nmedians, messages/s arrived".ljust(31) + "".join(f"{name:>10}" for name in names))
    for cell in cells:
        found = [medians[cell, name] for name in names]
        ratios = "".join(f"   ratio {found[0] / other:5.2f}" for other in found[1:])
        print(f"{cell!s:<30}" + "".join(f"{rate:10.0f}" for rate in found) + ratios)
    alive, dying = Cell(20), Cell(20, dead=True)
    if alive in cells and dying in cells:
        for name in names:
            # Of 20 equal shares 19 arrive, in the time that sending all 20 takes.
            cost = 1 - medians[dying, name] / (medians[alive, name] * 19 / 20)
            print(f"{name}: a dead destination takes {cost:.0%} from the others")


if __name__ == "__main__":
    main()
