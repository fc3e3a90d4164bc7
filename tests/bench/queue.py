"""What a queue of a million messages costs beside one of a thousand.

``python -m tests.bench.queue`` (``make bench-queue``): builds stores with 1,000 and 1,000,000
queued messages for 1, 1,000 and 100,000 destinations, and one in which the turns have nothing to do
with the order of arrival, so that what goes together lies far apart. Each is measured by a process
of its own that opens it: how long opening takes and the first lease, its memory, the first page of
lists, the shape, and what it costs to pick, lease and record messages, in wall time (with the
disk's syncs) and in time of the processor. Takes some minutes, mostly to build.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from gateway.core.queue import QueueFilter, QueueState, Recorded, Wish
from tests.bench.queue_build import NOW, fill
from tests.store.house import House

CASES = (
    (1_000, 1, False),
    (1_000, 1_000, False),
    (1_000_000, 1, False),
    (1_000_000, 1_000, False),
    (1_000_000, 100_000, False),
    (1_000_000, 100_000, True),
)
MEASURED = 480  # messages sent, so that also a queue of a thousand has as many ready
AT_ONCE = 60  # of which so many share a round


def memory_mib(which: str = "VmRSS") -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{which}:"):
            return int(line.split()[1]) / 1024
    return 0.0


class Measured:
    """One store, opened."""

    def __init__(self, state_dir: Path, messages: int) -> None:
        self.figures: dict[str, float] = {"memory before, MiB": memory_mib()}
        self.messages = messages
        start = time.perf_counter()
        self.house = House(state_dir)
        self.house.pump.deadline_s = 300
        self.figures["opening, s"] = time.perf_counter() - start

    def time_s(self, name: str, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        start = time.perf_counter()
        found = self.house.wait(work())
        self.figures[name] = time.perf_counter() - start
        return found

    def lists(self) -> None:
        queue = self.house.store.queue
        last = self.messages
        for name, which in (
            ("all", QueueFilter()),
            ("of a sender", QueueFilter(sender="sender77@x27.example")),
            ("for the last recipient", QueueFilter(recipient=f"recipient{last}@y0.example")),
            ("for a destination", QueueFilter(destination="y0.example")),
            ("for no destination", QueueFilter(destination="nowhere.example")),
            ("waiting", QueueFilter(state=QueueState.WAITING)),
            ("being sent", QueueFilter(state=QueueState.SENDING)),
            ("held", QueueFilter(held=True)),
            ("of a day", QueueFilter(before=NOW - 86_400, since=NOW - 172_800)),
            ("one message id", QueueFilter(message_id=f"message-{last}")),
        ):
            self.time_s(f"list: {name}, s", partial(queue.listed, which, after=None, limit=100))
        self.time_s("shape, s", lambda: queue.shape(NOW))
        self.time_s("depth, s", self.house.store.depth)

    def pick(self) -> None:
        """Rounds as the runner makes them: who is ready, leases, results at once."""
        house, store = self.house, self.house.store
        names = self.time_s("first ready, s", lambda: store.ready(NOW, 100))
        wish = [Wish(names[0], 1, NOW)]
        first = self.time_s("first lease, s", lambda: store.lease(wish, NOW, "bench", 900))
        self._record(first.items)
        sent = 0
        started, used = time.perf_counter(), time.process_time()
        parts = {"ready": 0.0, "lease": 0.0, "record": 0.0}
        more: list[str] = []  # known to have more; the runner asks them without looking
        while sent < MEASURED:
            one = time.perf_counter()
            names = house.wait(store.ready(NOW, AT_ONCE))
            two = time.perf_counter()
            chosen = [*dict.fromkeys([*names, *more])][:AT_ONCE]
            each = -(-AT_ONCE // len(chosen))
            wishes = [Wish(name, each, NOW + 3600) for name in chosen]
            leased = house.wait(store.lease(wishes, NOW, "bench", 900))
            three = time.perf_counter()
            items, more = leased.items, sorted(leased.more)
            self._record(items)
            parts["ready"] += two - one
            parts["lease"] += three - two
            parts["record"] += time.perf_counter() - three
            sent += len(items)
        for name, seconds in parts.items():
            self.figures[f"{name}, us a message"] = seconds / sent * 1e6
        self.figures["all of it, us a message"] = (time.perf_counter() - started) / sent * 1e6
        self.figures["processor, us a message"] = (time.process_time() - used) / sent * 1e6

    def _record(self, items: Any) -> None:
        store, pump = self.house.store, self.house.pump
        ends = [
            pump.start(
                store.record(
                    item.queue_id,
                    [Recorded(each.number, 1, None, "250 ok") for each in item.recipients],
                    None,
                )
            )
            for item in items
        ]
        for end in ends:
            pump.wait_for(end)


def measure(state_dir: Path, messages: int) -> dict[str, float]:
    measured = Measured(state_dir, messages)
    with measured.house:
        measured.pick()
        measured.figures["memory after picking, MiB"] = memory_mib()
        measured.lists()
        measured.figures["memory after lists, MiB"] = memory_mib()
    measured.figures["memory, peak, MiB"] = memory_mib("VmHWM")
    return measured.figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the million")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        print(json.dumps(measure(Path(chosen.measure[0]), int(chosen.measure[1]))))
        return
    table: list[tuple[str, dict[str, float]]] = []
    for messages, destinations, scattered in CASES:
        if chosen.quick and messages > 1000:
            messages, destinations = messages // 100, max(1, destinations // 100)
        with tempfile.TemporaryDirectory(prefix="queue-bench-") as folder:
            state_dir = Path(folder)
            with House(state_dir):
                pass
            name = f"{messages:,} / {destinations:,}" + (" far apart" if scattered else "")

            def tell(done: int, name: str = name) -> None:
                print(f"\r{name}: {done:,} built", end="", file=sys.stderr, flush=True)

            fill(state_dir, messages, destinations, tell, scattered=scattered)
            print(file=sys.stderr)
            ran = subprocess.run(
                [sys.executable, "-m", "tests.bench.queue", "--measure", folder, str(messages)],
                stdout=subprocess.PIPE,
                check=True,
                text=True,
            )
            table.append((name, json.loads(ran.stdout)))
    print("messages / destinations".ljust(30), *(name.rjust(29) for name, _ in table))
    for row in table[0][1]:
        print(row.ljust(30), *(f"{figures[row]:29.3f}" for _, figures in table))


if __name__ == "__main__":
    main()
