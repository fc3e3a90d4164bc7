"""What one mailbox of a million messages costs beside one of a thousand, in one interleaved run.

``python -m tests.bench.scale`` (``make bench-scale``): builds a store with both, with two more of a
million that have gaps, and with 10,000 mailboxes of 100; then prints the median of each operation
in the small and in the large one and their ratio, what opening costs, and memory per session.
Writes are durable, so their figures hold two syncs of this machine's disk. Takes some two minutes.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from gateway.core.ids import AccountId, MailboxId, ModSeq
from gateway.core.mailboxes import Selection
from gateway.core.search import HasFlag, Not
from gateway.edge.imap.view import MailboxView
from gateway.store import engine
from gateway.store.known_uids import RecentUids
from gateway.store.layout import Layout
from gateway.store.selection import read_selection
from tests.bench.scale_build import Filler, some_gone
from tests.store.house import House

SMALL, LARGE = AccountId("small"), AccountId("large")
TENTH, HALF = AccountId("tenth"), AccountId("half")
FLAGGED, DELETED, SEEN = frozenset({"\\Flagged"}), frozenset({"\\Deleted"}), frozenset({"\\Seen"})
MAILBOXES, EACH = 10_000, 100


class Scale:
    """The store under measurement."""

    def __init__(self, house: House, sizes: dict[AccountId, int]) -> None:
        self.house = house
        self.sizes = sizes
        self.boxes = {account_id: house.box(account_id) for account_id in sizes}
        self.chooser = random.Random(1)
        self.flagged: set[tuple[AccountId, int]] = set()
        self._number = 0

    def time_ms(self, work: Coroutine[Any, Any, object]) -> float:
        start = time.perf_counter()
        self.house.wait(work)
        return (time.perf_counter() - start) * 1000

    def some_uid(self, account_id: AccountId) -> int:
        return self.chooser.randrange(1, self.sizes[account_id] + 1)

    def deliver(self, account_id: AccountId) -> float:
        self._number += 1
        message = self.house.message(f"bench-{self._number}", account_id)
        return self.time_ms(self.house.store.accept(message))

    def flag(self, account_id: AccountId) -> float:
        """Always a change: what changes nothing costs less."""
        uid = self.some_uid(account_id)
        which = (account_id, uid)
        mode: Any = "remove" if which in self.flagged else "add"
        self.flagged ^= {which}
        return self.time_ms(
            self.house.store.store_flags(self.boxes[account_id], ((uid, uid),), mode, FLAGGED)
        )

    def expunge(self, account_id: AccountId) -> float:
        """EXPUNGE, which has to find the one message that is marked."""
        uid, box = self.some_uid(account_id), self.boxes[account_id]
        self.house.wait(self.house.store.store_flags(box, ((uid, uid),), "add", DELETED))
        return self.time_ms(self.house.store.expunge(box, None, only_deleted=True))

    def changes(self, account_id: AccountId) -> float:
        since = ModSeq(self.house.find(account_id).highest_modseq - 2)
        return self.time_ms(self.house.store.changes(self.boxes[account_id], since))

    def status(self, account_id: AccountId) -> float:
        return self.time_ms(self.house.store.status(account_id, "INBOX"))

    def select(self, account_id: AccountId) -> float:
        """Again, after the changes of the other operations."""
        return self.time_ms(self.house.store.select(account_id, "INBOX", claim_recent=True))


def build(state_dir: Path, large: int) -> float:
    start = time.perf_counter()
    with House(state_dir) as house:
        boxes = {}
        for account_id in (SMALL, LARGE, TENTH, HALF):
            house.wait(house.store.ensure_account(account_id))
            boxes[account_id] = house.box(account_id)
    with Filler(state_dir) as filler:
        filler.fill(boxes[SMALL], 1_000, own_octets=True)
        filler.fill(boxes[LARGE], large, own_octets=True)
        filler.fill(boxes[TENTH], large * 10 // 9, own_octets=False)
        filler.thin_out(boxes[TENTH], some_gone(0.1, large * 10 // 9))
        filler.fill(boxes[HALF], large * 2, own_octets=False)
        filler.thin_out(boxes[HALF], "uid % 2 = 0")
        filler.accounts([f"many-{number}" for number in range(MAILBOXES)], EACH)
    return time.perf_counter() - start


def operations(scale: Scale, rounds: int) -> None:
    print(f"{'median of ' + str(rounds) + ', ms':34}{'1,000':>10}{'1,000,000':>12}{'ratio':>8}")
    named: dict[str, Callable[[AccountId], float]] = {
        "delivery": scale.deliver,
        "flag change": scale.flag,
        "EXPUNGE of one message": scale.expunge,
        "changes since MODSEQ - 2": scale.changes,
        "SELECT again": scale.select,
        "STATUS with RECENT": scale.status,
    }
    for name, operation in named.items():
        times: dict[AccountId, list[float]] = {SMALL: [], LARGE: []}
        for _ in range(rounds):
            for account_id, taken in times.items():
                taken.append(operation(account_id))
        small, large = (statistics.median(times[one]) for one in (SMALL, LARGE))
        print(f"{name:34}{small:10.3f}{large:12.3f}{large / small:8.2f}")


def opening(scale: Scale, state_dir: Path) -> None:
    """The first SELECT of a process, and what sessions hold."""
    print(f"\n{'first SELECT of a process':34}{'ms':>10}{'octets':>12}{'a message':>11}{'2nd':>9}")
    connection = engine.open_reader(Layout(state_dir).index)
    titles = {
        SMALL: "1,000 messages",
        LARGE: "1,000,000, a few gaps",
        TENTH: "1,000,000, a tenth more gone",
        HALF: "1,000,000, every second gone",
    }
    for account_id, title in titles.items():
        times: list[float] = []
        for _ in range(5):
            start = time.perf_counter()
            read_selection(connection, account_id, "INBOX", RecentUids())
            times.append((time.perf_counter() - start) * 1000)
        recent = RecentUids()
        tracemalloc.start()
        selection = read_selection(connection, account_id, "INBOX", recent)
        views = [MailboxView(selection, read_only=False)]
        first, _ = tracemalloc.get_traced_memory()
        again = read_selection(connection, account_id, "INBOX", recent)
        views.append(MailboxView(again, read_only=False))
        second = tracemalloc.get_traced_memory()[0] - first
        tracemalloc.stop()
        a_message = first / len(selection.uids)
        print(f"{title:34}{statistics.median(times):10.2f}{first:12,}{a_message:11.2f}{second:9,}")
    connection.close()


def bulk(scale: Scale) -> None:
    """Commands about many messages of the large mailbox."""
    store, box = scale.house.store, scale.boxes[LARGE]
    last = scale.sizes[LARGE]
    stretch = ((1, 10_000),)
    apart = tuple((uid, uid) for uid in range(20_000, 20_000 + 70 * 10_000, 70))
    close = tuple((uid, uid) for uid in range(750_000, 770_000, 2))
    print(f"\n{'in 1,000,000 messages':44}{'ms':>10}")
    for title, work in (
        ("STORE of 10,000 in a row", store.store_flags(box, stretch, "add", FLAGGED)),
        ("STORE of 10,000, every second", store.store_flags(box, close, "add", FLAGGED)),
        ("STORE of 10,000, every 70th", store.store_flags(box, apart, "add", FLAGGED)),
        ("COPY of 10,000 in a row", store.copy(box, stretch, LARGE, "Archive", move=False)),
        ("MOVE of 10,000 in a row", store.copy(box, stretch, LARGE, "Trash", move=True)),
        ("expunge of 10,000, every 70th", store.expunge(box, apart, only_deleted=False)),
        ("SEARCH UNSEEN", store.search(box, Not(HasFlag("\\Seen")))),
        ("STORE 1:* +FLAGS \\Seen", store.store_flags(box, ((1, last),), "add", SEEN)),
        ("RENAME of INBOX", store.rename_mailbox(LARGE, "INBOX", "old")),
    ):
        print(f"{title:44}{scale.time_ms(work):10.1f}")


def many(scale: Scale) -> None:
    """10,000 mailboxes of 100, opened one after the other and kept open."""
    store, house = scale.house.store, scale.house
    names = [AccountId(f"many-{number}") for number in range(MAILBOXES)]
    tracemalloc.start()
    views: list[MailboxView] = []
    for name in names:
        selection: Selection = house.wait(store.select(name, "INBOX", claim_recent=True))
        views.append(MailboxView(selection, read_only=False))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    times = {"SELECT": [], "delivery": [], "flag change": []}  # type: dict[str, list[float]]
    for name in scale.chooser.sample(names, 500):
        box = MailboxId(views[names.index(name)].mailbox_id)
        times["SELECT"].append(scale.time_ms(store.select(name, "INBOX", claim_recent=True)))
        times["delivery"].append(scale.deliver(name))
        changing = store.store_flags(box, ((7, 7),), "add", FLAGGED)
        times["flag change"].append(scale.time_ms(changing))
    print(f"\n10,000 mailboxes of 100, each open: {held / MAILBOXES:,.0f} octets, cache included")
    for title, taken in times.items():
        print(f"{title:34}{statistics.median(taken):10.3f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--dir", type=Path, help="below which the store is made")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-scale-", dir=arguments.dir) as folder:
        state_dir = Path(folder)
        print(f"built in {build(state_dir, arguments.large):.0f} s\n")
        with House(state_dir) as house:
            scale = Scale(house, {SMALL: 1_000, LARGE: arguments.large})
            operations(scale, arguments.rounds)
            opening(scale, state_dir)
            many(scale)
            bulk(scale)


if __name__ == "__main__":
    main()
