"""Which extensions a door shows: the rows that the gateway honours from EHLO to the last hop.

Owns the table. A keyword stands here only once everything behind it is there: the door keeps what
was asked for, the store has it, the queue acts on it, and the next hop gets it or the sender hears
why not. How a row looks and what it brings is in ``wire.smtp_extensions``.
"""

from __future__ import annotations

from gateway.edge.smtp.services import Auth

EVERYWHERE = frozenset(
    {
        "PIPELINING",
        "SIZE",
        "8BITMIME",
        "ENHANCEDSTATUSCODES",
        "STARTTLS",
        "SMTPUTF8",
        "CHUNKING",
        "BINARYMIME",
        "DSN",
        "DELIVERBY",
        "MT-PRIORITY",
        "REQUIRETLS",
        "LIMITS",
    }
)
"""What needs no setting. STARTTLS and REQUIRETLS show themselves where TLS is, or is not yet.

BINARYMIME is honoured by making such content text at the door (``wire.mime.binary_parts``), as POP3
and IMAP (RFC 3501 section 9) and most servers cannot be given lone line feeds and NULs.
"""


def honoured(
    *,
    auth: Auth,
    holds: bool = False,
    etrn: bool = False,
    proxies: bool = False,
    unwanted: bool = False,
) -> frozenset[str]:
    """The rows of one door.

    Args:
        holds: messages may wait for a time that their senders name (only for known senders).
        etrn: there is a queue to start, and somebody who may.
        proxies: some networks may say XCLIENT.
        unwanted: some classes of mail are refused (RFC 3865).
    """
    conditions = {
        "AUTH": auth != "no",
        "FUTURERELEASE": holds and auth != "no",
        "ETRN": etrn,
        "XCLIENT": proxies,
        "NO-SOLICITING": unwanted,
    }
    return EVERYWHERE | {keyword for keyword, holds_true in conditions.items() if holds_true}
