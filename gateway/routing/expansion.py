"""From an address that stands for others to those who get the mail.

Owns the walk: by level, every alias and group once, so that one in itself ends, every person once
by however many ways (SECURITY S34), members that lead nowhere left out and told. Where one address
leads is asked of the router. The envelope sender stays what it is, also for members outside.

Limits: MAX_DEPTH levels, ``most`` destinations, MAX_DEAD texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from twisted.logger import Logger

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import DirectoryMistake, ExpansionFailed, MailboxDisabled, NobodyThere
from gateway.core.group import Group
from gateway.core.log_text import escaped
from gateway.core.ports.routing import Steps
from gateway.core.route import Expansion, LocalMailbox, Member, Outbound, groups_at
from gateway.core.shared_mailboxes import Deliver, Share, account_of
from gateway.directory.groups.bounds import Pause, no_pause

MAX_DEPTH = 10
MAX_DEAD = 100
SLICE = 250
_TOLD = 5

_log = Logger()


@dataclass(frozen=True, slots=True)
class Several:
    """What stands for other addresses.

    Args:
        key: the same for the same alias or group.
        name: for people.
        people: those of the members who are known to be people.
        dead: members known to lead nowhere, with the reason.
        alias: it is another name for whom it stands for, and not merely a way to them.
        is_catch_all: it stands for whatever nobody has.
        owner: the one person whose address it is, whoever the members are.
        group: of the directory, if it is one.
        mailbox: the group's own, which gets the mail beside the members.
    """

    key: str
    name: str
    members: Sequence[Address]
    people: Mapping[str, Account] = field(default_factory=dict)
    dead: Sequence[str] = ()
    alias: Address | None = None
    is_catch_all: bool = False
    owner: Account | None = None
    group: Group | None = None
    mailbox: Member | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """Another address, and where that one's mail goes."""

    address: Address
    route: Outbound


Found = LocalMailbox | Outbound | Several | Moved


class Finder(Protocol):
    async def __call__(
        self, address: Address, known: Account | None, ignored: str, steps: Steps | None
    ) -> Found | None:
        """Where one address leads; None: nowhere.

        Args:
            known: whose address it is, if that has been found out already.
            ignored: ``key`` of an alias that does not count, as the address is its own target.
        """
        ...


def of_alias(alias: Address, targets: Sequence[Address]) -> Several:
    return Several(alias_key(alias), f"alias {alias}", targets, alias=alias)


def alias_key(alias: Address) -> str:
    """``Several.key`` of an alias."""
    return f"alias {alias.key}"


def of_catch_all(key: str, target: Address) -> Several:
    return Several(key, key, (target,), is_catch_all=True)


def of_group(
    group: Group,
    address_of: Callable[[str, Account | None], str],
    share: Share | None = None,
) -> Several:
    """Addresses of a group have passed the directory's checks.

    Args:
        address_of: by which of their addresses a member gets the mail.
        share: it has a mailbox of its own.

    Raises:
        DirectoryMistake: that has nothing to hang on.
    """
    members = []
    people = {}
    to_members = share is None or share.deliver is not Deliver.MAILBOX
    for text in group.members if to_members else ():
        account = group.people.get(text)
        local, _, domain = address_of(text, account).rpartition("@")
        members.append(Address(_unquoted(local), domain))
        if account is not None:
            people[members[-1].key] = account
    key, name = f"group {group.group_id}", f"group {group.name}"
    dead = group.dead if to_members else ()
    mailbox = None
    if share is not None and share.deliver is not Deliver.MEMBERS:
        owner = account_of(group)
        if owner is None:
            raise DirectoryMistake(reason="a mailbox needs an immutable id", group=group.name)
        local, _, domain = address_of(owner.primary_address, owner).rpartition("@")
        mailbox = Member(Address(_unquoted(local), domain), LocalMailbox(owner, is_shared=True))
    return Several(key, name, members, people, dead, group=group, mailbox=mailbox)


def _unquoted(local: str) -> str:
    """As ``str(Address)`` has quoted it."""
    if not local.startswith('"'):
        return local
    return local[1:-1].replace('\\"', '"').replace("\\\\", "\\")


async def expand(
    start: Several, find: Finder, most: int, steps: Steps | None, pause: Pause = no_pause
) -> Expansion:
    """Everybody the start stands for.

    Args:
        pause: lets others run, between SLICE members.

    Raises:
        NobodyThere: nobody.
        ExpansionFailed: too many, or too deep.
        DirectoryUnavailable: for one of them nobody can say at the moment.
    """
    walk = _Walk(start, most, steps, pause)
    level = [start]
    for _ in range(MAX_DEPTH):
        level = [each for several in level for each in await walk.members_of(several, find)]
        if not level:
            return walk.result()
    raise walk.failed(f"more than {MAX_DEPTH} levels deep")


