"""What a server's offer (its EHLO keywords) means for one envelope: the terms, or why not.

Owns which parameters go with MAIL and RCPT, what may be left out where a server lacks an extension,
and what fails then. Pure: asks nobody, keeps nothing. Whatever cannot be honoured fails with a
reason; nothing is downgraded by guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.envelope import (
    NO_OPTIONS,
    NOTHING_ASKED,
    BodyKind,
    MessageOptions,
    Notify,
    RecipientOptions,
)
from gateway.core.queue import Verdict
from gateway.wire.content_scan import Content
from gateway.wire.mime.downgrade import Encodings
from gateway.wire.smtp_client_envelope import Envelope
from gateway.wire.smtp_client_plan import Result
from gateway.wire.xtext import encode_utf8_address, encode_xtext

MAX_ENVID = 100  # RFC 3461 section 4.4, before encoding
MAX_ORCPT_OCTETS = 500  # section 4.2

_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9!#$%&'*/?^_`{|}~-]+")
_NOTIFY = (Notify.SUCCESS, Notify.FAILURE, Notify.DELAY)

Offer = Mapping[str, str]
"""Keywords in capitals with their parameters."""


class OfferRefused(Exception):
    """This server cannot take the message as it was asked for.

    Args:
        elsewhere: another host of the destination may offer more.
    """

    def __init__(self, status: str, text: str, *, elsewhere: bool = False) -> None:
        self.result = Result(Verdict.FAILED, status, text)
        self.elsewhere = elsewhere
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Terms:
    """How the transaction goes.

    Args:
        mail: the MAIL command.
        recipients: the RCPT command of each, or why there is none.
        reports_on: the server takes over the sender's wishes for reports.
        timed: it takes over the time by which to deliver.
        encodings: the message is made 7-bit like this.
    """

    mail: bytes
    recipients: tuple[bytes | Result, ...]
    reports_on: bool
    timed: bool
    encodings: Encodings | None = None


def needs_inspection(envelope: Envelope, offer: Offer) -> bool:
    """Whether the terms depend on what the message's octets are."""
    if "8BITMIME" not in offer:
        return True  # also what nobody declared: many programs send 8-bit text without a word
    return envelope.options.smtputf8 and "SMTPUTF8" not in offer


def terms(envelope: Envelope, offer: Offer, *, secure: bool, content: Content | None) -> Terms:
    """Args:
        content: the facts, where ``needs_inspection``; else what is known of them.

    Raises: OfferRefused.
    """
    options = envelope.options
    utf8 = _speaks_utf8(envelope, offer)
    reports_on = "DSN" in offer
    if options is NO_OPTIONS and not utf8 and len(envelope.recipients) == 1:
        wishes = envelope.asked[0] if envelope.asked else NOTHING_ASKED
        plain = content is None or not content.eight_bit
        if plain and wishes is NOTHING_ASKED and envelope.recipients[0].isascii():
            # Most mail: nothing was asked for, so nothing has to be agreed upon.
            mail = b"MAIL FROM:" + envelope.sender + _size(envelope.size_octets, offer)
            return Terms(mail, (b"RCPT TO:" + envelope.recipients[0],), reports_on, False)
    asked = envelope.asked or (NOTHING_ASKED,) * len(envelope.recipients)
    recipients = tuple(
        _recipient(path, wishes, utf8=utf8, reports_on=reports_on)
        for path, wishes in zip(envelope.recipients, asked, strict=True)
    )
    possible = not all(isinstance(each, Result) for each in recipients)
    if possible and content is not None and not utf8 and options.smtputf8:
        _check_header(content)
    mail = b"MAIL FROM:" + envelope.sender
    encodings, size_octets = _downgrade(offer, content), envelope.size_octets
    if encodings is not None and content is not None:
        size_octets = content.size_octets
    elif options.body is not BodyKind.SEVEN_BIT if content is None else content.eight_bit:
        mail += b" BODY=8BITMIME"
    mail += _size(size_octets, offer)
    if utf8:
        mail += b" SMTPUTF8"
    if reports_on:
        mail += _report_wishes(options)
    by, timed = _by(envelope, offer)
    mail += by
    if options.priority and "MT-PRIORITY" in offer:
        mail += b" MT-PRIORITY=%d" % options.priority  # RFC 6710 section 4.2
    mail += _require_tls(envelope, offer, secure)
    if options.solicit and "NO-SOLICITING" in offer:
        mail += b" SOLICIT=" + ",".join(options.solicit).encode("ascii")  # RFC 3865 section 2.7
    return Terms(mail, recipients, reports_on, timed, encodings)


