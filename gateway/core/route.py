"""Where an address leads.

Values only; ``routing`` decides, and the doors and the queue act on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.group import Group


@dataclass(frozen=True, slots=True)
class LocalMailbox:
    """A person here, or a group that has a mailbox of its own."""

    account: Account
    is_shared: bool = False


@dataclass(frozen=True, slots=True)
class Outbound:
    """Leaves by SMTP.

    Args:
        next_hop: servers' URLs joined by a space, or ``mx``: MX records decide; empty: the
            configuration of what leaves decides.
        owner: whose mail it is, where the directory says that it goes elsewhere.
        group: of the directory, which the server there resolves; who may write to it counts here
            already, as that server's refusal would come too late to be an answer.
    """

    next_hop: str = ""
    owner: Account | None = None
    group: Group | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Member:
    """One of those that an address stands for; ``route`` is where this one's mail goes."""

    address: Address
    route: LocalMailbox | Outbound


@dataclass(frozen=True, slots=True)
class Expansion:
    """An address that stands for others: a group, an alias of several or outside, a catch-all.

    Args:
        members: each destination once, groups inside groups resolved; not empty.
        name: of the group or alias, for the trace.
        dead: members that lead nowhere and are left out, as texts for the trace; bounded.
        owners: whose address it is; None: its members' in common, as a group's is. Who only gets
            the mail of others (copies of a person's mail, what a catch-all catches) is none.
        groups: of the directory that the address is one of, by itself or by way of aliases: theirs
            is the word who may write to it. Not the groups inside them.
    """

    name: str
    members: tuple[Member, ...]
    dead: tuple[str, ...] = ()
    owners: tuple[Member, ...] | None = None
    groups: tuple[Group, ...] = ()


Route = LocalMailbox | Outbound | Expansion


def groups_at(route: Route) -> tuple[Group, ...]:
    """Those whose word counts who may write there."""
    if isinstance(route, Expansion):
        return route.groups
    return (route.group,) if isinstance(route, Outbound) and route.group is not None else ()


def addressed_alone(route: Route) -> Account | None:
    """Whose mailbox the address is and leads to, and to nobody else's: a person's, or a group's."""
    if isinstance(route, Expansion) and len(route.members) == 1:
        only = route.members[0].route
        return only.account if isinstance(only, LocalMailbox) and only.is_shared else None
    return route.account if isinstance(route, LocalMailbox) else None


def ends_of(address: Address, route: Route) -> tuple[Member, ...]:
    """Where mail for the address goes in the end."""
    return route.members if isinstance(route, Expansion) else (Member(address, route),)
