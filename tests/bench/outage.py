"""What people notice when directory servers are killed, frozen and started again under load.

``python -m tests.bench.outage``: two slapds with the same people, the first one preferred. Every
second 50 people log in over IMAP and 100 recipients are asked about over SMTP, all with right
passwords and existing addresses, half of the logins by people who have not been seen before.
Meanwhile the servers are killed, frozen and brought back, one and both. Prints for each stretch
what the answers were and how long the slowest took; how long after a server's return newcomers
could log in again, and how long until the preferred server was in use again. Exits with 1 if
anybody was told that a right password is wrong or an existing address is nobody's.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.login_peers import directory_settings, people, use_directory
from tests.support.gateway_process import Demo
from tests.support.slapd import Slapd
from tests.support.waiting import eventually

LOGINS_PER_S = 50
RECIPIENTS_PER_S = 100
REGULARS = 200
PATIENCE_S = 30.0
THREADS = 24


@dataclass(frozen=True)
class Answer:
    """One request: when it was sent, how long it took, and what came of it."""

    kind: str
    at: float
    took_s: float
    result: str


@dataclass
class Load:
    """The people of the house, until ``stop``."""

    imap: int
    smtp: int
    newcomers: Iterator[int]
    answers: list[Answer] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        logins = itertools.chain.from_iterable(
            zip(itertools.cycle(range(REGULARS)), self.newcomers, strict=False)
        )
        self._begin("login", LOGINS_PER_S, self._log_in, logins)
        asked = itertools.cycle(range(REGULARS * 4))
        self._begin("rcpt", RECIPIENTS_PER_S, self._ask, asked)

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(PATIENCE_S + 5)

    def _begin(
        self, kind: str, rate: int, work: Callable[[int], str], numbers: Iterator[int]
    ) -> None:
        """Requests leave by the clock, whether or not the ones before are answered."""
        lock = threading.Lock()
        began = time.monotonic()
        serial = itertools.count()

        def run() -> None:
            while not self._stopped.is_set():
                with lock:
                    number, due = next(numbers), began + next(serial) / rate
                if self._stopped.wait(max(0.0, due - time.monotonic())):
                    return
                at = time.monotonic()
                try:
                    result = work(number)
                except OSError as error:
                    result = f"no answer ({type(error).__name__})"
                self.answers.append(Answer(kind, at, time.monotonic() - at, result))

        for _ in range(THREADS if kind == "login" else THREADS // 2):
            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            self._threads.append(thread)

    def _log_in(self, number: int) -> str:
        with talk(self.imap) as (send, line):
            line()
            send(f"a LOGIN u{number} pw-u{number}\r\n")
            while not (said := line()).startswith("a "):
                if said.startswith("* BYE"):
                    return "temporary"
            who = "known" if number < REGULARS else "new"
            if said.startswith("a OK"):
                return f"{who} ok"
            return f"{who} temporary: {said}" if "UNAVAILABLE" in said else f"WRONG: {said}"

    def _ask(self, number: int) -> str:
        with talk(self.smtp) as (send, line):
            line()
            for command in ("HELO client.example", "MAIL FROM:<x@elsewhere.example>"):
                send(f"{command}\r\n")
                line()
            send(f"RCPT TO:<u{number}@example.test>\r\n")
            said = line()
            if said.startswith("250"):
                return "ok"
            return f"temporary: {said}" if said.startswith("4") else f"WRONG: {said}"


@contextmanager
def talk(port: int) -> Iterator[tuple[Callable[[str], None], Callable[[], str]]]:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
        reader = client.makefile("rb")

        def line() -> str:
            octets = reader.readline()
            if not octets:
                raise ConnectionResetError("closed")
            return octets.decode("utf-8", "replace").rstrip()

        yield lambda text: client.sendall(text.encode()), line
        with suppress(OSError):
            client.shutdown(socket.SHUT_WR)


@dataclass
class Stage:
    """What is done to the servers, and what is looked for afterwards.

    Args:
        returns: a server has come back: how long until newcomers can log in.
        fails_back: how long until the preferred one is in use again.
    """

    name: str
    do: Callable[[], None]
    lasts_s: float
    returns: bool = False
    fails_back: bool = False


class Show:
    """Runs the stages and prints what was seen."""

    def __init__(self, demo: Demo, load: Load, preferred: Slapd) -> None:
        self._demo, self._load, self._preferred = demo, load, preferred
        self.worst_return_s = 0.0
        self.worst_fail_back_s = 0.0

    def run(self, stage: Stage) -> None:
        first = len(self._load.answers)
        began = time.monotonic()
        stage.do()
        done = time.monotonic()
        if stage.fails_back:
            eventually(self._in_use, deadline_s=90, every_s=0.1)
            took_s = time.monotonic() - done
            self.worst_fail_back_s = max(self.worst_fail_back_s, took_s)
            print(f"    preferred server in use again after {took_s:.1f} s")
        time.sleep(max(0.0, began + stage.lasts_s - time.monotonic()))
        answers = [each for each in self._load.answers[first:] if each.at >= began]
        self._print(stage, answers)
        if stage.returns:
            late = [each.at - done for each in answers if self._is_late(each, done)]
            took_s = max(late, default=0.0)
            self.worst_return_s = max(self.worst_return_s, took_s)
            print(f"    the last request that was put off came {took_s:.1f} s after the return")

    @staticmethod
    def _is_late(answer: Answer, since: float) -> bool:
        return answer.at > since and "ok" not in answer.result

    def _in_use(self) -> bool:
        (directory,) = self._demo.status()["directories"]
        return any(
            server["in_use"] and server["name"] == self._preferred.uri
            for server in directory["servers"]
        )

    @staticmethod
    def _print(stage: Stage, answers: list[Answer]) -> None:
        print(f"{stage.name}:")
        for kind in ("login", "rcpt"):
            mine = [each for each in answers if each.kind == kind]
            counts = collections.Counter(each.result.partition(":")[0] for each in mine)
            slowest_s = max((each.took_s for each in mine), default=0.0)
            shown = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
            print(f"    {kind:<6} {shown}; slowest {slowest_s:.1f} s", flush=True)
            for said in sorted({each.result for each in mine if ": " in each.result})[:3]:
                print(f"           {said}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stage-s", type=float, default=12.0, help="how long each state lasts")
    parser.add_argument("--workers", default="2")
    options = parser.parse_args()
    lasts_s = options.stage_s
    count = REGULARS + int(LOGINS_PER_S / 2 * lasts_s * 16)
    with tempfile.TemporaryDirectory(prefix="bench-outage-") as name, ExitStack() as stack:
        folder = Path(name)
        slapds = [
            Slapd(folder / f"ldap{number}", people(count), overlays=("syncprov", "unlimited"))
            for number in (1, 2)
        ]
        for slapd in slapds:
            slapd.start()
            stack.callback(slapd.stop)
        demo = Demo(folder / "gateway")
        demo.environ |= {
            "GATEWAY_WORKERS": options.workers,
            "GATEWAY_LIMITS__CONNECTIONS_PER_ADDRESS": "5000",
        }
        use_directory(demo, directory_settings(*(slapd.uri for slapd in slapds)))
        demo.start()
        stack.callback(demo.stop)
        load = Load(demo.port(143), demo.port(25), iter(range(REGULARS, count)))
        eventually(lambda: is_listed(demo), deadline_s=60)
        load.start()
        stack.callback(load.stop)
        show = Show(demo, load, slapds[0])
        for stage in stages(slapds[0], slapds[1], lasts_s):
            show.run(stage)
        load.stop()
    wrong = [each for each in load.answers if each.result.startswith("WRONG")]
    print(f"right passwords and existing people refused for good: {len(wrong)}")
    print(f"recovery within {show.worst_return_s:.1f} s, fail-back {show.worst_fail_back_s:.1f} s")
    for each in wrong[:10]:
        print(f"  {each.kind}: {each.result}")
    sys.exit(1 if wrong else 0)


def stages(first: Slapd, second: Slapd, lasts_s: float) -> Iterator[Stage]:
    def both(do: Callable[[Slapd], None]) -> Callable[[], None]:
        def do_both() -> None:
            do(first)
            do(second)

        return do_both

    yield Stage("all well", lambda: None, lasts_s)
    yield Stage("preferred server killed", first.kill, lasts_s)
    yield Stage("preferred server back", first.start, lasts_s, fails_back=True)
    yield Stage("preferred server frozen", first.freeze, lasts_s)
    yield Stage("preferred server thawed", first.thaw, lasts_s, fails_back=True)
    yield Stage("both killed", both(Slapd.kill), lasts_s)
    yield Stage("the second one back", second.start, lasts_s, returns=True)
    yield Stage("the preferred one back", first.start, lasts_s, fails_back=True)
    yield Stage("both frozen", both(Slapd.freeze), lasts_s)
    yield Stage("both thawed", both(Slapd.thaw), lasts_s, returns=True, fails_back=True)
    yield Stage("both restarted", both(Slapd.restart), lasts_s, returns=True)


def is_listed(demo: Demo) -> bool:
    return all(
        each["picture"] and each["picture"]["listed_at"] for each in demo.status()["directories"]
    )


if __name__ == "__main__":
    main()
