"""A group of the directory that has a mail address. Values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Group:
    """Every field has passed the directory package's checks (SECURITY L25).

    Args:
        group_id: immutable id from the directory.
        addresses: lower case, the primary one first; never empty.
        members: lower-case addresses of people, of other groups, of people elsewhere; in the
            directory's order, each once.
        display_name: for people; may hold any printable text.
    """

    group_id: str
    addresses: tuple[str, ...]
    members: tuple[str, ...]
    display_name: str = ""
