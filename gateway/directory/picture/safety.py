"""When refreshing stops and asks: a change that is more likely a mistake than the truth.

Owns the rule and its words. What counts as leaving: being found no more, being disabled, losing
every address (as when a server hides the attribute from us all of a sudden): mail of each of them
would be refused or held up. Up to FEW leave without a question whatever the share, as in a small
company; nobody leaves an answer that holds nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FEW = 10
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Leaving:
    """Who would leave the picture, or get no more mail by it.

    Args:
        people: found no more.
        groups: found no more.
        cut_off: people who are disabled now, or have no address any more.
        known_people, known_groups: in the picture before.
        lately: how many have left within the last hour already, so that a loss in small steps is
            one all the same.
        examples: a few of them, for administrators.
    """

    people: int
    groups: int
    cut_off: int
    known_people: int
    known_groups: int
    lately: int = 0
    examples: Sequence[str] = ()

    @property
    def total(self) -> int:
        return self.people + self.groups + self.cut_off


def objection(
    leaving: Leaving, percent: int, *, other_settings: bool = False, accepted: int | None = None
) -> str:
    """Why this must not happen without an administrator's word; empty: it may.

    Args:
        percent: of the people, or of the groups.
        other_settings: the picture was filled under other ones.
        accepted: so many an administrator has agreed to; None: nobody was asked.
    """
    if not leaving.total:
        return ""
    if accepted is not None:
        # What was agreed to, and what a directory loses meanwhile. Never a far greater loss.
        if leaving.total <= accepted + max(FEW, accepted // 10):
            return ""
        return f"more than the {accepted:,} that were accepted: {_told(leaving)}"
    if other_settings:
        return f"since the settings of the directory changed: {_told(leaving)}"
    of_people, of_groups = leaving.people + leaving.cut_off, leaving.groups
    if leaving.known_people and of_people >= leaving.known_people:
        return f"nobody would be left: {_told(leaving)}"
    if _many(of_people + leaving.lately, leaving.known_people + leaving.lately, percent) or _many(
        of_groups, leaving.known_groups, percent
    ):
        return f"more than {percent} % at once: {_told(leaving)}"
    return ""


def _many(leaving: int, known: int, percent: int) -> bool:
    return leaving > FEW and leaving * 100 > known * percent


def _told(leaving: Leaving) -> str:
    parts = []
    if leaving.people:
        parts.append(
            f"{leaving.people:,} of {leaving.known_people:,} people are not found any more"
        )
    if leaving.groups:
        parts.append(
            f"{leaving.groups:,} of {leaving.known_groups:,} groups are not found any more"
        )
    if leaving.cut_off:
        parts.append(
            f"{leaving.cut_off:,} of {leaving.known_people:,} people are disabled or have lost"
            " their addresses"
        )
    if leaving.lately:
        parts.append(f"{leaving.lately:,} have left within the last hour")
    told = "; ".join(parts)
    if leaving.examples:
        told += f" (such as {', '.join(leaving.examples[:EXAMPLES])})"
    return told
