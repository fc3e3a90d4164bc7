"""Searches of 100,000 letters, with the search index and without, and how fast it is made.

``python -m tests.bench.search`` (a part of ``tests.bench.store``): fills a mailbox with
``letters``, searches by looking at every message, indexes, and searches again. The answers of both
have to be the same. The index is made in this process, at normal priority and alone: messages per
second of one processor. ``--disturbance`` measures instead what its process, busy all the time,
costs deliveries: it is stopped and goes on in turn.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from twisted.internet.defer import Deferred

from gateway.core.ids import AccountId, MailboxId
from gateway.core.messages import Accepted
from gateway.core.search import HeaderHas, SearchKey, TextHas
from gateway.store.layout import Layout
from gateway.store.search_index.indexer import Indexer
from gateway.store.search_index.places import Places
from tests.bench.letters import Letters
from tests.store.house import ALICE, House
from tests.store.searching import indexed, indexer_process

MESSAGES = 100_000
IN_FLIGHT = 200
MIB = 1024 * 1024
BACKLOG = 30_000
"""Letters that keep the indexer busy while deliveries are measured."""
DELIVERIES = 4_000


def fill(house: House, letters: Letters, count: int) -> int:
    """Deliver so many letters; returns their octets."""
    octets = 0
    waiting = []
    for number, letter in enumerate(letters.letters(count)):
        octets += len(letter)
        waiting.append(house.start(f"letter-{number}", ALICE, octets=letter))
        if len(waiting) == IN_FLIGHT:
            for flow in waiting:
                house.pump.wait_for(flow)
            waiting.clear()
    for flow in waiting:
        house.pump.wait_for(flow)
    return octets


def index(house: House) -> Indexer:
    """Index all there is; the caller closes what it gets."""
    indexer = Indexer(Layout(house.state_dir))
    while indexer.step():
        pass
    return indexer


def keys(letters: Letters) -> list[tuple[str, SearchKey, bool]]:
    """What people look for, and whether it is also searched without the index, which takes long."""
    words = letters.words
    rare = max(words[20_000:30_000], key=len)
    return [
        ("BODY, a rare word", TextHas(rare, with_header=False), True),
        ("TEXT, a word of the middle", TextHas(words[3_000], with_header=True), True),
        ("SUBJECT, a word", HeaderHas("Subject", words[900]), True),
        ("FROM, a part of an address", HeaderHas("From", "17@example"), False),
        ("TEXT, two words in a row", TextHas(f"{rare} {words[0]}", with_header=True), False),
        ("BODY, a part of many words", TextHas("schau", with_header=False), False),
        ("TEXT, the most frequent word", TextHas(words[0], with_header=True), False),
        ("TEXT, what is nowhere", TextHas("nowherenever", with_header=True), False),
    ]


def timed(work: Callable[[], Sequence[int]]) -> tuple[float, Sequence[int]]:
    started = time.monotonic()
    result = work()
    return time.monotonic() - started, result


def measure(folder: Path, runs: int, messages: int = MESSAGES) -> None:
    letters = Letters()
    with House(folder / "search", reader_threads=4) as house:
        house.pump.deadline_s = 3_600.0
        octets = fill(house, letters, messages)
        print(f"search in {messages:,} messages, {octets / MIB:,.0f} MiB", flush=True)
        box: MailboxId = house.box()

        def search(key: SearchKey) -> tuple[float, Sequence[int]]:
            return timed(lambda: house.wait(house.store.search(box, key)))

        asked = keys(letters)
        scans = [search(key) if scanned else None for _, key, scanned in asked]
        started = time.monotonic()
        indexer = index(house)
        spent = time.monotonic() - started
        indexer.close()
        kept = sum(path.stat().st_size for path in (house.state_dir / "store/search").rglob("*"))
        print(
            f"  indexed at {indexer.indexed / spent:,.0f} messages/s into {kept / MIB:,.0f} MiB,"
            f" {100 * kept / octets:.0f} % of their size",
            flush=True,
        )
        for (name, key, _), scan in zip(asked, scans, strict=True):
            results = [search(key) for _ in range(runs)]
            median = statistics.median(spent for spent, _ in results)
            found = results[0][1]
            line = f"  {name:<29} {len(found):>7,} found in {1000 * median:>7.1f} ms"
            if scan is not None:
                assert found == scan[1], name
                line += f", scan {1000 * scan[0]:>7,.0f} ms: {scan[0] / median:>6,.0f} times faster"
            print(line, flush=True)


def deliver(house: House, serial: Iterator[int], octets: bytes) -> float:
    """Durable deliveries per second to twenty people, 32 in flight."""
    started = time.monotonic()
    waiting: deque[Deferred[Accepted]] = deque()
    for number in itertools.islice(serial, DELIVERIES):
        person = AccountId(f"person{number % 20}")
        waiting.append(house.start(f"bench-{number}", person, octets=octets))
        if len(waiting) == 32:
            house.pump.wait_for(waiting.popleft())
    for flow in waiting:
        house.pump.wait_for(flow)
    return DELIVERIES / (time.monotonic() - started)


def measure_disturbance(folder: Path, runs: int) -> None:
    letters = Letters()
    with House(folder / "disturbance", reader_threads=4) as house:
        house.pump.deadline_s = 3_600.0
        fill(house, letters, BACKLOG)
        serial = itertools.count()
        octets = letters.letter(BACKLOG)
        with indexer_process(house.state_dir) as (process, _):
            rates: dict[int, list[float]] = {signal.SIGSTOP: [], signal.SIGCONT: []}
            for run in range(-1, runs):
                for state, found in rates.items():
                    process.send_signal(state)
                    rate = deliver(house, serial, octets)
                    assert process.poll() is None
                    if run >= 0:
                        found.append(rate)
            busy_s = processor_s(process.pid)
            assert indexed(Places(Layout(house.state_dir)).file(ALICE)) < BACKLOG, "still busy"
            process.send_signal(signal.SIGCONT)
    alone, beside = (statistics.median(found) for found in rates.values())
    print(f"durable deliveries/s: {alone:,.0f} alone, {beside:,.0f} beside a busy indexer")
    print(
        f"  ratio {beside / alone:.2f}, medians of {runs} runs in turn; beside it the indexer took"
        f" {busy_s:.1f} of {sum(DELIVERIES / rate for rate in rates[signal.SIGCONT]):.1f} s",
        flush=True,
    )


def processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--disturbance", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as scratch:
        if arguments.disturbance:
            measure_disturbance(Path(scratch), arguments.runs)
        else:
            measure(Path(scratch), arguments.runs, arguments.messages)


if __name__ == "__main__":
    main()