def _speaks_utf8(envelope: Envelope, offer: Offer) -> bool:
    """RFC 6531 section 3.2: without the extension only what is ASCII in fact may be sent."""
    needed = envelope.options.smtputf8 or not envelope.sender.isascii()
    for path in envelope.recipients:
        needed = needed or not path.isascii()
    if not needed or "SMTPUTF8" in offer:
        return needed
    if not envelope.sender.isascii():
        raise OfferRefused("5.6.7", "the sender's address needs SMTPUTF8" + _NOT_TAKEN)
    return False


def _check_header(content: Content) -> None:
    if not content.ascii_header:
        raise OfferRefused("5.6.9", "the message's header needs SMTPUTF8" + _NOT_TAKEN)


_NOT_TAKEN = ", which the next server does not accept"


def _downgrade(offer: Offer, content: Content | None) -> Encodings | None:
    """How the parts become 7-bit, None where they need not. Binary content has been made text at
    the door (RFC 3030 section 3).

    RFC 6152 section 3: 8-bit content is not to be sent where it is not taken; SECURITY S28: bits
    are never stripped.
    """
    if "8BITMIME" in offer or content is None or not content.eight_bit:
        return None
    if content.encodings is None:
        text = f"the next server does not accept 8BITMIME, and {content.problem}"
        raise OfferRefused("5.6.1", text)
    return content.encodings


def _size(size_octets: int, offer: Offer) -> bytes:
    if "SIZE" not in offer:
        return b""
    limit = offer["SIZE"]
    # RFC 1870 section 4: 0 or nothing means that there is no fixed limit.
    if limit.isdecimal() and len(limit) <= 20 and 0 < int(limit) < size_octets:
        text = f"the message has {size_octets} octets; the next server takes up to {int(limit)}"
        raise OfferRefused("5.3.4", text)
    return b" SIZE=%d" % size_octets


def _report_wishes(options: MessageOptions) -> bytes:
    wishes = b" RET=" + options.ret.encode("ascii") if options.ret else b""
    if 0 < len(options.envid) <= MAX_ENVID:
        wishes += b" ENVID=" + encode_xtext(options.envid.encode())
    return wishes


def _by(envelope: Envelope, offer: Offer) -> tuple[bytes, bool]:
    """RFC 2852 section 4.1.4: the time that is left, or why the message goes back."""
    by, left_s = envelope.options.deliver_by, envelope.by_s
    if by is None or left_s is None:
        return b"", False
    if by.or_return and left_s <= 0:
        raise OfferRefused("5.4.7", "the time by which it was to be delivered is over")
    if "DELIVERBY" not in offer:
        if by.or_return:
            text = "the next server cannot promise to deliver in time or give the message back"
            raise OfferRefused("5.4.7", text, elsewhere=True)
        return b"", False
    least = offer["DELIVERBY"]
    if by.or_return and least.isdecimal() and len(least) <= 9 and left_s < int(least):
        text = f"the next server needs {int(least)} s to deliver, and {left_s} s are left"
        raise OfferRefused("5.4.7", text, elsewhere=True)
    # by-time = ["-" / "+"] 1*9digit
    bounded_s = max(-999_999_999, min(left_s, 999_999_999))
    mode = b"R" if by.or_return else b"N"
    return b" BY=%d;%b%b" % (bounded_s, mode, b"T" if by.trace else b""), True


def _require_tls(envelope: Envelope, offer: Offer, secure: bool) -> bytes:
    """RFC 8689 section 4.2.1; a report goes without where it must (section 5)."""
    if not envelope.options.require_tls:
        return b""
    if secure and "REQUIRETLS" in offer:
        return b" REQUIRETLS"
    if envelope.sender == b"<>":
        return b""
    text = "the sender wants TLS on the whole way (REQUIRETLS)" + _NOT_TAKEN
    raise OfferRefused("5.7.30", text, elsewhere=True)


def _recipient(
    path: bytes, wishes: RecipientOptions, *, utf8: bool, reports_on: bool
) -> bytes | Result:
    if not utf8 and not path.isascii():
        text = "the address needs SMTPUTF8" + _NOT_TAKEN
        return Result(Verdict.FAILED, "5.6.7", text)
    command = b"RCPT TO:" + path
    if not reports_on:
        return command
    if wishes.notify is not None:
        names = [each.name for each in _NOTIFY if each in wishes.notify]
        command += b" NOTIFY=" + (",".join(map(str, names)) or "NEVER").encode("ascii")
    kind, _, address = wishes.original.partition(";")
    if _ADDRESS_TYPE.fullmatch(kind) and address:
        if kind.casefold() == "utf-8":  # RFC 6533 section 3
            encoded = encode_utf8_address(address, smtputf8=utf8)
        else:
            encoded = encode_xtext(address.encode())
        original = kind.encode("ascii") + b";" + encoded
        if len(original) <= MAX_ORCPT_OCTETS:
            command += b" ORCPT=" + original
    return command
