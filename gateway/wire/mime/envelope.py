"""The ENVELOPE of one message, rendered as RFC 3501 section 7.4.2 wants it.

Owns the order of the ten fields, the defaults for Sender and Reply-To, and what is NIL; never
decodes: IMAP shows header octets as they were sent. Octets that a quoted string cannot hold go into
literals; NUL, which IMAP cannot send at all, becomes ``?``.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.wire.imap_strings import nstring, quoted_or_literal
from gateway.wire.mime.addresses import MailAddress, parse_addresses
from gateway.wire.mime.budget import MAX_ADDRESSES_PER_FIELD, Budget

EMPTY_ENVELOPE = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"


def text(octets: bytes | None) -> bytes:
    """A header value as an nstring that is safe to send."""
    if octets is None:
        return b"NIL"
    return quoted_or_literal(octets.replace(b"\0", b"?"))


def render_envelope(fields: Mapping[bytes, bytes], budget: Budget) -> bytes:
    """The parenthesised envelope.

    Args:
        fields: unfolded raw values, names in lower case.
        budget: addresses are taken from it; without any left, lists end early.
    """
    sent_from = _address_list(fields.get(b"from"), budget)
    sender = _address_list(fields.get(b"sender"), budget)
    reply_to = _address_list(fields.get(b"reply-to"), budget)
    return b"(%b)" % b" ".join(
        (
            text(fields.get(b"date")),
            text(fields.get(b"subject")),
            sent_from,
            # "If the Sender or Reply-To lines are absent … or are present but empty, the server
            # sets the corresponding member of the envelope to be the same value as the from
            # member" (RFC 3501 section 7.4.2)
            sent_from if sender == b"NIL" else sender,
            sent_from if reply_to == b"NIL" else reply_to,
            _address_list(fields.get(b"to"), budget),
            _address_list(fields.get(b"cc"), budget),
            _address_list(fields.get(b"bcc"), budget),
            text(fields.get(b"in-reply-to")),
            text(fields.get(b"message-id")),
        )
    )


def _address_list(value: bytes | None, budget: Budget) -> bytes:
    """``"(" 1*address ")" / nil``."""
    if not value:
        return b"NIL"
    limit = min(MAX_ADDRESSES_PER_FIELD, budget.addresses)
    addresses = parse_addresses(value.replace(b"\0", b"?"), limit)
    budget.addresses -= len(addresses)
    if not addresses:
        return b"NIL"
    return b"(%b)" % b"".join(map(_address, addresses))


def _address(address: MailAddress) -> bytes:
    name, route, mailbox, host = address
    return b"(%b %b %b %b)" % (nstring(name), nstring(route), nstring(mailbox), nstring(host))
