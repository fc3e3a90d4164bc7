"""Addresses that stand for others, by the settings and by a file: the tables and how they are read.

Owns the text form of the file, close to Postfix's aliases(5): ``name: target, target``, a line that
begins with a blank continues the one before, ``#`` begins a comment line. A name is an address, or
a local part alone, which counts in every domain of ours with mailboxes here; a target without a
domain is in the first domain. Never runs a program, writes to a file or reads another one: such
targets are mistakes.

Limits: MAX_TARGETS of one name; the first MAX_PROBLEMS mistakes are reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from gateway.core.address import Address
from gateway.core.errors import SettingsError, SettingsProblem
from gateway.core.log_text import shown
from gateway.wire.address import AddressSyntax, parse_mailbox

MAX_TARGETS = 10_000
MAX_PROBLEMS = 20

# A word: text in quotes (with quoted pairs) counts as letters, so that it may hold a separator.
_UP_TO_COLON = re.compile(r'((?:"(?:[^"\\]|\\.)*"|[^":])*):', re.DOTALL)
_TARGET = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^",])+', re.DOTALL)
_PROGRAM = re.compile(r'"?(?:[|/]|:include:)')

Table = Mapping[str, tuple[Address, ...]]


class Aliases:
    """A table, as it is at one moment.

    Args:
        table: targets by ``Address.key``, or by case-folded local part alone.
    """

    __slots__ = ("_bare", "_table")

    def __init__(self, table: Table | None = None) -> None:
        self._table = table or {}
        self._bare = any("@" not in name for name in self._table)

    def __len__(self) -> int:
        return len(self._table)

    def targets(self, address: Address, *, here: bool) -> tuple[Address, ...]:
        """Whom the address stands for; empty: it stands for itself.

        Args:
            here: its domain has its mailboxes here, where names without a domain count.
        """
        found = self._table.get(address.key)
        if found is None and self._bare and here:
            found = self._table.get(address.local_part.casefold())
        return found or ()


NO_ALIASES = Aliases()


def from_settings(
    aliases: Mapping[str, Sequence[str]],
    domains: Sequence[str],
    place: Callable[[str], tuple[str, str]] = lambda name: ("configuration", f"aliases.{name}"),
) -> Table:
    """The table of the settings.

    Args:
        domains: all names of ours, the first domain first.
        place: for messages, where an alias's setting comes from and its full path.

    Raises:
        SettingsError: with all mistakes found.
    """
    reader = _Reader(domains)
    for name, targets in aliases.items():
        reader.take(name, targets, *place(name))
    return reader.finish()


def from_text(text: str, source: str, domains: Sequence[str], taken: Collection[str]) -> Table:
    """The table of a file.

    Args:
        source: name of the file for messages.
        taken: names that the settings have already.

    Raises:
        SettingsError: with all mistakes found, by line.
    """
    reader = _Reader(domains, taken)
    for number, line in _logical_lines(text):
        key = f"line {number}"
        found = _UP_TO_COLON.match(line)
        if found is None or not found[1].strip():
            reader.complain(source, key, shown(line), "name: address, address")
            continue
        targets = [each.strip() for each in _TARGET.findall(line[found.end() :])]
        reader.take(found[1].strip(), [each for each in targets if each], source, key)
    return reader.finish()


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their continuations, and the number of the first; without comments."""
    start, line = 0, ""
    for number, raw in enumerate(text.split("\n"), 1):
        raw = raw.rstrip("\r")
        if not raw.strip() or raw.lstrip().startswith("#"):
            continue
        if raw[0] in " \t" and line:
            line += " " + raw.strip()
            continue
        if line:
            yield start, line
        start, line = number, raw.strip()
    if line:
        yield start, line


class _Reader:
    """Makes one table, and the list of what is wrong with it."""

    def __init__(self, domains: Sequence[str], taken: Collection[str] = ()) -> None:
        self._domains = domains
        self._taken = taken
        self._table: dict[str, tuple[Address, ...]] = {}
        self._problems: list[SettingsProblem] = []

    def complain(self, source: str, key: str, found: str, expected: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(SettingsProblem(source, key, found, expected))

    def finish(self) -> Table:
        if self._problems:
            raise SettingsError(self._problems)
        return self._table

    def take(self, name: str, targets: Sequence[str], source: str, key: str) -> None:
        address = self._address(name)
        if address is None:
            expected = "an address, or the part before the @ alone"
            self.complain(source, key, shown(name), expected)
            return
        if address.domain not in self._domains:
            expected = f"an address in a domain of ours ({', '.join(self._domains[:5])})"
            self.complain(source, key, shown(name), expected)
            return
        known_as = address.key if "@" in name else address.local_part.casefold()
        if known_as in self._table or known_as in self._taken:
            self.complain(source, key, f"{shown(name)} again", "each alias once")
            return
        if not targets or len(targets) > MAX_TARGETS:
            found = f"{shown(name)} with {len(targets)} targets"
            self.complain(source, key, found, f"1 to {MAX_TARGETS} addresses")
            return
        members: dict[str, Address] = {}
        for text in targets:
            member = None if _PROGRAM.match(text) else self._address(text)
            if member is None:
                expected = "an address; programs, files and :include: are never used"
                self.complain(source, key, f"{shown(text)} for {shown(name)}", expected)
            else:
                members.setdefault(member.key, member)
        self._table[known_as] = tuple(members.values())

    def _address(self, text: str) -> Address | None:
        try:
            return parse_mailbox(text if "@" in text else f"{text}@{self._domains[0]}")
        except AddressSyntax:
            return None
