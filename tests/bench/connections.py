"""What an idle SMTP connection costs in memory, and what a large message does.

``python -m tests.bench.connections``: starts the gateway in one process, opens connections that say
EHLO and then nothing, first in clear text and then behind STARTTLS, and prints by how much the
process has grown for each; then sends one message of 50 MiB and prints the highest it grew above
idle meanwhile. Linux only, as it reads /proc.
"""

from __future__ import annotations

import argparse
import resource
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.gateway_process import Demo

WARM_UP = 200
LINES = b"X" * 78 + b"\r\n"


def private_kib(pid: int) -> int:
    """Memory that the process has to itself."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_"))


def peak_kib(pid: int) -> int:
    """The most it had since ``forget_peak``."""
    text = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM"))


def resident_kib(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS"))


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def answer(client: socket.socket) -> bytes:
    """One reply, all its lines."""
    data = b""
    while not (data.endswith(b"\r\n") and data.split(b"\r\n")[-2][3:4] != b"-"):
        piece = client.recv(4096)
        assert piece, data
        data += piece
    return data


def clear(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    answer(client)
    client.sendall(b"EHLO client.example\r\n")
    assert answer(client).startswith(b"250")
    return client


def starttls(port: int) -> socket.socket:
    client = clear(port)
    client.sendall(b"STARTTLS\r\n")
    assert answer(client).startswith(b"220")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    secured = context.wrap_socket(client)
    secured.sendall(b"EHLO client.example\r\n")
    assert answer(secured).startswith(b"250")
    return secured


def idle_cost_kib(demo: Demo, connect: Callable[[int], socket.socket], number: int) -> float:
    """Growth for each of so many connections, which are closed again."""
    assert demo.process is not None
    pid, port = demo.process.pid, demo.port(25)
    # What the first ones of a kind need once (code, caches, arenas) is not counted.
    for client in [connect(port) for _ in range(WARM_UP)]:
        client.close()
    before = private_kib(pid)
    clients = [connect(port) for _ in range(number)]
    grown = private_kib(pid) - before
    for client in clients:
        client.close()
    return grown / number


def message_cost_kib(demo: Demo, octets: int) -> int:
    """The most that the process grew while it took one message of this size."""
    assert demo.process is not None
    pid = demo.process.pid

    def send(lines: int) -> None:
        with clear(demo.port(25)) as client:
            for command in (b"MAIL FROM:<a@sender.example>", b"RCPT TO:<bob@example.test>"):
                client.sendall(command + b"\r\n")
                assert answer(client).startswith(b"250")
            client.sendall(b"DATA\r\n")
            assert answer(client).startswith(b"354")
            client.sendall(b"Subject: large\r\n\r\n")
            piece = LINES * 800
            for _ in range(lines // 800):
                client.sendall(piece)
            client.sendall(b".\r\n")
            assert answer(client).startswith(b"250")

    send(800)
    idle = resident_kib(pid)
    forget_peak(pid)
    send(octets // len(LINES))
    return peak_kib(pid) - idle


@contextmanager
def running(connections: int) -> Iterator[Demo]:
    """The gateway in one process, for so many connections from here."""
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as scratch:
        demo = Demo(Path(scratch) / "gateway")
        demo.environ["GATEWAY_WORKERS"] = "1"
        demo.environ["GATEWAY_LIMITS__CONNECTIONS_PER_ADDRESS"] = str(connections)
        demo.start()
        try:
            yield demo
        finally:
            demo.stop()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--octets", type=int, default=49 * 1024 * 1024)
    arguments = parser.parse_args()
    wanted = arguments.connections * 2 + 1000
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, most), most))
    # A process of its own for each: what one measurement leaves free, the next would not ask for.
    for name, connect in (("clear text", clear), ("STARTTLS", starttls)):
        with running(wanted) as demo:
            cost = idle_cost_kib(demo, connect, arguments.connections)
        print(f"{arguments.connections} idle connections, {name}: {cost:.1f} KiB each", flush=True)
    with running(wanted) as demo:
        grown = message_cost_kib(demo, arguments.octets)
    print(f"one message of {arguments.octets / 2**20:.0f} MiB: {grown} KiB above idle")


if __name__ == "__main__":
    main()
