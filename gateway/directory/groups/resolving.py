"""A group's entry made into a ``Group``: its members, its owners, who may write to it.

Owns what belongs together in one answer. Limits: those of ``members``; whom rules name counts as
members of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from gateway.core.account import Account
from gateway.core.errors import DirectoryUnavailable
from gateway.core.group import NOBODY, UNSAID, Group, Named, Posting
from gateway.core.log_text import shown
from gateway.directory.dn import dn_key
from gateway.directory.entries import Entry, account_from, allowance_of
from gateway.directory.groups.asking import Entries, Kind, addresses_of, kind_of
from gateway.directory.groups.bounds import Effort, Pause, no_pause
from gateway.directory.groups.members import Members, bare_group
from gateway.directory.groups.told import texts
from gateway.directory.schema import Schema


async def group_from(
    entry: Entry,
    schema: Schema,
    entries: Entries,
    *,
    pause: Pause = no_pause,
    monotonic: Callable[[], float] = time.monotonic,
) -> Group:
    """The group with everybody in it.

    Args:
        pause: lets others run, between batches.
        monotonic: seconds that never jump.

    Raises:
        DirectoryUnavailable: the entry cannot be used.
        ExpansionFailed: the group is too large or too deep, or takes too long.
    """
    bare = bare_group(entry, schema)
    effort = Effort(shown(entry.dn), schema.members, pause=pause, monotonic=monotonic)
    members = Members(schema, entries, effort)
    await members.collect(entry)
    await members.follow_links()
    # Of its own: whom rules name are no members.
    rules = _Rules(
        entry,
        schema,
        entries,
        Effort(shown(entry.dn), schema.members, pause=pause, monotonic=monotonic),
    )
    words = schema.about_groups
    return Group(
        group_id=bare.group_id,
        addresses=bare.addresses,
        members=tuple(members.addresses),
        display_name=bare.display_name,
        people=members.people,
        dead=tuple(members.dead),
        nested=tuple(members.nested),
        dynamic=tuple(members.dynamic),
        owners=await rules.named_by(words.owners) or NOBODY,
        posting=await rules.posting(),
        delegates=await rules.named_by(words.delegates) or NOBODY,
        allowance=allowance_of(entry, schema),
    )


class _Rules:
    """What a group's entry says of people who are no members by it."""

    def __init__(self, entry: Entry, schema: Schema, entries: Entries, effort: Effort) -> None:
        self._entry = entry
        self._schema = schema
        self._entries = entries
        self._effort = effort

    async def posting(self) -> Posting:
        words = self._schema.about_groups
        flag = next(texts(self._entry, words.authenticated_posters), "")
        allowed = await self.named_by(words.posters)
        refused = await self.named_by(words.refused_posters)
        if flag.upper() != "TRUE" and allowed is None and refused is None:
            return UNSAID
        return Posting(flag.upper() == "TRUE", allowed, refused or NOBODY)

    async def named_by(self, attributes: Sequence[str]) -> Named | None:
        """None: nobody is named. Somebody who does not exist is named, and is nobody."""
        dns = [text for name in attributes for text in texts(self._entry, name)]
        if not dns:
            return None
        for dn in dns:
            self._effort.count(len(dn))
        people: list[Account] = []
        outside: set[str] = set()
        found = await self._entries.named(list({dn_key(dn): dn for dn in dns}.values()))
        for subject in found.values():
            kind = kind_of(subject, self._schema)
            if kind is Kind.GROUP and isinstance(subject, Entry):
                members = Members(self._schema, self._entries, self._effort)
                await members.collect(subject)
                people += members.people.values()
                outside.update(each for each in members.addresses if each not in members.people)
            elif kind is Kind.PERSON:
                try:
                    people.append(
                        subject
                        if isinstance(subject, Account)
                        else account_from(subject, self._schema)
                    )
                except DirectoryUnavailable:
                    continue  # who cannot log in either
            else:
                outside.update(addresses_of(subject, self._schema))
        return Named(
            frozenset(each.account_id for each in people),
            frozenset(text.casefold() for each in people for text in each.addresses),
            frozenset(map(str.casefold, outside)),
        )
