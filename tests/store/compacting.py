"""A store with mostly dead segments in a test, and waiting until compaction has nothing to do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twisted.logger import globalLogPublisher

from gateway.store.compaction import Pace
from tests.store.house import ALICE, House

OFF = Pace(dead_share=2.0)
FAST = Pace(step_octets=5_000, pause_s=0.0, busy_pause_s=0.0, retry_s=0.0)
ROLL = 20_000
SIZE = 2_000


def text(number: int, size: int = SIZE) -> bytes:
    """A message like no other."""
    head = b"Subject: number %d\r\n\r\n" % number
    return head + (b"%d " % number * size)[: size - len(head)]


def fill(house: House, count: int) -> list[bytes]:
    """Messages in Alice's INBOX, over several segments as each is a batch of its own."""
    octets = [text(number) for number in range(count)]
    for one in octets:
        house.append("INBOX", one)
    return octets


def keep_every(house: House, nth: int) -> None:
    """Expunge all of Alice's INBOX but every ``nth`` message."""
    ranges = tuple((uid, uid) for uid in house.uids() if uid % nth)
    house.wait(house.store.expunge(house.box(), ranges, only_deleted=False))


def is_settled(house: House) -> bool:
    """Whether compaction had nothing to do, seen from a batch behind all that was handed in."""
    committer = house.store._committer
    deferred = committer.write(lambda _: committer._compactor.wait_s() is None)
    return house.pump.wait_for(deferred)


def settle(house: House) -> None:
    end = time.monotonic() + house.pump.deadline_s  # after a slow step the next comes late
    while not is_settled(house):
        assert time.monotonic() < end, "compaction does not come to an end"


def segments(state_dir: Path) -> dict[str, int]:
    """Names and sizes."""
    found = {}
    for path in (state_dir / "store/segments").iterdir():
        try:
            found[path.name] = path.stat().st_size
        except FileNotFoundError:
            continue
    return found


def check(house: House, expected: list[bytes]) -> None:
    """Sound, whole, and nowhere more dead than living besides the newest segment."""
    report = house.verify()
    assert house.contents(ALICE) == expected
    newest = ROLL + SIZE + 100
    assert sum(segments(house.state_dir).values()) <= 2.1 * report.octets + newest


@contextmanager
def logged() -> Iterator[list[dict[str, Any]]]:
    """Log events of the compaction."""
    events: list[dict[str, Any]] = []

    def observe(event: Any) -> None:
        if event.get("log_namespace", "").endswith("Compactor"):
            events.append(event)

    observer: Any = observe  # mypy does not see what zope declares
    globalLogPublisher.addObserver(observer)
    try:
        yield events
    finally:
        globalLogPublisher.removeObserver(observer)
