"""Four processes write one store at once, and one of them is killed (SECURITY D1, D9)."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.store.beside import hold
from tests.store.house import House
from tests.store.writing import FLOWS, SHARED
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
PROCESSES = 4
ROUNDS = 24
KILL_AFTER = 150  # acknowledgements of the one that is killed
ENDLESS = 1_000_000  # rounds of the one that is killed: it must not be faster than who kills it

Line = dict[str, Any]


class Process:
    """A writing process, and what it has said so far."""

    def __init__(self, state_dir: Path, name: str, rounds: int) -> None:
        self.name = name
        self.lines: list[Line] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.store.writing", state_dir, name, str(rounds)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):  # the last one of a killed process
                self.lines.append(json.loads(line))

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        self._process.kill()

    def wait(self) -> int:
        """Its exit status, when all it said was read."""
        self._reader.join(60)
        status = self._process.wait(60)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        return status

    def of(self, kind: str) -> list[Line]:
        return [line for line in self.lines if line["kind"] == kind]


@contextlib.contextmanager
def running(state_dir: Path, first_rounds: int = ROUNDS) -> Iterator[list[Process]]:
    """Processes that have joined and are at work."""
    holding = hold(state_dir)
    rounds = [first_rounds, *[ROUNDS] * (PROCESSES - 1)]
    processes = [Process(state_dir, f"p{number}", each) for number, each in enumerate(rounds)]
    try:
        eventually(lambda: all(process.lines for process in processes))
        for process in processes:
            process.go()
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
        holding.close()


def check(state_dir: Path, processes: list[Process]) -> None:
    """All that was acknowledged is there, and nothing twice."""
    appended = [line for process in processes for line in process.of("appended")]
    uids = [line["uid"] for line in appended]
    assert len(set(uids)) == len(uids)
    for process in processes:
        for flow in range(FLOWS):
            given = [line["uid"] for line in process.of("appended") if line["flow"] == flow]
            assert given == sorted(given)
    expunged = {line["uid"] for process in processes for line in process.of("expunged")}
    flagged = {line["uid"] for process in processes for line in process.of("flagged")}
    delivered = {line["key"] for process in processes for line in process.of("delivered")}
    with House(state_dir) as house:
        rows = {row.uid: row for row in house.rows(SHARED)}
        assert list(rows) == sorted(rows)
        keys = {uid: key_of(house.octets(row)) for uid, row in rows.items()}
        for line in appended:
            if line["uid"] in rows:
                assert keys[line["uid"]] == line["key"]
            else:
                assert line["uid"] in expunged or line["uid"] == last_flows_uid(processes, line)
        assert not expunged & rows.keys()
        assert all("\\Seen" in rows[uid].flags for uid in flagged & rows.keys())
        at_all = [key for uid, key in keys.items() if uid not in uids]
        assert delivered <= set(at_all)
        for process in processes:
            own = [key_of(octets) for octets in house.contents(account_of(process))]
            assert len(set(own)) == len(own)
            assert {line["key"] for line in process.of("delivered")} <= set(own)
        house.verify()


def account_of(process: Process) -> Any:
    return process.name


def key_of(octets: bytes) -> str:
    return octets.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode()


def last_flows_uid(processes: list[Process], line: Line) -> int:
    """Of a flow that was killed: it may have expunged one that it could not tell of."""
    for process in processes:
        of_flow = [one for one in process.of("appended") if one["flow"] == line["flow"]]
        if line in of_flow and len(of_flow) >= 2:
            return int(of_flow[-2]["uid"])
    return 0


def test_D1_four_processes_write_as_one_and_none_starves(tmp_path: Path) -> None:
    with running(tmp_path) as processes:
        for process in processes:
            assert process.wait() == 0
    finished = [process.of("finished")[0] for process in processes]
    first = min(line["at"] for line in finished)
    for process, line in zip(processes, finished, strict=True):
        assert len(process.of("delivered")) == len(process.of("appended")) == FLOWS * ROUNDS
        assert line["told"] > 0
        by_then = [line for line in process.of("delivered") if line["at"] <= first]
        assert len(by_then) >= FLOWS * ROUNDS // 4, "one was far behind when another had finished"
    check(tmp_path, processes)
    # Whoever closes it with nobody beside folds the log; what checked it above may have been.
    House(tmp_path).__exit__(None, None, None)
    assert not (tmp_path / "store/index.sqlite-wal").exists()


def test_D1_a_process_killed_in_the_middle_loses_nothing_acknowledged(tmp_path: Path) -> None:
    with running(tmp_path, ENDLESS) as processes:
        killed, *others = processes
        eventually(lambda: len(killed.lines) >= KILL_AFTER, every_s=0.001)
        killed.kill()
        for process in others:
            assert process.wait() == 0
        assert killed.wait() == -9
        assert not killed.of("finished")
        again = Process(tmp_path, killed.name, 0)  # under its name, while the store is held
        again.go()
        assert again.wait() == 0
    check(tmp_path, processes)
