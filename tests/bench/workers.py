"""What several workers cost and give, on this machine.

``python -m tests.bench.workers``: (1) how long after a delivery's 250 an IDLE session in another
worker hears of it; (2) durable deliveries per second with two workers beside one, in one
interleaved run with Postfix' ``smtp-source``. On two cores that also run the sender, only the ratio
means anything, and a busy machine changes that as well.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import smtplib
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from tests.support.gateway_process import Demo, running_demo
from tests.support.idlers import one_in_each_worker
from tests.support.mail import BOB

MESSAGE = b"From: a@sender.example\r\nSubject: x\r\n\r\nHello\r\n"
WARM_UP = 10


def feed_delays_ms(folder: Path, deliveries: int) -> list[float]:
    """From the 250 in one worker to EXISTS in the other."""
    delays: list[float] = []
    with (
        running_demo(folder, 2) as demo,
        one_in_each_worker(demo) as idlers,
        smtplib.SMTP("127.0.0.1", demo.port(25), "client.example", timeout=30) as client,
    ):
        (sender,) = [
            each["number"] for each in demo.status()["workers"] if each["sessions"].get("smtp")
        ]
        for _ in range(WARM_UP + deliveries):
            client.sendmail("load@sender.example", [BOB[0]], MESSAGE)
            accepted = time.monotonic()
            delays.append((idlers[3 - sender].hears_exists() - accepted) * 1000)
            idlers[sender].hears_exists()
    return delays[WARM_UP:]


def rates(folder: Path, *, messages: int, sessions: int, runs: int) -> dict[int, list[float]]:
    """Messages per second by number of workers."""
    found: dict[int, list[float]] = {1: [], 2: []}
    program = shutil.which("smtp-source") or "/usr/sbin/smtp-source"
    command = [program, "-d", "-s", str(sessions), "-m", str(messages), "-l", "4096"]
    command += ["-f", "load@sender.example", "-t", BOB[0]]
    with contextlib.ExitStack() as stack:
        demos = {
            workers: stack.enter_context(running_demo(folder / str(workers), workers))
            for workers in found
        }
        for run in range(-1, runs):
            for workers, demo in demos.items():
                rate = messages / _seconds(demo, command)
                print(f"run {run + 1}  {workers} worker(s)  {rate:6.0f} messages/s", flush=True)
                if run >= 0:
                    found[workers].append(rate)
    return found


def _seconds(demo: Demo, command: list[str]) -> float:
    started = time.monotonic()
    subprocess.run([*command, f"127.0.0.1:{demo.port(25)}"], check=True)
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--deliveries", type=int, default=200, help="for the change feed")
    parser.add_argument("--messages", type=int, default=3000, help="a run, for the throughput")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as scratch:
        delays = feed_delays_ms(Path(scratch) / "feed", arguments.deliveries)
        print(
            f"change feed to another worker, {len(delays)} deliveries: "
            f"median {statistics.median(delays):.2f} ms, worst {max(delays):.2f} ms"
        )
        found = rates(
            Path(scratch),
            messages=arguments.messages,
            sessions=arguments.sessions,
            runs=arguments.runs,
        )
    one, two = (statistics.median(found[workers]) for workers in (1, 2))
    print(f"median   1 worker {one:.0f}, 2 workers {two:.0f} messages/s: ratio {two / one:.2f}")


if __name__ == "__main__":
    main()
