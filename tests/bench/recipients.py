"""What a recipient costs, with 1 to 1,000 of them for one message.

``python -m tests.bench.recipients``: starts the gateway with 1,000 people, sends messages to 1, 10,
100 and all of them by pipelined RCPT, and prints the time from MAIL to the last 250 for each
recipient, and the part of it that each one adds. The sizes take turns, so that a busy machine slows
all of them.
"""

from __future__ import annotations

import argparse
import smtplib
import statistics
import tempfile
import time
from pathlib import Path

from gateway.app.demo import prepare
from tests.support.gateway_process import Demo

PEOPLE = 1000
SIZES = (1, 10, 100, 1000)
MESSAGE = b"From: a@sender.example\r\nSubject: to many\r\n\r\nHello\r\n.\r\n"


def person(number: int) -> str:
    return (
        f"\ndn: uid=p{number},dc=example,dc=test\nobjectClass: inetOrgPerson\nuid: p{number}\n"
        f"cn: Person {number}\nsn: Person\nmail: p{number}@example.test\n"
        f"entryUUID: 00000000-0000-4000-8000-{number:012d}\n"
    )


def replies(client: smtplib.SMTP, number: int) -> None:
    for _ in range(number):
        code, text = client.getreply()
        assert code in (250, 354), text


def send(client: smtplib.SMTP, recipients: int) -> float:
    """Seconds for one message."""
    commands = ["MAIL FROM:<a@sender.example>"]
    commands += [f"RCPT TO:<p{number}@example.test>" for number in range(recipients)]
    commands.append("DATA")
    started = time.perf_counter()
    client.send("\r\n".join(commands) + "\r\n")
    replies(client, len(commands))
    client.send(MESSAGE)
    replies(client, 1)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=30)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as scratch:
        demo = Demo(Path(scratch) / "gateway")
        prepare(demo.folder, demo.base)
        (ldif,) = demo.folder.glob("*.ldif")
        ldif.write_text(ldif.read_text() + "".join(person(number) for number in range(PEOPLE)))
        demo.start()
        try:
            with smtplib.SMTP("127.0.0.1", demo.port(25), "client.example", timeout=60) as client:
                client.ehlo()
                found: dict[int, list[float]] = {size: [] for size in SIZES}
                for run in range(-3, arguments.runs):
                    for size in SIZES:
                        seconds = send(client, size)
                        if run >= 0:
                            found[size].append(seconds)
        finally:
            demo.stop()
    medians = {size: statistics.median(times) * 1e6 for size, times in found.items()}
    for size, microseconds in medians.items():
        added = (microseconds - medians[1]) / (size - 1) if size > 1 else microseconds
        print(
            f"{size:>5} recipients: {microseconds:9.0f} us, {microseconds / size:7.0f} us each,"
            f" {added:7.0f} us for each more"
        )


if __name__ == "__main__":
    main()
