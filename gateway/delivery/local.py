"""Recipients here who waited in the queue: where their mail goes is asked once more, now.

Owns the question and what its answer means. Never stores: an outcome says who gets a copy or which
recipients take this one's place, and the queue keeps that with the result in one transaction. Only
what leads elsewhere is followed, never an address that is asked about again, so nothing goes round.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.envelope import Notify, RecipientOptions
from gateway.core.errors import GatewayError, RelayDenied, UnknownRecipient
from gateway.core.messages import QueuedRecipient
from gateway.core.ports.routing import Router
from gateway.core.queue import LocalCopy, Outcome, QueueItem, Verdict, WaitingRecipient
from gateway.core.route import LocalMailbox, Outbound, ends_of

Learn = Callable[[Account], Awaitable[None]]
"""Told of each person before a delivery, so that the store knows what they may keep."""


class LocalDelivery:
    """Finds out who gets the message."""

    def __init__(self, router: Router, learn: Learn) -> None:
        self._router = router
        self._learn = learn

    async def attempt(
        self, item: QueueItem, recipients: Sequence[WaitingRecipient]
    ) -> list[Outcome]:
        """One outcome for each."""
        return [await self._one(recipient) for recipient in recipients]

    async def _one(self, recipient: WaitingRecipient) -> Outcome:
        number = recipient.number
        try:
            # It was accepted before, so nobody is asked whether the sender may relay.
            route = await self._router.route(recipient.address, may_relay=True)
            copies: dict[str, LocalCopy] = {}
            others: list[tuple[Address, str]] = []
            for end in ends_of(recipient.address, route):
                if isinstance(end.route, LocalMailbox):
                    account = end.route.account
                    await self._learn(account)
                    copy = LocalCopy(account.account_id, end.address)
                    copies.setdefault(account.account_id, copy)
                else:
                    others.append((end.address, end.route.next_hop))
        except (UnknownRecipient, RelayDenied) as gone:
            return Outcome(number, Verdict.FAILED, "5.1.1", gone.safe_text)
        except GatewayError as problem:
            verdict, status = Verdict.DEFERRED, "4.4.3"
            if not problem.temporary:
                verdict, status = Verdict.FAILED, "5.3.0"
            return Outcome(number, verdict, status, problem.safe_text)
        alone = isinstance(route, LocalMailbox | Outbound) or len(copies) + len(others) == 1
        options = recipient.options if alone else _without_success(recipient.options)
        followed_to = tuple(QueuedRecipient(address, hop, options) for address, hop in others)
        reply = "in the mailbox" if alone and copies else "passed on"
        return Outcome(
            number,
            Verdict.DELIVERED,
            "2.1.5",
            reply,
            copies=tuple(copies.values()),
            followed_to=followed_to,
        )


def _without_success(options: RecipientOptions) -> RecipientOptions:
    """RFC 3461 section 5.2.7.2: of an address that stands for several, the success is that."""
    if options.notify is None or Notify.SUCCESS not in options.notify:
        return options
    # Nothing else was asked for: who wants successes only does not want to hear of failures.
    return replace(options, notify=options.notify & ~Notify.SUCCESS)
