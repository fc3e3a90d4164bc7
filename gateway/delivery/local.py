"""Recipients here who waited in the queue: where their mail goes is asked once more, now.

Owns the question and what its answer means. Never stores: an outcome says who gets a copy or which
recipients take this one's place, and the queue keeps that with the result in one transaction. Only
what leads elsewhere is followed, never an address that is asked about again, so nothing goes round.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import GatewayError, MailboxDisabled, RelayDenied, UnknownRecipient
from gateway.core.messages import QueuedRecipient
from gateway.core.ports.routing import Router
from gateway.core.queue import LocalCopy, Outcome, QueueItem, Verdict, WaitingRecipient
from gateway.core.route import LocalMailbox, Member, Outbound, ends_of

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
            ends = _still_to_serve(recipient, ends_of(recipient.address, route))
            copies: dict[str, LocalCopy] = {}
            others: list[tuple[Address, str]] = []
            for end in ends:
                if isinstance(end.route, LocalMailbox):
                    account = end.route.account
                    await self._learn(account)
                    copy = LocalCopy(account.account_id, end.address)
                    copies.setdefault(account.account_id, copy)
                else:
                    others.append((end.address, end.route.next_hop))
        except MailboxDisabled as closed:
            return Outcome(number, Verdict.FAILED, "5.2.1", closed.safe_text)
        except (UnknownRecipient, RelayDenied) as gone:
            return Outcome(number, Verdict.FAILED, "5.1.1", gone.safe_text)
        except GatewayError as problem:
            verdict, status = Verdict.DEFERRED, "4.4.3"
            if not problem.temporary:
                verdict, status = Verdict.FAILED, "5.3.0"
            return Outcome(number, verdict, status, problem.safe_text)
        alone = isinstance(route, LocalMailbox | Outbound) or len(copies) + len(others) == 1
        options = recipient.options if alone else recipient.options.without_success()
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


def _still_to_serve(recipient: WaitingRecipient, ends: tuple[Member, ...]) -> tuple[Member, ...]:
    """Those who have no copy, and none that waits.

    An address that stands for others waits unexpanded only where its success is asked for
    (RFC 3461 section 5.2.7). Any other recipient here is one person that routing had found before;
    where their address is an alias as well, whose own target it is, the other targets have had
    rows and copies of their own since then.
    """
    if recipient.options.wants_success:
        return ends
    own = tuple(end for end in ends if end.address == recipient.address)
    return own or ends
