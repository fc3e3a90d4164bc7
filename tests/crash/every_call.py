"""A store stopped after every single call it makes, by a kill and by power cuts.

``python -m tests.crash.every_call [--every N] [--cuts N] [--seed N]`` records one store going
through ``scenario``, then lays out the disk as it was after each call (each Nth, if asked), opens
the store there and compares it with the pictures: it must be exactly what the last acknowledged
step had left, or what the step in progress was to leave. Whatever it is, it verifies, takes the
next message, and gives it a UID that nobody was told before. Bounded by the recording's length.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.disk import Disk, lay_out
from tests.crash.picture import Picture, picture
from tests.crash.recording import Event, record
from tests.store.compacting import OFF
from tests.store.house import ALICE, House, delivered

SCENARIO = "tests.crash.scenario"
MIGRATION = "tests.crash.migration"
MIGRATED = ("2", "3")  # schema versions that gateways in use have


@dataclass(frozen=True, slots=True)
class Recording:
    """Calls, and the lines the program said between them."""

    events: Sequence[Event]

    def steps(self) -> list[dict[str, Any]]:
        return [json.loads(event.data) for event in self.events if event.kind == "said"]


@dataclass(slots=True)
class Tally:
    """What was tried."""

    kills: int = 0
    cuts: int = 0
    messages: int = 0

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.cuts} power cuts, "
            f"{self.messages} acknowledged messages looked for, 0 lost"
        )


def recorded(module: str = SCENARIO, steps: Sequence[str] = ()) -> Recording:
    """Run the program in a fresh folder and keep what it did."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "state"
        command = [sys.executable, "-m", module, str(folder), *steps]
        return Recording(record(command, folder, Path(temporary) / "log"))


def stop_everywhere(
    recording: Recording,
    scratch: Path,
    *,
    every: int = 1,
    cuts: int = 1,
    seed: int = 1,
    from_line: int = 0,
) -> Tally:
    """Check the disk after each ``every``-th call: once as killed, ``cuts`` times as cut off.

    Not before the program has said so many lines (while it makes what it begins with).
    """
    choose = random.Random(seed)
    pictures = [step.get("picture") for step in recording.steps()]
    disk = Disk()
    tally = Tally()
    said = 0
    for number, event in enumerate(recording.events, 1):
        if event.kind == "said":
            said += 1
            continue
        disk.play(event)
        if said < from_line or (number + seed) % every:
            continue
        allowed = [one for one in pictures[said - 1 : said + 1] if one] if said else []
        where = f"after call {number} ({event.kind} {event.path}), {said} steps acknowledged"
        for cut, files in enumerate(_states(disk, cuts, choose)):
            folder = scratch / f"{number}-{cut}"
            lay_out(folder / "state", files, disk.folders)
            _check(folder / "state", allowed, f"{where}, {'cut' if cut else 'kill'} {cut}")
            tally.messages += len(allowed[0]["messages"]) if allowed else 0
        tally.kills += 1
        tally.cuts += cuts
    return tally


def _states(disk: Disk, cuts: int, choose: random.Random) -> Iterator[dict[str, bytes]]:
    yield disk.after_a_kill()
    for _ in range(cuts):
        yield disk.after_a_power_cut(choose)


def _check(state_dir: Path, allowed: Sequence[Picture], where: str) -> None:
    """Raises AssertionError, and leaves the folder for whoever looks into it."""
    with House(state_dir, compaction=OFF, reader_threads=1) as house:
        report = house.verify()
        assert report.sound, (where, report.problems)
        found = picture(state_dir)
        if allowed:
            as_said = json.loads(json.dumps(found))
            assert as_said in allowed, f"{where}: {_difference(found, allowed)}"
        told = max((_uid_next(one) for one in allowed[:1]), default=1)
        house.deliver("afterwards", ALICE)
        last = house.rows()[-1]
        assert last.uid >= told, where
        assert house.octets(last) == delivered(), where
    _remove(state_dir)


def _uid_next(one: Picture) -> int:
    """Of Alice's INBOX."""
    return next((row[3] for row in one["mailboxes"] if row[:2] == [ALICE, "INBOX"]), 1)


def _difference(found: Picture, allowed: Sequence[Picture]) -> str:
    lines = []
    for name, rows in found.items():
        if any(rows == one[name] for one in allowed):
            continue
        lines.append(f"{name}: found {rows}, expected one of {[one[name] for one in allowed]}")
    return "\n".join(lines) or "parts of two steps"


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--cuts", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    migrations = ((MIGRATION, 1, (version,)) for version in MIGRATED)
    for module, from_line, arguments in ((SCENARIO, 0, ()), *migrations):
        with tempfile.TemporaryDirectory() as scratch:
            recording = recorded(module, arguments)
            tally = stop_everywhere(
                recording, Path(scratch), every=options.every, cuts=options.cuts,
                seed=options.seed, from_line=from_line,
            )  # fmt: skip
        print(f"{' '.join((module, *arguments))}: {tally}", flush=True)


if __name__ == "__main__":
    main()
