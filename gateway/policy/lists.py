"""The check ``list``: who is in a list of addresses, networks, names or people.

Owns the verdict. The entries are in ``entries``, those of a file kept fresh by ``list_files``.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred

from gateway.policy.checks import Answer
from gateway.policy.entries import Entries
from gateway.policy.facts import Facts
from gateway.policy.ground import Ground
from gateway.policy.verdicts import Action, Stage, Verdict


class EntriesSource(Protocol):
    """Kept by ``ListFile`` and ``Inline``."""

    def current(self) -> Entries | Deferred[Entries]: ...


class Inline:
    """Entries that stand in the settings."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries

    def current(self) -> Entries:
        return self._entries


class ListCheck:
    """One list.

    Args:
        where: the file, or the place in the settings.
        text: for the refused; empty: a general one.
    """

    def __init__(
        self,
        ground: Ground,
        source: EntriesSource,
        where: str,
        action: Action,
        stages: frozenset[Stage],
        text: str = "",
    ) -> None:
        self._ground = ground
        self._source = source
        self._where = where
        self._action = action
        self._text = text
        self.stages = stages
        self.name = ground.name
        self.defers_on_trouble = ground.defers_on_trouble

    def judge(self, stage: Stage, facts: Facts) -> Answer | Deferred[Answer]:
        if self._ground.leaves_out(facts.client):
            return None
        entries = self._source.current()
        if isinstance(entries, Deferred):
            return entries.addCallback(self._find, facts)
        return self._find(entries, facts)

    def _find(self, entries: Entries, facts: Facts) -> Verdict | None:
        found = entries.find(facts)
        if found is None:
            return None
        entry, line = found
        return self._ground.verdict(
            self._action,
            f"{entry} is in {self._where}, line {line}",
            {"of": entries.of, "entry": entry, "list": self._where, "line": line},
            text=self._text,
        )
