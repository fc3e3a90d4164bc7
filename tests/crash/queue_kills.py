"""kill -9 of whoever runs the queue, in the middle of its work: nobody is lost, little comes twice.

``python -m tests.crash.queue_kills [--rounds N] [--messages N] [--workers N] [--seed N]``. In each
round sessions submit messages to several recipients at several destinations; while these leave, the
worker that runs the queue is killed, or, every other round, the gateway with all its workers, which
is then started again. When the queue is empty every recipient of each message that got its 250 has
it (SECURITY D4, D5, D11; RFC 5321 section 6.1). A second copy is there only where the answer to the
end of data was not recorded yet: of the last transactions before the kill, not more of them at each
destination than it has connections. Bounded in rounds, messages and time.
"""

from __future__ import annotations

import os
import random
import signal
import smtplib
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from gateway.app.demo import prepare
from tests.crash.kill_loop import compose, kill_all, mark_of, run_loop, verify
from tests.support.gateway_process import Demo
from tests.support.mail import ALICE
from tests.support.sink import Sink, running_sink
from tests.support.waiting import eventually

SESSIONS = 4
DESTINATIONS = 4
AT_ONCE = 5  # connections to each destination
NAMES = ("a", "b")


@dataclass
class Sent:
    """What was acknowledged: the recipients of each message, by its mark; and when the kill was."""

    acknowledged: dict[str, tuple[str, ...]] = field(default_factory=dict)
    at_kill: list[int] = field(default_factory=list)  # transactions of each destination
    lock: threading.Lock = field(default_factory=threading.Lock)


def submit(demo: Demo, sent: Sent, marks: Sequence[str], seed: int) -> None:
    """One session, anew when the server has gone; a message without an answer is not repeated."""
    choose = random.Random(seed)
    left = list(marks)
    while left:
        try:
            with smtplib.SMTP("127.0.0.1", demo.port(587), timeout=30) as client:
                client.login(*ALICE)
                while left:
                    mark = left.pop()
                    domains = choose.sample(range(DESTINATIONS), 2)
                    to = tuple(f"{name}@d{domain}.example" for domain in domains for name in NAMES)
                    client.sendmail(ALICE[0], to, compose(mark, choose.choice((300, 4096))))
                    with sent.lock:
                        sent.acknowledged[mark] = to
        except (OSError, smtplib.SMTPException):
            if demo.process is None or demo.process.poll() is not None:
                return


def received(sinks: Sequence[Sink]) -> int:
    return sum(len(sink.script.received) for sink in sinks)


def kill_leader(demo: Demo) -> None:
    (leader,) = [each for each in demo.status()["workers"] if each["runs_queue"]]
    os.kill(leader["pid"], signal.SIGKILL)


def run_round(
    demo: Demo, sinks: Sequence[Sink], number: int, messages: int, choose: random.Random, all_: bool
) -> Sent:
    """Send, kill, start again; returns what was acknowledged."""
    sent = Sent()
    before = received(sinks)
    kill_after = choose.randrange(10, messages)  # of two transactions for each message
    threads = []
    for session in range(SESSIONS):
        marks = [f"r{number}-s{session}-m{index}" for index in range(messages // SESSIONS)]
        arguments = (demo, sent, marks, choose.getrandbits(32))
        threads.append(threading.Thread(target=submit, args=arguments))
    for thread in threads:
        thread.start()
    eventually(lambda: received(sinks) - before >= kill_after, deadline_s=120, every_s=0.002)
    sent.at_kill = [len(sink.script.received) for sink in sinks]
    if all_:
        kill_all(demo)
    else:
        kill_leader(demo)
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    if all_:
        demo.start()
    return sent


def check(demo: Demo, sinks: Sequence[Sink], sent: Sent, number: int) -> int:
    """Nobody is lost; returns how many transactions came twice, each of which may."""
    eventually(lambda: demo.queued() == 0, deadline_s=120)
    there: set[tuple[str, str]] = set()
    doubled = 0
    for sink, at_kill in zip(sinks, sent.at_kill, strict=True):
        places: dict[tuple[str, tuple[str, ...]], list[int]] = {}
        for index, each in enumerate(sink.script.received):
            mark = mark_of(each.message)
            if mark.startswith(f"r{number}-"):
                places.setdefault((mark, tuple(sorted(each.recipients))), []).append(index)
                there.update((mark, recipient) for recipient in each.recipients)
        twice = {what: where for what, where in places.items() if len(where) > 1}
        assert all(len(where) == 2 for where in twice.values()), f"more than one a kill: {twice}"
        early = {what: where for what, where in twice.items() if where[0] < at_kill - AT_ONCE}
        assert not early, f"recorded long before the kill at {at_kill}, and still: {early}"
        assert len(twice) <= AT_ONCE, f"more than there were connections: {twice}"
        doubled += len(twice)
    expected = {(mark, to) for mark, all_to in sent.acknowledged.items() for to in all_to}
    assert expected <= there, f"lost: {sorted(expected - there)[:10]}"
    return doubled


def queue_kills(folder: Path, *, rounds: int, messages: int, seed: int, workers: int) -> str:
    """Run the rounds, beginning with a single worker where there are several."""
    choose = random.Random(seed)
    doubled = acknowledged = 0
    with ExitStack() as stack:
        sinks = [stack.enter_context(running_sink()) for _ in range(DESTINATIONS)]
        demo = Demo(folder, workers=workers)
        prepare(demo.folder, demo.base)
        settings = f"[outbound]\nretry_after_s = [1]\nconnections_per_destination = {AT_ONCE}\n"
        for number, sink in enumerate(sinks):
            settings += f'[outbound.destinations."d{number}.example"]\n'
            settings += f'next_hop = "smtp://127.0.0.1:{sink.port}"\n'
        demo.config.write_text(f"{demo.config.read_text()}\n{settings}")
        demo.start()
        try:
            for number in range(rounds):
                all_ = workers == 1 or number % 2 == 1
                sent = run_round(demo, sinks, number, messages, choose, all_)
                acknowledged += len(sent.acknowledged)
                doubled += check(demo, sinks, sent, number)
        finally:
            demo.stop()
        verify(demo)
    return (
        f"{rounds} kills, {workers} workers, {acknowledged} messages acknowledged to "
        f"{2 * len(NAMES)} recipients each, 0 lost, {doubled} transactions came twice"
    )


if __name__ == "__main__":
    run_loop(queue_kills, __doc__, rounds=20, messages=500, workers=3)
