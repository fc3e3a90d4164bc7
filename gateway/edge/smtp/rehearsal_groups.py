"""What ``gateway explain`` tells of an address that stands for others: who gets the mail, and who
may write there.

Owns the form of that. Administrators see it: members are named here, and nowhere at the door.

Limits: MAX_MEMBERS and MAX_DEAD are named; the counts are whole.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from gateway.core.account import Account
from gateway.core.errors import GatewayError
from gateway.core.group import Group
from gateway.core.route import Expansion, LocalMailbox, Outbound
from gateway.policy.group_rules import Poster
from gateway.policy.posting import JudgesPosting
from gateway.policy.verdicts import Action, Verdict

MAX_MEMBERS = 50
MAX_DEAD = 100

FindPerson = Callable[[str], Coroutine[Any, Any, Account | None]]


def shown_expansion(expansion: Expansion) -> dict[str, Any]:
    """JSON."""
    return {
        "name": expansion.name,
        "member_count": len(expansion.members),
        "members": [
            {"address": str(each.address), "to": _where(each.route)}
            for each in expansion.members[:MAX_MEMBERS]
        ],
        "dead": list(expansion.dead[:MAX_DEAD]),
        "groups": [_shown_group(each) for each in expansion.groups],
    }


def _shown_group(group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        "addresses": list(group.addresses),
        "nested": list(group.nested),
        "searches": list(group.dynamic),
        "owners": len(group.owners),
        "delegates": len(group.delegates),
    }


def _where(route: LocalMailbox | Outbound) -> str:
    if isinstance(route, LocalMailbox):
        whose = "shared mailbox" if route.is_shared else "mailbox"
        return f"{whose} of {route.account.login}"
    return route.next_hop or "another server"


class ObservedPosting:
    """Who may write to groups, taken down: as whoever is connected, and as the sender, logged in.

    Args:
        heard: takes one verdict at a time; ``logged_in`` where it is the second one's.
        find_person: whose address the sender's is; None: nobody can say.
    """

    def __init__(
        self,
        posting: JudgesPosting,
        heard: Callable[[Verdict, bool], None],
        find_person: FindPerson | None,
    ) -> None:
        self._posting = posting
        self._heard = heard
        self._find_person = find_person

    async def judge(self, groups: Sequence[Group], poster: Poster) -> list[Verdict]:
        verdicts = await self._posting.judge(groups, poster)
        for verdict in verdicts:
            self._heard(verdict, False)
        if verdicts[-1].action is Action.REJECT and not poster.is_somebody:
            await self._as_logged_in(groups, poster)
        return verdicts

    async def _as_logged_in(self, groups: Sequence[Group], poster: Poster) -> None:
        if poster.sender is None or self._find_person is None:
            return
        try:
            account = await self._find_person(str(poster.sender))
            if account is not None:
                known = Poster(poster.sender, account, is_trusted=False)
                for verdict in await self._posting.judge(groups, known):
                    self._heard(verdict, True)
        except GatewayError:
            return  # what would be is told only where it is known
