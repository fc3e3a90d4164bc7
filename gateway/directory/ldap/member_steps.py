"""The members of a large group in steps, as Active Directory gives them: ``member;range=0-1499``
(MS-ADTS section 3.1.1.3.1.3.3; SECURITY L18).

Owns reading which step an entry has, what the next one is called, and putting them together. Who
asks for them is given.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.core.log_text import shown
from gateway.directory.entries import Entry
from gateway.directory.ldap.asking import LdapFailed
from gateway.wire.ldap.messages import SearchEntry

Reads = Callable[[str, str], Awaitable[Sequence[SearchEntry]]]
"""One attribute of the entry with this DN."""

_STEP = re.compile(r"([^;]+);range=(\d{1,9})-(\d{1,9}|\*)\Z")


@dataclass(frozen=True, slots=True)
class Step:
    """The next values of an attribute that are missing.

    Args:
        attribute: lower case.
        first: how many there are already.
    """

    attribute: str
    first: int

    @property
    def asked(self) -> str:
        return f"{self.attribute};range={self.first}-*"


async def in_steps(entry: Entry, most: int, reads: Reads) -> Entry:
    """The entry with all values of its attributes.

    Args:
        most: beyond so many no more are asked for: where they are counted they are too many.

    Raises: LdapFailed.
    """
    while (step := next_step(entry)) is not None:
        told: Mapping[str, Sequence[bytes]] = {}
        if step.first <= most:
            found = await reads(entry.dn, step.asked)
            if not found:
                raise LdapFailed(f"{shown(entry.dn)} is gone while its members are read")
            told = found[0].attributes
        entry = with_step(entry, step, told)
    return entry


def next_step(entry: Entry) -> Step | None:
    """None: the entry has all values of its attributes."""
    for name in entry.attributes:
        found = _STEP.match(name)
        if found is not None:
            if found[3] == "*":
                return Step(found[1], int(found[2]) + len(entry.attributes[name]))
            return Step(found[1], int(found[3]) + 1)
    return None


def with_step(entry: Entry, step: Step, told: Mapping[str, Sequence[bytes]]) -> Entry:
    """The entry with what a step has brought.

    Raises: LdapFailed (the server does not go on).
    """
    name, values, last = _found(step, told)
    attributes = dict(entry.attributes)
    known: list[bytes] = []
    for each in list(attributes):
        if each.partition(";range=")[0] == step.attribute:
            known += attributes.pop(each)
    known += values
    attributes[name if last is None else f"{name};range=0-{last}"] = tuple(known)
    return Entry(entry.dn, attributes)


def _found(
    step: Step, told: Mapping[str, Sequence[bytes]]
) -> tuple[str, Sequence[bytes], int | None]:
    for name, values in told.items():
        found = _STEP.match(name)
        if found is None or found[1] != step.attribute:
            continue
        if found[3] == "*":
            return step.attribute, values, None
        last = int(found[3])
        if int(found[2]) == step.first and last >= step.first and values:
            return step.attribute, values, last
    if not any(
        values and name.partition(";")[0] == step.attribute for name, values in told.items()
    ):
        # A group of exactly so many: the server answers the step behind the last one with nothing.
        return step.attribute, (), None
    missing = f"the values of {shown(step.attribute)} from number {step.first} on are missing"
    raise LdapFailed(missing)
