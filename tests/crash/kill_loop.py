"""kill -9 in the middle of 2,000 parallel submissions: nothing acknowledged is lost.

``python -m tests.crash.kill_loop [--rounds N] [--workers N] [--seed N]``. In each round 50 sessions
submit messages whose octets carry their own checksum, some also to somebody outside, some asking to
hear of the delivery, which then goes through the queue; the gateway is killed after a random number
of acknowledgements, verified as it lies there, started again, and checked: every message that got
its 250 is there once and whole, no torn one is visible, the store verifies, what was for outside
arrives at the smart host, and who asked hears of it once. With several workers, every other
round kills one of them only, in the middle of what the others do, and the gateway has to replace
it. Bounded in rounds, messages and time.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import re
import signal
import smtplib
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.support.gateway_process import BIN, Demo
from tests.support.mail import ALICE, BOB, each_message
from tests.support.processes import tree_of
from tests.support.programs import run
from tests.support.sink import Sink, running_sink
from tests.support.waiting import eventually

SESSIONS = 50
FRIEND = "friend@elsewhere.example"
_MARK = re.compile(rb"X-Mark: (\S+) ([0-9a-f]{64})\r\n\r\n")
_NAMED = re.compile(rb"\nX-Mark: (\S+) ")


@dataclass
class Round:
    """What one round knows."""

    acknowledged: set[str] = field(default_factory=set)
    acknowledged_outside: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    enough: threading.Event = field(default_factory=threading.Event)
    kill_after: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def acknowledge(self, mark: str, outside: bool, asked: bool) -> None:
        with self.lock:
            self.acknowledged.add(mark)
            if outside:
                self.acknowledged_outside.add(mark)
            if asked:
                self.asked.add(mark)
            if len(self.acknowledged) >= self.kill_after:
                self.enough.set()


def compose(mark: str, octets: int) -> bytes:
    """A message that can tell whether it is whole."""
    line = (mark.encode() * 80)[:76] + b"\r\n"
    body = (line * (octets // len(line) + 1))[: octets - 2] + b"\r\n"
    digest = hashlib.sha256(body).hexdigest()
    return f"Subject: {mark}\r\nX-Mark: {mark} {digest}\r\n\r\n".encode() + body


def mark_of(message: bytes) -> str:
    """The message's mark; fails when the message is torn."""
    found = _MARK.search(message)
    assert found, f"torn header: {message[:200]!r}"
    body = message[found.end() :]
    assert hashlib.sha256(body).hexdigest().encode() == found[2], f"torn: {found[1]!r}"
    return found[1].decode()


def marks_named(report: bytes) -> list[str]:
    """Those in a report about messages that can tell whether they are whole."""
    return [found.decode() for found in _NAMED.findall(report)]


def submit(demo: Demo, state: Round, marks: list[str], seed: int) -> None:
    """One session; ends at its last message or when the server is gone."""
    choose = random.Random(seed)
    try:
        with smtplib.SMTP("127.0.0.1", demo.port(587), timeout=30) as client:
            client.login(*ALICE)
            for mark in marks:
                # Most are small; some are streamed to files of their own.
                octets = choose.choices((300, 4096, 20_000, 1_500_000), (30, 50, 19, 1))[0]
                outside = choose.random() < 0.25
                recipients = [BOB[0], FRIEND] if outside else [BOB[0]]
                asked = not outside and choose.random() < 0.25
                wish = ["NOTIFY=SUCCESS"] if asked else []
                client.sendmail(ALICE[0], recipients, compose(mark, octets), rcpt_options=wish)
                state.acknowledge(mark, outside, asked)
    except (OSError, smtplib.SMTPException):
        return


