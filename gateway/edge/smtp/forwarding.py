"""Mail that goes on to other servers because an address here stands for others (SECURITY S34).

Owns the end of loops over such addresses: two gateways that forward to each other would send a
message round until its Received fields are too many, with a copy for everybody on the way each
time, and twice as many each time where an address leads to two that lead back. So a message is not
sent on that carries a Delivered-To of the very address it comes for, nor one that has been here
MOST_PASSES times. Mail that is relayed as it is, and mail for people here, is not looked at; nor
are the Delivered-To fields of what somebody sends who has logged in, as people may send on what
they got.
"""

from __future__ import annotations

from gateway.core.errors import GatewayError
from gateway.core.ports.body import IncomingBody
from gateway.edge.smtp.session import SmtpSession
from gateway.edge.smtp.transaction import Transaction
from gateway.wire import smtp_replies as replies
from gateway.wire.hops import LOOKED_AT, delivered_to, times_through
from gateway.wire.smtp_replies import Reply

MOST_PASSES = 5
"""More than any way through lists and addresses that people have moved to, and back."""


async def refusal_of_loop(
    session: SmtpSession, transaction: Transaction, body: IncomingBody
) -> Reply | None:
    """Why a message that leads outside is not sent on; None: it is."""
    try:
        start = await body.read(0, LOOKED_AT)
    except GatewayError:
        return None  # a disk in trouble says so when the message is accepted
    looped = times_through(start, session.door.hostname) >= MOST_PASSES
    if not looped and session.client.account is None:
        # All of them: nobody else's mail is refused because of one address.
        been = delivered_to(start)
        recipients = transaction.envelope.recipients
        looped = all(str(each.address).casefold() in been for each in recipients)
    return replies.FORWARDED_IN_A_LOOP if looped else None
