"""Lists: what matches, how a file is read again, and what happens to a broken or a huge one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure

from gateway.policy import list_files
from gateway.policy.entries import BrokenList, read_entries
from gateway.policy.ground import Ground, at
from gateway.policy.list_files import ListFile
from gateway.policy.lists import Inline, ListCheck
from gateway.policy.verdicts import Action, Stage
from tests.policy.facts import ALICE, facts, now

T = TypeVar("T")


def listed(of: str, *entries: str, **about: Any) -> str:
    """The entry that matches; empty: none."""
    found = read_entries(of, entries, len(entries)).find(facts(**about))
    return found[0] if found else ""


@pytest.mark.parametrize(
    ("entry", "ip", "is_in"),
    [
        ("192.0.2.0/24", "192.0.2.9", True),
        ("192.0.2.0/24", "192.0.3.9", False),
        ("192.0.2.9", "192.0.2.9", True),
        ("0.0.0.0/0", "203.0.113.7", True),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("2001:db8::/32", "2001:db8:1::1", True),
        ("2001:db8::/32", "2001:db9::1", False),
        ("::ffff:192.0.2.0/120", "192.0.2.9", True),
        ("192.0.2.0/24", "::ffff:192.0.2.9", True),
        ("192.0.2.0/24", "local", False),
    ],
)
def test_networks(entry: str, ip: str, is_in: bool) -> None:
    assert bool(listed("ip", "198.51.100.7", entry, ip=ip)) is is_in


@pytest.mark.parametrize(
    ("entry", "sender", "is_in"),
    [
        ("far.test", "a@far.test", True),
        ("far.test", "a@sub.far.test", False),
        (".far.test", "a@sub.far.test", True),
        (".far.test", "a@far.test", False),
        (".far.test", "a@notfar.test", False),
        (".test", "a@far.test", True),
        ("A@Far.TEST", "a@far.test", True),
        ("b@far.test", "a@far.test", False),
        ("a@", "a@far.test", True),
        ("<>", "", True),
        ("<>", "a@far.test", False),
    ],
)
def test_senders(entry: str, sender: str, is_in: bool) -> None:
    assert bool(listed("sender", "other.test", entry, sender=sender)) is is_in


def test_names_and_logins() -> None:
    assert listed("helo", ".dynamic.test", hello="host9.Dynamic.test") == ".dynamic.test"
    assert listed("host_name", "mx.far.test", host_name="mx.far.test") == "mx.far.test"
    assert listed("host_name", "mx.far.test", host_name="") == ""
    assert listed("recipient", "alice@example.test") == "alice@example.test"
    assert listed("login", "alice", account=ALICE) == "alice"
    assert listed("login", "alice") == "", "who only says so has not logged in"


def test_the_verdict_names_list_and_line() -> None:
    inline = Inline(read_entries("ip", ["198.51.100.7", "192.0.2.0/24"], 2))
    check = ListCheck(
        Ground("bad"), inline, "policies.smtp[0].entries", Action.REJECT, at("connect")
    )
    verdict = now(check, facts(), Stage.CONNECT)
    assert verdict is not None and verdict.check == "bad"
    assert verdict.inputs == {
        "of": "ip", "entry": "192.0.2.0/24", "list": "policies.smtp[0].entries", "line": "2"
    }  # fmt: skip


def test_mistakes_are_told_by_line() -> None:
    lines = ["# comment", "192.0.2.1 # fine", "192.0.2.1/8", "", "300.1.1.1", "example.com"]
    with pytest.raises(BrokenList) as caught:
        read_entries("ip", lines, len(lines))
    assert [found for found, _ in caught.value.mistakes] == [
        "'192.0.2.1/8' in line 3", "'300.1.1.1' in line 5", "'example.com' in line 6"
    ]  # fmt: skip


class Threads:
    """Work that a test runs when it likes."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.at_once = True

    def __call__(self, work: Callable[[], T], /) -> Deferred[T]:
        done: Deferred[T] = Deferred()

        def run() -> None:
            try:
                result = work()
            except Exception:
                done.errback(Failure())
            else:
                done.callback(result)

        if self.at_once:
            run()
        else:
            self.waiting.append(run)
        return done