def run_round(demo: Demo, number: int, messages: int, choose: random.Random, workers: int) -> Round:
    """Send, kill, start again; returns what was acknowledged."""
    state = Round(kill_after=choose.randrange(1, messages))
    share = messages // SESSIONS
    threads = []
    for session in range(SESSIONS):
        marks = [f"r{number}-s{session}-m{index}" for index in range(share)]
        arguments = (demo, state, marks, choose.getrandbits(32))
        threads.append(threading.Thread(target=submit, args=arguments))
    for thread in threads:
        thread.start()
    assert state.enough.wait(300), "the submissions do not get on"
    one_only = workers > 1 and number % 2 == 1
    if one_only:
        os.kill(choose.choice(demo.status()["workers"])["pid"], signal.SIGKILL)
    else:
        kill_all(demo)
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    verify(demo)  # as the kill left it, before anything puts it in order
    if not one_only:
        demo.start()
    return state


def kill_all(demo: Demo) -> None:
    """The gateway with all its processes, at once."""
    assert demo.process is not None
    for pid in tree_of(demo.process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    demo.kill()


def verify(demo: Demo) -> None:
    run([str(BIN / "gateway"), "verify", "--config", str(demo.config)], timeout_s=120)


def check(demo: Demo, sink: Sink, expected: set[str], outside: set[str], asked: set[str]) -> int:
    """Everything acknowledged is there; returns how many messages were looked at."""
    eventually(lambda: demo.queued() == 0, deadline_s=120)
    marks = [mark_of(message) for message in each_message(demo.port(143))]
    present = set(marks)
    assert expected <= present, f"lost: {sorted(expected - present)[:10]}"
    # Each was submitted once, so a second copy here is one that recovery made.
    assert len(marks) == len(present), "doubled in the mailbox"
    told = [name for each in each_message(demo.port(143), ALICE) for name in marks_named(each)]
    assert asked <= set(told), f"not told: {sorted(asked - set(told))[:10]}"
    assert len(told) == len(set(told)), "told twice"
    verify(demo)

    def arrived() -> bool:
        return outside <= {mark_of(received.message) for received in list(sink.script.received)}

    eventually(arrived, deadline_s=120)
    return len(marks)


def kill_loop(folder: Path, *, rounds: int, messages: int, seed: int, workers: int = 1) -> str:
    """Run the rounds; returns the figures."""
    choose = random.Random(seed)
    acknowledged: set[str] = set()
    outside: set[str] = set()
    asked: set[str] = set()
    looked_at = 0
    with running_sink() as sink:
        demo = Demo(folder, workers=workers)
        demo.start()
        demo.stop()
        text = demo.config.read_text()
        smart_host = f'smart_host = "smtp://127.0.0.1:{sink.port}"\nretry_after_s = [1]\n'
        demo.config.write_text(f"{text}\n[outbound]\n{smart_host}")
        demo.start()
        try:
            for number in range(rounds):
                state = run_round(demo, number, messages, choose, workers)
                acknowledged |= state.acknowledged
                outside |= state.acknowledged_outside
                asked |= state.asked
                looked_at = check(demo, sink, acknowledged, outside, asked)
        finally:
            demo.stop()
    return (
        f"{rounds} kills, {workers} workers, {len(acknowledged)} messages acknowledged "
        f"({len(outside)} also to outside, {len(asked)} told of), {looked_at} present, 0 lost, "
        "0 torn"
    )


class Loop(Protocol):
    """Runs rounds in a folder and returns the figures."""

    def __call__(
        self, folder: Path, *, rounds: int, messages: int, seed: int, workers: int
    ) -> str: ...


def run_loop(loop: Loop, about: str | None, *, rounds: int, messages: int, workers: int) -> None:
    """With what the command line says; the seed is told first."""
    parser = argparse.ArgumentParser(description=(about or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--messages", type=int, default=messages)
    parser.add_argument("--workers", type=int, default=workers)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="gateway-crash-") as folder:
        print(loop(Path(folder) / "d", **vars(arguments)))


if __name__ == "__main__":
    run_loop(kill_loop, __doc__, rounds=10, messages=2000, workers=1)
