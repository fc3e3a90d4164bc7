"""What the trace costs a delivery, and how long a search takes in a month of a large site.

``python -m tests.bench.trace``: the octets and microseconds that a message's record costs in the
reactor and in the committer, durable deliveries with records and without in turn, and searches
among three million records (30 days of 100,000 messages), made in the form in which a month leaves
them. Takes some minutes, and 1 GB below ``--folder``.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.ids import AccountId
from gateway.core.messages import Accepted
from gateway.core.new_ids import time_text
from gateway.core.route import LocalMailbox
from gateway.core.trace import TraceRecord, search_key
from gateway.edge.smtp.journal import Journal
from gateway.edge.smtp.transaction import Transaction
from gateway.policy.engine import NO_POLICY
from gateway.policy.facts import Client, Envelope, Recipient
from gateway.store.trace import insert_row
from gateway.store.trace_form import encode, pack
from gateway.store.trace_notes import Note
from gateway.store.transaction import Transaction as StoreTransaction
from gateway.wire.message_id import message_id_in
from tests.bench.store import PEOPLE, message_of
from tests.store.house import House
from tests.support.trace_fakes import FakeTrace

RECORDS = 3_000_000
PER_DAY = 100_000
PER_ROW = 1_000
BEGIN = 1_700_000_000
HEADER = (
    b"Received: from mx.example.org by mail.example.test; Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    * 3
    + b"From: a@example.test\r\nTo: b@example.test\r\nSubject: number 1\r\n"
    b"Message-ID: <20231114.221320@mx.example.org>\r\n\r\n"
)


def microseconds(work: Callable[[], object], times: int = 20_000) -> float:
    """The best of nine runs: what it takes when nothing is in the way."""
    runs = []
    for _ in range(9):
        started = time.thread_time()
        for _ in range(times):
            work()
        runs.append((time.thread_time() - started) / times * 1e6)
    return min(runs)


def measure_cost() -> None:
    journal = Journal(FakeTrace(), time.time)
    alice = Account(AccountId("a1"), "alice", "alice@example.test", ("alice@example.test",))
    client = Client("0abc", "smtp:25", "smtp", "192.0.2.9", "mx.example.org")
    envelope = Envelope(Address("a", "example.org"))
    recipient = Recipient(Address("alice", "example.test"), LocalMailbox(alice))
    envelope.recipients.append(recipient)
    transaction = Transaction("0abc-1", envelope)
    visit = NO_POLICY.visit(client)

    def make() -> TraceRecord:
        made = journal.accepted(
            transaction, client, visit, 4096, BEGIN, "<20231114.221320@mx.example.org>"
        )
        assert made is not None
        return made

    record = make()
    print(f"a record: {len(encode(record))} octets before it is packed")
    print(f"  looking for the Message-ID: {microseconds(lambda: message_id_in(HEADER)):.1f} us")
    print(f"  making it: {microseconds(make):.1f} us")
    print(f"  its form: {microseconds(lambda: encode(record)):.1f} us")
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(
        "CREATE TABLE traces (trace_row INTEGER PRIMARY KEY, first_at, last_at, keys, records)"
    )
    tx = StoreTransaction(connection)
    for batch in (1, 32):
        notes = [Note(float(BEGIN), encode(record))] * batch
        connection.execute("BEGIN")
        spent = microseconds(lambda n=notes: insert_row(tx, n), 2_000) / batch  # type: ignore[misc]
        connection.execute("ROLLBACK")
        print(f"  in the committer, {batch} a batch: {spent:.1f} us")


def measure_deliveries(folder: Path, messages: int, runs: int) -> None:
    octets = message_of(0, 4096)
    rates: dict[bool, list[float]] = {False: [], True: []}
    with House(folder / "deliveries", reader_threads=4) as house:
        house.pump.deadline_s = 300.0
        number = 0

        def run(with_trace: bool) -> float:
            nonlocal number
            end, done, started = number + messages, 0, time.perf_counter()

            def start_next(result: Accepted | None = None) -> None:
                nonlocal number, done
                done += result is not None
                if number < end:
                    number += 1
                    message = house.message(f"0abc{number}-1", PEOPLE[number % 20], octets=octets)
                    if with_trace:
                        message = replace(message, trace=_record(number))
                    house.pump.start(house.store.accept(message)).addCallback(start_next)

            for _ in range(32):
                start_next()
            house.pump.until(lambda: done >= messages)
            return messages / (time.perf_counter() - started)

        run(True)
        for _ in range(runs):
            for with_trace in (False, True):
                rates[with_trace].append(run(with_trace))
    without, with_it = (statistics.median(rates[each]) for each in (False, True))
    print(
        f"durable deliveries, 32 in flight: {without:,.0f}/s without records, {with_it:,.0f}/s"
        f" with them ({1e6 / with_it - 1e6 / without:+.1f} us a message)"
    )


def _record(number: int) -> TraceRecord:
    sender = f"sender{number % 40_000}@site{number % 7_000}.example"
    recipient = f"person{number % 2_000}@example.test"
    message_id = f"<{number * 2654435761 % 2**32:08x}.{number}@site{number % 7_000}.example>"
    ip = f"198.{18 + number % 2}.{number % 211}.{number % 241}"
    at = BEGIN + number * 86_400 / PER_DAY
    return TraceRecord(
        f"{time_text(at)}{number % 32768:05x}{number}-1",
        at,
        "accepted",
        (ip, *map(search_key, (sender, recipient, message_id))),
        {
            "listener": "smtp:25", "ip": ip, "hello": f"mx.site{number % 7_000}.example",
            "sender": f"<{sender}>", "size_octets": 2000 + number % 9973, "message_id": message_id,
            "recipients": [{"address": recipient, "to": f"mailbox of person{number % 2_000}"}],
            "tls": "TLSv1.3 TLS_AES_256_GCM_SHA384",
        },
    )  # fmt: skip


def measure_searches(folder: Path, records: int, limit: int) -> None:
    with House(folder / "searches", reader_threads=1) as house:
        house.pump.deadline_s = 600.0
        index = house.layout.index
        connection = sqlite3.connect(index, isolation_level=None)
        started = time.perf_counter()
        for first in range(0, records, PER_ROW):
            some = [_record(number) for number in range(first, min(first + PER_ROW, records))]
            packed = pack([encode(each) for each in some])
            times = (int(some[0].at), int(some[-1].at))
            connection.execute(
                "INSERT INTO traces (first_at, last_at, keys, records) VALUES (?, ?, ?, ?)",
                (*times, packed.keys, packed.records),
            )
        keys, octets = connection.execute(
            "SELECT sum(length(keys)), sum(length(records)) FROM traces"
        ).fetchone()
        connection.close()
        spent = (time.perf_counter() - started) / records * 1e6
        print(
            f"{records:,} records: {keys / 2**20:,.0f} MiB of hashes, {octets / 2**20:,.0f} MiB"
            f" packed; made and packed at {spent:.1f} us each"
        )
        choose = random.Random(1)
        numbers = [choose.randrange(records) for _ in range(5)]
        for what, term in (
            ("id", lambda n: _record(n).trace_id),
            ("Message-ID", lambda n: str(_record(n).fields["message_id"])),
            ("IP address", lambda n: str(_record(n).fields["ip"])),
            ("sender", lambda n: str(_record(n).fields["sender"])),
            ("recipient", lambda n: f"person{n % 2_000}@example.test"),
            ("nothing", lambda n: f"nobody{n}@example.test"),
        ):
            times_s, found = [], 0
            for number in numbers:
                began = time.perf_counter()
                found = len(house.wait(house.store.trace.find(term(number), limit=limit)))
                times_s.append(time.perf_counter() - began)
            print(
                f"  by {what}: {statistics.median(times_s):.2f} s (at most {max(times_s):.2f} s),"
                f" {found} found"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--messages", type=int, default=3_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--limit", type=int, default=200, help="as `gateway trace` has it")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", choices=("cost", "deliveries", "searches"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gateway-bench-", dir=arguments.folder) as scratch:
        if arguments.only in (None, "cost"):
            measure_cost()
        if arguments.only in (None, "deliveries"):
            measure_deliveries(Path(scratch), arguments.messages, arguments.runs)
        if arguments.only in (None, "searches"):
            measure_searches(Path(scratch), arguments.records, arguments.limit)


if __name__ == "__main__":
    main()
