"""A group of the directory that has a mail address. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.core.account import Account


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
    """

    group_id: str
    addresses: tuple[str, ...]
    members: tuple[str, ...]
    display_name: str = ""
    people: Mapping[str, Account] = field(default_factory=dict)
    dead: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """For logs and the trace."""
        return self.display_name or self.addresses[0]
