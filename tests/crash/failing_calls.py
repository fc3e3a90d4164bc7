"""A store whose calls fail, one at a time: every sync, and every Nth write, of everything it does.

``python -m tests.crash.failing_calls [--every N]`` runs ``scenario`` again and again under strace,
which lets the Kth call of a kind fail. Each step is either done or refused with a temporary error,
and a refused one has changed nothing; the steps behind it work; and what was there at the end,
when the process kills itself, is there when the store is opened again without the fault (if the
last step was refused, it may be there as well).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.crash.picture import picture
from tests.store.compacting import OFF
from tests.store.house import ALICE, House
from tests.support.programs import need

TEMPORARY = {"StoreUnavailable", "StoreFull"}
CONSEQUENCES = {"NoSuchMailbox"}  # of an earlier step that was refused


@dataclass(frozen=True, slots=True)
class Fault:
    """The ``number``-th call of a kind (counted in each thread) ends with an error."""

    call: str
    error: str
    number: int

    def __str__(self) -> str:
        return f"{self.call} {self.number} {self.error}"


def faults(every: int) -> Iterator[Fault]:
    """All syncs, and each ``every``-th write; until a number is not reached any more."""
    for call, error, step in (
        ("fdatasync", "EIO", max(1, every // 8)),
        ("pwrite64", "ENOSPC", every),
        ("pwrite64", "EIO", every),
        ("fsync", "EIO", max(1, every // 8)),
    ):
        for number in range(1, 2000, step):
            yield Fault(call, error, number)


def run(fault: Fault, folder: Path, steps: Sequence[str] = ()) -> tuple[list[dict[str, Any]], bool]:
    """What the program said, and whether the fault happened."""
    log = folder / "log"
    done = subprocess.run(
        [need("strace"), "-f", "--seccomp-bpf", "-o", str(log), "-e", f"trace={fault.call}",
         "-e", f"inject={fault.call}:error={fault.error}:when={fault.number}",
         sys.executable, "-m", "tests.crash.scenario", str(folder / "state"), *steps],
        capture_output=True,
        check=False,
        timeout=200,
    )  # fmt: skip
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert said or b"\ngateway.core.errors.Store" in done.stderr, done.stderr.decode()[-2000:]
    return said, b"(INJECTED)" in log.read_bytes()


def check(fault: Fault, said: Sequence[dict[str, Any]], state_dir: Path) -> int:
    """Returns how many steps were refused."""
    refused = 0
    for before, step in pairwise(said):
        error = step.get("error")
        if error in TEMPORARY:
            refused += 1
        else:
            assert error is None or (refused and error in CONSEQUENCES), (
                fault,
                step["step"],
                error,
            )
        if error and step["step"] != "expire":
            assert _kept(step) == _kept(before), (fault, step["step"])
    assert refused <= 2, (fault, refused)
    if state_dir.exists():
        with House(state_dir, compaction=OFF, reader_threads=1) as house:
            report = house.verify()
            assert report.sound, (fault, report.problems)
            # A refused step whose commit had been written but not synced may yet be found, whole;
            # the next one, had there been one, would have overwritten it.
            if said and "error" not in said[-1]:
                found = json.loads(json.dumps(picture(state_dir)))
                assert found == said[-1]["picture"], fault
            house.deliver("afterwards", ALICE)
    return refused


def _kept(step: dict[str, Any]) -> dict[str, Any]:
    """Without the vault, which gives way when space runs out."""
    return {name: rows for name, rows in step["picture"].items() if name != "deleted"}


def fail_each(every: int, limit: int = 2000) -> tuple[int, int]:
    """Try them; returns how many calls failed, and how many steps were refused for that."""
    failed = refused = 0
    over: set[tuple[str, str]] = set()
    for fault in faults(every):
        if (fault.call, fault.error) in over or failed >= limit:
            continue
        with tempfile.TemporaryDirectory() as folder:
            said, happened = run(fault, Path(folder))
            if not happened:
                over.add((fault.call, fault.error))
                continue
            refused += check(fault, said, Path(folder) / "state")
            failed += 1
    return failed, refused


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=8)
    failed, refused = fail_each(parser.parse_args().every)
    print(f"{failed} calls failed, {refused} steps refused for it, nothing acknowledged lost")


if __name__ == "__main__":
    main()
