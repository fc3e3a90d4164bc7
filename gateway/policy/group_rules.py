"""Rules about groups that name people: by words, by addresses, by other groups.

Owns who somebody is and when a rule means them. Somebody is who has logged in, or whom a relay
network names: a stranger who writes a member's address into MAIL is a stranger. Only addresses
outside, with which nobody can log in, are taken as they are said where a rule names them: weak, and
the administrator's own wish. An address that two entries have is nobody's, so that no group made
with the address of another, or of a person, stands for them.

Limits: people and groups that a rule names are asked for one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.group import Group, Named
from gateway.policy.facts import Client

WORDS = ("anyone", "authenticated", "members", "owners", "nobody")


class AsksForGroups(Protocol):
    """Kept by the directory."""

    async def groups_of(self, account: Account) -> Sequence[Group]: ...

    async def find_recipient(self, addresses: Sequence[Address]) -> Account | Group | None: ...


@dataclass(frozen=True, slots=True)
class Rule:
    """Some people.

    Args:
        words: of WORDS.
        addresses: of people and groups, case folded.
        refused: likewise, of whom it does not mean in any case.
    """

    words: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()

    @classmethod
    def of(cls, names: Iterable[str], refused: Iterable[str] = ()) -> Rule:
        folded = frozenset(map(str.casefold, names))
        return cls(folded & set(WORDS), folded - set(WORDS), frozenset(map(str.casefold, refused)))

    def __bool__(self) -> bool:
        return bool(self.words or self.addresses)

    def __str__(self) -> str:
        return ", ".join([*(word for word in WORDS if word in self.words), *sorted(self.addresses)])


NO_RULE = Rule()
Rules = Mapping[str, Rule]
"""By an address of the group, case folded."""

NO_RULES: Rules = {}


def rule_for(rules: Rules, group: Group) -> Rule:
    """What the settings say of a group, whichever of its addresses they name it by."""
    for address in group.addresses:
        rule = rules.get(address.casefold())
        if rule:
            return rule
    return NO_RULE


@dataclass(frozen=True, slots=True)
class Poster:
    """Who writes: a person, a trusted machine's word, or a stranger's."""

    sender: Address | None
    account: Account | None
    is_trusted: bool

    @classmethod
    def of(cls, client: Client, sender: Address | None) -> Poster:
        return cls(sender, client.account, client.may_relay)

    @property
    def is_somebody(self) -> bool:
        return self.account is not None or self.is_trusted

    def is_named(self, named: Named) -> bool:
        if self.account is not None:
            return named.has(self.account)
        if self.sender is None:
            return False
        if self.is_trusted:
            return named.claims(self.sender)
        return self.sender.key in named.outside

    def __str__(self) -> str:
        if self.account is not None:
            return self.account.login
        who = f"<{self.sender}>" if self.sender is not None else "the null sender"
        return f"{who} from a relay network" if self.is_trusted else f"{who}, not logged in"


class GroupRules:
    """When a rule means somebody.

    Args:
        is_ours: whether people of this domain could log in here.
    """

    def __init__(self, groups: AsksForGroups, is_ours: Callable[[str], bool]) -> None:
        self._groups = groups
        self._is_ours = is_ours

    async def mean(self, rule: Rule, group: Group, poster: Poster) -> bool:
        """Whether the poster is one of those. Raises: GatewayError (nobody can say now)."""
        words = rule.words
        if rule.refused and await self._is_at(rule.refused, poster):
            return False
        if "anyone" in words or ("authenticated" in words and poster.is_somebody):
            return True
        if "owners" in words and poster.is_named(group.owners):
            return True
        if "members" in words and await self._is_member(group, poster):
            return True
        return bool(rule.addresses) and await self._is_at(rule.addresses, poster)

    async def _is_member(self, group: Group, poster: Poster) -> bool:
        return is_among(group, poster) or group.group_id in {
            each.group_id for each in await self._around(poster)
        }

    async def _is_at(self, addresses: frozenset[str], poster: Poster) -> bool:
        """Whether these addresses are the poster's, or of groups the poster is in."""
        if poster.account is None and poster.sender is not None and poster.sender.key in addresses:
            return poster.is_trusted or not self._is_ours(poster.sender.domain)
        if not poster.is_somebody:
            return False
        if poster.account is not None:
            for text in addresses.intersection(map(str.casefold, poster.account.addresses)):
                found = await self._owner(text)
                if isinstance(found, Account) and found.account_id == poster.account.account_id:
                    return True
        groups = await self._around(poster)
        ids = frozenset(group.group_id for group in groups)
        likely = {text.casefold() for group in groups for text in group.addresses}
        for text in sorted(addresses, key=lambda text: (text not in likely, text)):
            found = await self._owner(text)
            # Members by search are known from the group's side alone.
            if isinstance(found, Group) and (found.group_id in ids or is_among(found, poster)):
                return True
        return False

    async def _owner(self, text: str) -> Account | Group | None:
        local, _, domain = text.rpartition("@")
        return await self._groups.find_recipient((Address(local, domain),))

    async def _around(self, poster: Poster) -> Sequence[Group]:
        return await self._groups.groups_of(poster.account) if poster.account is not None else ()


def is_among(group: Group, poster: Poster) -> bool:
    """Whether the poster is one of the group's own members, as it was resolved."""
    if poster.account is not None:
        wanted = poster.account.account_id
        return any(each.account_id == wanted for each in group.people.values())
    if poster.sender is None or not poster.is_trusted:
        return False
    key = poster.sender.key
    return key in group.members or any(
        key in map(str.casefold, each.addresses) for each in group.people.values()
    )
