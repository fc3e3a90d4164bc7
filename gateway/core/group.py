"""A group of the directory that has a mail address. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.ids import AccountId
from gateway.core.quota import NOTHING_SAID, Allowance


@dataclass(frozen=True, slots=True)
class Named:
    """Whom a rule names, groups among them resolved to their people.

    Args:
        people: by their ids, so that a new owner of an old address is nobody.
        addresses: of these people, case folded.
        outside: of others, case folded: nobody logs in with them, so they are claims at best.
    """

    people: frozenset[AccountId] = frozenset()
    addresses: frozenset[str] = frozenset()
    outside: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.people) + len(self.outside)

    def has(self, account: Account) -> bool:
        return account.account_id in self.people

    def claims(self, address: Address) -> bool:
        """Whether it is one of theirs, whoever says so."""
        return address.key in self.addresses or address.key in self.outside


NOBODY = Named()


@dataclass(frozen=True, slots=True)
class Posting:
    """Who may write to a group, by the directory's word.

    Args:
        authenticated: only who has logged in.
        allowed: only these; None: nobody is named.
        refused: never these.
    """

    authenticated: bool = False
    allowed: Named | None = None
    refused: Named = NOBODY

    @property
    def says_anything(self) -> bool:
        return self.authenticated or self.allowed is not None or bool(len(self.refused))


UNSAID = Posting()


@dataclass(frozen=True, slots=True)
class Group:
    """Every field has passed the directory package's checks (SECURITY L25).

    Args:
        group_id: immutable id from the directory; its name there where it has none.
        addresses: lower case, the primary one first; never empty.
        members: lower-case addresses of people, of people elsewhere, of groups that are named by
            address; in the directory's order, each once. Groups inside it that the directory names
            by entry are resolved already. Empty where only the group itself was asked for.
        display_name: for people; may hold any printable text.
        people: those of the members that the directory knows as people, so that nobody has to ask
            for them again.
        dead: members that lead nowhere, each as text for the log that says why.
        nested: names of the groups inside it that were resolved; bounded.
        dynamic: searches that members were found by, as text; bounded.
        owners: who answer for it.
        posting: who may write to it.
        delegates: who may send in its name.
        allowance: how much a mailbox of its own may keep.
    """

    group_id: str
    addresses: tuple[str, ...]
    members: tuple[str, ...]
    display_name: str = ""
    people: Mapping[str, Account] = field(default_factory=dict)
    dead: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()
    dynamic: tuple[str, ...] = ()
    owners: Named = NOBODY
    posting: Posting = UNSAID
    delegates: Named = NOBODY
    allowance: Allowance = NOTHING_SAID

    @property
    def name(self) -> str:
        """For logs and the trace."""
        return self.display_name or self.addresses[0]
