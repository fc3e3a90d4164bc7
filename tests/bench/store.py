"""The store by itself: durable deliveries beside a Maildir writer, rows, bodies, and searches.

``python -m tests.bench.store``: everything in one run, each measure taken several times in turn
with what it is compared with; prints medians and ratios. Deliveries are 8 KiB each to twenty people
in turn, with so many in flight; the Maildir writer (write, fsync, rename, directory fsync; 32
threads) delivers to as many folders.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from gateway.core.ids import AccountId, BlobId, MailboxId
from gateway.core.messages import Accepted
from tests.bench.maildir_writer import MaildirWriter
from tests.bench.search import measure as measure_search
from tests.store.house import ALICE, House

OCTETS = 8192
SENDERS = (1, 8, 32, 128)
PEOPLE = [AccountId(f"person{number}") for number in range(20)]
ROWS, BODIES = 100_000, 10_000
BATCH = 1_000


def message_of(number: int, octets: int = OCTETS) -> bytes:
    """Each is different, as mail is."""
    head = b"From: a@example.test\r\nSubject: number %d\r\n\r\n" % number
    line = random.Random(number).randbytes(36).hex().encode() + b"\r\n"
    return (head + line * (octets // len(line) + 1))[:octets]


class Deliveries:
    """Keeps so many deliveries in flight."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._next = 0

    def run(self, count: int, senders: int, octets: bytes) -> None:
        end = self._next + count
        done = 0

        def start_next(result: Accepted | None = None) -> None:
            nonlocal done
            done += result is not None
            if self._next < end:
                self._next += 1
                person = PEOPLE[self._next % len(PEOPLE)]
                flow = self._house.start(f"bench-{self._next}", person, octets=octets)
                flow.addCallback(start_next)

        for _ in range(senders):
            start_next()
        self._house.pump.deadline_s = 300.0
        self._house.pump.until(lambda: done >= count)


def seconds(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def measure_deliveries(folder: Path, runs: int, messages: int) -> None:
    octets = message_of(0)
    rates: dict[int, list[float]] = {count: [] for count in SENDERS}
    maildir: list[float] = []
    writer = MaildirWriter(folder / "maildir", len(PEOPLE))
    with House(folder / "deliveries", reader_threads=4) as house:
        deliveries = Deliveries(house)
        deliveries.run(500, 32, octets)
        for _ in range(runs):
            for senders in SENDERS:
                count = messages // 5 if senders == 1 else messages
                spent = seconds(partial(deliveries.run, count, senders, octets))
                rates[senders].append(count / spent)
                share = messages // 4
                spent = seconds(partial(writer.deliver_all, share, octets, 32))
                maildir.append(share / spent)
    beside = statistics.median(maildir)
    print(f"durable deliveries of {OCTETS} octets, Maildir writer with 32 threads: {beside:,.0f}/s")
    for senders, values in rates.items():
        rate = statistics.median(values)
        print(f"  {senders:>3} in flight: {rate:>8,.0f}/s, {rate / beside:.1f} times Maildir")


def measure_reading(folder: Path, runs: int) -> None:
    with House(folder / "reading", reader_threads=4) as house:
        house.pump.deadline_s = 600.0
        fill(house)
        mailbox = house.find()
        rows: list[float] = []
        bodies: list[float] = []
        choose = random.Random(1)
        for _ in range(runs):
            rows.append(seconds(lambda: read_rows(house, mailbox.mailbox_id)))
            some = house.wait(house.store.rows(mailbox.mailbox_id, ((1, ROWS),)))
            chosen = choose.sample([row.blob_id for row in some], BODIES)
            bodies.append(seconds(partial(read_bodies, house, chosen)))
        select = [
            seconds(lambda: house.wait(house.store.select(ALICE, "INBOX", claim_recent=False)))
            for _ in range(runs)
        ]
    print(f"{ROWS:,} index rows into a session: {1000 * statistics.median(rows):,.0f} ms")
    print(f"SELECT of {ROWS:,} messages: {1000 * statistics.median(select):,.1f} ms")
    print(f"{BODIES:,} random bodies: {1000 * statistics.median(bodies):,.0f} ms")


def fill(house: House) -> None:
    """100,000 messages of one kibibyte."""
    waiting = [
        house.start(f"fill-{number}", ALICE, octets=message_of(number, 1024))
        for number in range(BATCH)
    ]
    for number in range(BATCH, ROWS + BATCH):
        house.pump.wait_for(waiting[number % BATCH])
        if number < ROWS:
            flow = house.start(f"fill-{number}", ALICE, octets=message_of(number, 1024))
            waiting[number % BATCH] = flow


def read_rows(house: House, mailbox_id: MailboxId) -> None:
    found = 0
    for first in range(1, ROWS, BATCH):
        ranges = ((first, first + BATCH - 1),)
        found += len(house.wait(house.store.rows(mailbox_id, ranges)))
    assert found == ROWS


def read_bodies(house: House, blob_ids: Sequence[BlobId]) -> None:
    for start in range(0, len(blob_ids), 500):
        spans = [(blob_id, 0, OCTETS) for blob_id in blob_ids[start : start + 500]]
        found = house.wait(house.store.read_many(spans))
        assert all(isinstance(one, bytes) for one in found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--only", choices=("deliveries", "reading", "search"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as scratch:
        folder = Path(scratch)
        if arguments.only in (None, "deliveries"):
            measure_deliveries(folder, arguments.runs, arguments.messages)
        if arguments.only in (None, "reading"):
            measure_reading(folder, arguments.runs)
        if arguments.only in (None, "search"):
            measure_search(folder, arguments.runs)


if __name__ == "__main__":
    main()
