"""As whom a person may send (RFC 6409 section 6.1, SECURITY S32).

Owns the rule, its order and its words. A person may send as: an address of their entry; one that a
rule of the administrator gives them; one of a group they are in or of an alias of several, where
the settings let members, or of a group whose own rule or the directory names them; one that is
another name of theirs, by an alias, an alias domain or a tag. What a catch-all brings them, or
copies of somebody else's mail, gives nobody a name. Never replies.

What a connection has learnt it keeps, so that the next message costs a look into a set. Only what
is allowed is remembered: a refusal is looked at again, as somebody may have mended it.

Limits: MAX_REMEMBERED addresses of one connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import RelayDenied, UnknownRecipient
from gateway.core.group import Group
from gateway.core.ports.routing import Router
from gateway.core.route import Expansion, LocalMailbox, Outbound, Route, groups_at
from gateway.policy.group_rules import NO_RULES, GroupRules, Poster, Rules, is_among, rule_for
from gateway.policy.send_as import SendAs

MAX_REMEMBERED = 1000
MAX_NAMED = 5


class Groups(Protocol):
    """Who knows the groups of a person, and whose an address is; kept by the directory."""

    async def groups_of(self, account: Account) -> Sequence[Group]: ...

    async def find_recipient(self, addresses: Sequence[Address]) -> Account | Group | None: ...


class Standing(Enum):
    """Why an address may be used."""

    OWN = "own"  # mail for it comes to this person and nobody else
    SHARED = "shared"  # of a group, or by the administrator's rule


class Senders:
    """The rule of one gateway.

    Args:
        groups: None: nobody may send as a group.
        rules: of single groups, which count in the place of ``members_may``.
        meaning: of the rules.
        members_may: send as a group that no rule is for; whom the directory names may in any case.
    """

    def __init__(
        self,
        router: Router,
        *,
        groups: Groups | None = None,
        send_as: SendAs | None = None,
        rules: Rules = NO_RULES,
        meaning: GroupRules | None = None,
        members_may: bool = True,
    ) -> None:
        self.router = router
        self.groups = groups
        self.send_as = send_as if send_as is not None else SendAs()
        self.rules = rules
        self.meaning = meaning
        self.members_may = members_may

    def of(self, account: Account) -> Names:
        """What one person may use, for one connection."""
        return Names(self, account)


class Names:
    """What one person may send as."""

    __slots__ = ("_groups", "_known", "_rule", "account")

    def __init__(self, rule: Senders, account: Account) -> None:
        self._rule = rule
        self.account = account
        self._known = {address.casefold(): Standing.OWN for address in account.addresses}
        self._groups: Sequence[Group] | None = None  # they are in, once asked for

    def known(self, address: Address) -> Standing | None:
        """The standing if it is known already; None: ask ``find``."""
        return self._known.get(address.key)

    async def find(self, address: Address) -> Standing | None:
        """The standing; None: this person may not use the address.

        Raises:
            GatewayError: nobody can say at the moment.
        """
        standing = self._known.get(address.key)
        if standing is None:
            standing = await self._find(address)
            if standing is not None:
                if len(self._known) >= MAX_REMEMBERED:
                    self._known.clear()
                self._known[address.key] = standing
        return standing

    async def _find(self, address: Address) -> Standing | None:
        if address.key in map(str.casefold, self.account.addresses):
            return Standing.OWN
        if await self._rule.send_as.allows(self.account, address):
            return Standing.SHARED
        directory = self._rule.groups if self._rule.members_may else None
        if directory is not None and await self._is_in_group(directory, address):
            return Standing.SHARED
        try:
            route = await self._rule.router.route(address, may_relay=False)
        except (UnknownRecipient, RelayDenied):
            return None
        if self._rule.groups is not None:
            for group in groups_at(route):
                if address.key in map(str.casefold, group.addresses):
                    return Standing.SHARED if await self._may_as(group) else None
        return self._by_route(address, route)

    async def _is_in_group(self, directory: Groups, address: Address) -> bool:
        """Whether it is the address of a group that they are in, and of nobody else: who can make
        groups could make one with anybody's address."""
        if self._groups is None:
            groups = await directory.groups_of(self.account)
            self._groups = [each for each in groups if not rule_for(self._rule.rules, each)]
        ids = {
            group.group_id
            for group in self._groups
            if address.key in map(str.casefold, group.addresses)
        }
        found = await directory.find_recipient((address,)) if ids else None
        return isinstance(found, Group) and found.group_id in ids

    async def _may_as(self, group: Group) -> bool:
        """By the group's own rule, by the directory's word, or as a member by search."""
        if group.delegates.has(self.account):
            return True
        poster = Poster(None, self.account, is_trusted=False)
        rule = rule_for(self._rule.rules, group)
        if rule and self._rule.meaning is not None:
            return await self._rule.meaning.mean(rule, group, poster)
        return self._rule.members_may and is_among(group, poster)

    def _by_route(self, address: Address, route: Route) -> Standing | None:
        """Whose address it is: theirs, theirs among others', or others'."""
        if not isinstance(route, Expansion):
            return Standing.OWN if self._leads_to_them(route) else None
        # That mail for a made-up name is caught by them, or copied to them, makes it not theirs.
        if route.owners is not None:
            theirs = any(self._leads_to_them(each.route) for each in route.owners)
            return Standing.OWN if theirs else None
        in_common = any(self._leads_to_them(each.route) for each in route.members)
        if not in_common or self._rule.groups is None or not self._rule.members_may:
            return None
        return Standing.SHARED

    def _leads_to_them(self, route: LocalMailbox | Outbound) -> bool:
        owner = route.account if isinstance(route, LocalMailbox) else route.owner
        return owner is not None and owner.account_id == self.account.account_id

    def refusal(self, address: Address) -> str:
        """In words for the person: the rule, and what would do."""
        login = self.account.login
        may = self._rule.groups is not None and self._rule.members_may
        group = f" nor of a group {login} may send as" if may else ""
        return (
            f"{login} may not send as <{address}>: it is not an address of {login}{group}"
            f"; {login} may send as {self._in_short()}"
        )

    def _in_short(self) -> str:
        addresses = self.account.addresses
        if not addresses:
            return "nobody, as the directory has no address there"
        named = " or ".join(addresses[:MAX_NAMED])
        more = len(addresses) - MAX_NAMED
        return f"{named} or {more} more" if more > 0 else named