class _Walk:
    """One expansion under way."""

    def __init__(self, start: Several, most: int, steps: Steps | None, pause: Pause) -> None:
        self._start = start
        self._most = most
        self._steps = steps
        self._pause = pause
        self._expanded = {start.key}
        self._asked: dict[str, str] = {}
        self._members: dict[str, Member] = {}
        self._groups = [start.group] if start.group is not None else []
        self._inside: set[str] = set()  # of groups: their word is not asked for
        self._dead: list[str] = []

    async def members_of(self, several: Several, find: Finder) -> list[Several]:
        """Add these members; those that stand for others come back."""
        inner = []
        if several.group is not None:
            self._tell_of(several.group)
        if several.mailbox is not None:
            self._note(f"{several.name} has a shared mailbox")
            self._add(several.mailbox.address, several.mailbox.route)
        for text in several.dead:
            self._skip(text)
        for address in several.members:
            key = address.key
            # Asked before; unless it is what led here, and now means its owner's own mailbox.
            if self._asked.get(key, several.key) != several.key:
                continue
            if len(self._asked) % SLICE == SLICE - 1:
                await self._pause()
            # An alias that is among its own targets means the person's own mailbox as well.
            try:
                found = await find(address, several.people.get(key), several.key, self._steps)
            except MailboxDisabled as closed:
                self._asked[key] = ""
                self._skip(f"{address}: {closed.safe_text}")
                continue
            self._asked[key] = found.key if isinstance(found, Several) else ""
            if found is None:
                self._skip(f"{address}: nobody has this address")
            elif isinstance(found, Several):
                if found.key in self._expanded:
                    self._note(f"{found.name} is in this already")
                else:
                    self._expanded.add(found.key)
                    inner.append(found)
                    if several.group is not None or several.key in self._inside:
                        self._inside.add(found.key)
                    elif found.group is not None:
                        self._groups.append(found.group)
            elif isinstance(found, Moved):
                self._add(found.address, found.route)
            else:
                self._add(address, found)
                if several.group is None and several.key not in self._inside:
                    self._groups += groups_at(found)
        return inner

    def _tell_of(self, group: Group) -> None:
        for name in group.nested:
            self._note(f"{group.name} has the group {name} in it")
        for search in group.dynamic:
            self._note(f"{group.name} has whoever is found by {search}")

    def _add(self, address: Address, route: LocalMailbox | Outbound) -> None:
        key = address.key
        if isinstance(route, LocalMailbox):
            key = f"person {route.account.account_id}"
        self._members.setdefault(key, Member(address, route))
        if len(self._members) > self._most:
            raise self.failed(f"more than {self._most} members")

    def _skip(self, text: str) -> None:
        self._note(f"left out: {text}")
        if len(self._dead) < MAX_DEAD:
            self._dead.append(escaped(text, 300))

    def _note(self, text: str) -> None:
        if self._steps is not None:
            self._steps.add(text)

    def failed(self, reason: str) -> ExpansionFailed:
        self._note(f"{self._start.name}: {reason}")
        _log.error("{name}: {reason}", name=escaped(self._start.name), reason=reason)
        return ExpansionFailed(name=self._start.name, reason=reason)

    def result(self) -> Expansion:
        members = tuple(self._members.values())
        name = self._start.name
        outside = sum(isinstance(each.route, Outbound) for each in members)
        self._note(
            f"{name} has {len(members)} members, {outside} of them on other servers,"
            f" {len(self._dead)} dead"
        )
        if self._dead:
            _log.warn(
                "{name}: {count} of its members are left out: {dead}",
                name=escaped(name),
                count=len(self._dead),
                dead="; ".join(self._dead[:_TOLD]),
            )
        if not members:
            raise NobodyThere(name=name)
        return Expansion(
            name, members, tuple(self._dead), self._owners(members), tuple(self._groups)
        )

    def _owners(self, members: Sequence[Member]) -> tuple[Member, ...] | None:
        if self._start.is_catch_all:
            return ()
        if self._start.owner is not None:
            return _owned(self._start.owner)
        if self._start.alias is None:
            return None
        # An alias of somebody's own address means that others get copies of their mail.
        key = self._start.alias.key
        owners = tuple(each for each in members if _has(each.route, key))
        return owners or None


def of_moved(name: str, moved: Moved) -> Expansion:
    member = Member(moved.address, moved.route)
    return Expansion(name, (member,), owners=(member,))


def _owned(owner: Account) -> tuple[Member, ...]:
    local, _, domain = owner.primary_address.rpartition("@")
    return (Member(Address(local, domain), Outbound(owner=owner)),)


def _has(route: LocalMailbox | Outbound, key: str) -> bool:
    return isinstance(route, LocalMailbox) and key in map(str.casefold, route.account.addresses)