class Files:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "bad.list"
        self.clock, self.threads = Clock(), Threads()
        self.write("192.0.2.1\n")
        timers: Any = self.clock
        self.list = ListFile(self.path, "ip", timers=timers, in_thread=self.threads)

    def write(self, text: str) -> None:
        self.path.write_text(text)
        stamp = self.path.stat().st_mtime_ns + 1_000_000 * len(text)
        os.utime(self.path, ns=(stamp, stamp))

    def count(self) -> int:
        current: Any = self.list.current()
        return int(current.count) if not isinstance(current, Deferred) else -1


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_a_file_that_changes_is_read_again_at_most_once_a_second(files: Files) -> None:
    files.write("192.0.2.1\n192.0.2.2\n")
    assert files.count() == 1
    files.clock.advance(1)
    assert files.count() == 2
    files.write("192.0.2.1\n192.0.2.2\n192.0.2.3\n")
    assert files.count() == 2
    files.clock.advance(1)
    assert files.count() == 3


def test_a_broken_file_keeps_the_old_entries_and_is_told_once_by_line(files: Files) -> None:
    files.write("192.0.2.1\nnonsense\x1b[31m\n192.0.2.7/9\n")
    with capturedLogs() as events:
        for _ in range(3):
            files.clock.advance(1)
            assert files.count() == 1
    (line,) = map(formatEvent, events)
    assert line is not None and "in line 2" in line and "in line 3" in line and "\x1b" not in line
    files.write("192.0.2.1\n192.0.2.2\n")
    files.clock.advance(1)
    assert files.count() == 2


def test_a_file_that_is_gone_keeps_the_old_entries(files: Files) -> None:
    files.path.unlink()
    with capturedLogs() as events:
        for _ in range(3):
            files.clock.advance(1)
            assert files.count() == 1
    assert len(events) == 1


def test_who_asks_while_it_is_looked_at_waits_but_not_for_long(files: Files) -> None:
    files.threads.at_once = False
    files.write("192.0.2.1\n192.0.2.2\n")
    files.clock.advance(1)
    found: list[int] = []
    for _ in range(2):
        waiting: Any = files.list.current()
        waiting.addCallback(lambda entries: found.append(entries.count))
    gone: Any = files.list.current()
    gone.addErrback(lambda failure: None)
    gone.cancel()
    files.clock.advance(list_files.LOOK_WAIT_S)
    assert found == [1, 1], "the disk hangs: the old entries serve"
    slow: Any = files.list.current()
    slow.addCallback(lambda entries: found.append(entries.count))
    files.threads.waiting.pop()()
    assert found == [1, 1, 2] and not files.threads.waiting


def test_nobody_waits_for_a_big_file(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_files, "BIG_OCTETS", 30)
    files.threads.at_once = False
    files.write("192.0.2.1\n192.0.2.2\n192.0.2.3\n192.0.2.4\n")
    files.clock.advance(1)
    found: list[int] = []
    waiting: Any = files.list.current()
    waiting.addCallback(lambda entries: found.append(entries.count))
    files.threads.waiting.pop()()
    assert found == [1]
    files.threads.waiting.pop()()
    assert files.count() == 4


def test_a_long_list_is_bounded_in_memory() -> None:
    lines = (f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(100_000))
    entries = read_entries("ip", lines, 100_000)
    assert entries.count == 100_000
    octets = entries._hashes.itemsize * len(entries._hashes)
    octets += entries._lines.itemsize * len(entries._lines)
    assert octets <= 48 * 100_000
    assert entries.find(facts("10.1.2.3")) == ("10.1.2.3", (1 << 16) + (2 << 8) + 3 + 1)
    assert entries.find(facts("10.200.2.3")) is None
