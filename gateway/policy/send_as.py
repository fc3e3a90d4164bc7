"""Which addresses people may send as besides their own, by the administrator's word.

Owns the rules: those of the settings and those of a file, which is looked at again at most once in
LOOK_S, in a thread. A file that was written to within SETTLE_S may be the first half of a copy, and
has to wait. One that is broken or gone is told once, and what was read before stays in force. A
line of the file is a login and addresses, or ``*@domain``, with blanks or commas between them;
``#`` begins a comment; a login may have several lines. A person's address may stand for the login.

Limits: MAX_OCTETS of file.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from twisted.logger import Logger

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import GatewayError
from gateway.core.log_text import shown
from gateway.core.ports.clock import Timers, WallClock
from gateway.core.settings.checks import sender_pattern
from gateway.core.text_files import NotText, TooMuchText, text_of
from gateway.policy.list_files import InThread, Stamp, stamp_of

LOOK_S = 1.0
SETTLE_S = 1.0
MAX_OCTETS = 16 * 1024 * 1024
MAX_TOLD = 5  # mistakes

Rules = Mapping[str, frozenset[str]]
"""Addresses and ``*@domain``, case folded, by login."""

NO_RULES: Rules = {}


class BrokenRules(Exception):
    """The file cannot be used; the text has what is wrong, with its lines."""


def rules_from(table: Mapping[str, Sequence[str]]) -> Rules:
    """Rules of the settings."""
    return {
        login.casefold(): frozenset(each.casefold() for each in addresses)
        for login, addresses in table.items()
    }


class RulesFile:
    """The rules of one file.

    Args:
        timers: its seconds say when a look is due.
        wall_clock: of the system that writes the file's times.
    """

    log = Logger()

    def __init__(
        self,
        path: Path,
        *,
        timers: Timers,
        in_thread: InThread,
        wall_clock: WallClock = time.time,
    ) -> None:
        """Reads it. Raises: BrokenRules, OSError."""
        self._path = path
        self._timers = timers
        self._in_thread = in_thread
        self._wall_clock = wall_clock
        self._stamp = self._last_seen = stamp_of(path)
        self._rules = read_rules(path)
        self._look_at = timers.seconds() + LOOK_S
        self._told = ""

    async def current(self) -> Rules:
        """What is in the file now, or was when it could last be read."""
        if self._timers.seconds() >= self._look_at:
            self._look_at = self._timers.seconds() + LOOK_S  # others do not look meanwhile
            known, last_seen = self._stamp, self._last_seen
            try:
                self._last_seen, found = await self._in_thread(lambda: self._look(known, last_seen))
            except OSError as error:
                self._complain(error)
            except GatewayError:
                pass  # the thread is busy; who asks in a while tries again
            else:
                self._take(found)
        return self._rules

    def _take(self, found: Rules | BrokenRules | None) -> None:
        if found is None:
            self._told = ""
            return
        self._stamp = self._last_seen  # also of a broken one, which is not read again each second
        if isinstance(found, BrokenRules):
            self._complain(found)
            return
        self._rules, self._told = found, ""
        self.log.info(
            "{path}: rules for {count} logins read", path=str(self._path), count=len(found)
        )

    def _look(self, known: Stamp, last_seen: Stamp) -> tuple[Stamp, Rules | BrokenRules | None]:
        """In a thread. None: there is nothing new, or it is still being written."""
        stamp = stamp_of(self._path)
        # Unchanged since the look before also counts: the file's clock may be ahead of ours.
        is_fresh = self._wall_clock() - stamp[0] / 1e9 < SETTLE_S and stamp != last_seen
        if stamp == known or is_fresh:
            return stamp, None
        try:
            return stamp, read_rules(self._path)
        except BrokenRules as broken:
            return stamp, broken

    def _complain(self, error: OSError | BrokenRules) -> None:
        text = (error.strerror if isinstance(error, OSError) else None) or str(error)
        if text != self._told:  # once, not each second
            self._told = text
            self.log.error(
                "{path} cannot be used, the rules read before stay in force: {text}",
                path=str(self._path),
                text=text,
            )


class SendAs:
    """All rules together."""

    def __init__(self, rules: Rules = NO_RULES, file: RulesFile | None = None) -> None:
        self._rules = rules
        self._file = file

    async def allows(self, account: Account, address: Address) -> bool:
        """Whether a rule lets this person send as the address."""
        if _allow(self._rules, account, address):
            return True
        return self._file is not None and _allow(await self._file.current(), account, address)


def _allow(rules: Rules, account: Account, address: Address) -> bool:
    wanted = {address.key, f"*@{address.domain}".casefold()}
    return any(
        not wanted.isdisjoint(rules.get(name.casefold(), ()))
        for name in (account.login, *account.addresses)
    )


def read_rules(path: Path) -> Rules:
    """May block. Raises: BrokenRules, OSError."""
    with path.open("rb") as file:
        octets = file.read(MAX_OCTETS + 1)
    try:
        text = text_of(octets, MAX_OCTETS)
    except TooMuchText:
        raise BrokenRules(f"more than {MAX_OCTETS} octets") from None
    except NotText as error:
        raise BrokenRules(f"line {error.line}: found octets that are not UTF-8 text") from None
    rules: dict[str, set[str]] = {}
    problems: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        login, *addresses = line.partition("#")[0].replace(",", " ").split() or [""]
        if login and not addresses:
            problems.append(f"line {number}: found {shown(login)} alone; expected addresses too")
        for address in addresses:
            try:
                pattern = sender_pattern(address).casefold()
            except ValueError as expected:
                problems.append(f"line {number}: found {shown(address)}; expected {expected}")
            else:
                rules.setdefault(login.casefold(), set()).add(pattern)
    if problems:
        more = f"; and {len(problems) - MAX_TOLD} more" if len(problems) > MAX_TOLD else ""
        raise BrokenRules("; ".join(problems[:MAX_TOLD]) + more)
    return {login: frozenset(addresses) for login, addresses in rules.items()}
