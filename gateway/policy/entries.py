"""The entries of one list in memory: a hash table in two flat arrays, some 24 octets to an entry.

Owns the table and how it is filled from lines. A key is kept as Python's own hash of it, which is
64 bits with a secret of the process, so a stranger can neither aim at an entry nor meet one by
chance. Filling a long table in a thread gives way to the others all the time, as the reactor waits
for the same interpreter lock.

Limits: MAX_ENTRIES to a list, MAX_OCTETS to a file.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator

from gateway.core.list_entries import Key, key_of, keys_for_address, keys_for_ip, keys_for_name
from gateway.core.log_text import shown
from gateway.policy.facts import Facts

MAX_ENTRIES = 4_000_000
MAX_OCTETS = 256 * 1024 * 1024
MAX_MISTAKES = 10
LINES_AT_ONCE = 500
"""Some tenths of a millisecond."""

_EMPTY = 0


class BrokenList(Exception):
    """What is wrong with a list: what was found, and what is expected, of each mistake. Stays
    inside ``policy``."""

    def __init__(self, mistakes: list[tuple[str, str]]) -> None:
        self.mistakes = mistakes
        super().__init__("; ".join(f"{found}, expected {wanted}" for found, wanted in mistakes))


class Entries:
    """A set of keys, each with its line."""

    def __init__(self, of: str, size: int) -> None:
        slots = 8
        while slots < 2 * size:
            slots *= 2
        self.of = of
        self.count = 0
        self._mask = slots - 1
        self._hashes = array("q", bytes(8 * slots))
        self._lines = array("I", bytes(4 * slots))
        self._lengths: set[tuple[int, int]] = set()  # of networks

    def add(self, key: Key, line: int) -> None:
        number = hash(key) or 1
        hashes, mask = self._hashes, self._mask
        at = number & mask
        while (there := hashes[at]) != _EMPTY:
            if there == number:
                return  # the first line counts
            at = (at + 1) & mask
        hashes[at] = number
        self._lines[at] = line
        self.count += 1
        if isinstance(key, bytes):
            self._lengths.add((len(key) - 1, key[-1]))

    def line_of(self, key: Key) -> int:
        """Where it stands; 0: nowhere."""
        number = hash(key) or 1
        hashes, mask = self._hashes, self._mask
        at = number & mask
        while (there := hashes[at]) != _EMPTY:
            if there == number:
                return self._lines[at]
            at = (at + 1) & mask
        return 0

    def find(self, facts: Facts) -> tuple[str, int] | None:
        """The entry that matches, and its line."""
        if not self.count:
            return None
        for key, text in self._keys(facts):
            line = self.line_of(key)
            if line:
                return text, line
        return None

    def _keys(self, facts: Facts) -> Iterator[tuple[Key, str]]:
        client, envelope = facts.client, facts.envelope
        match self.of:
            case "ip":
                return keys_for_ip(client.peer_ip, self._lengths)
            case "host_name":
                return keys_for_name(client.host_name)
            case "helo":
                return keys_for_name(client.hello)
            case "login":
                return _keys_for_login(facts)
            case "sender":
                return keys_for_address(envelope.sender) if envelope is not None else iter(())
        return keys_for_address(facts.recipient.address) if facts.recipient else iter(())


def _keys_for_login(facts: Facts) -> Iterator[tuple[Key, str]]:
    account = facts.client.account
    if account is not None:
        for name in (account.login, *account.addresses):
            yield name.casefold(), name


def read_entries(
    of: str, lines: Iterable[str], size: int, give_way: Callable[[], object] = lambda: None
) -> Entries:
    """A table from lines; ``#`` begins a comment.

    Args:
        size: at most so many entries.
        give_way: called now and then.

    Raises:
        BrokenList: with line numbers.
    """
    if size > MAX_ENTRIES:
        raise BrokenList([(f"{size} lines", f"at most {MAX_ENTRIES}")])
    entries = Entries(of, size)
    mistakes: list[tuple[str, str]] = []
    for number, line in enumerate(lines, 1):
        if not number % LINES_AT_ONCE:
            give_way()
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            key = key_of(of, text)
        except ValueError as error:
            mistakes.append((f"{shown(text, 60)} in line {number}", str(error)))
            if len(mistakes) == MAX_MISTAKES:
                break
            continue
        entries.add(key, number)
    if mistakes:
        raise BrokenList(mistakes)
    return entries
