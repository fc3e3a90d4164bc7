"""Rendering of delivery reports (RFC 3464 in RFC 6522), as octets ready to be stored.

Owns the form; the plain words, which come first, are in ``dsn_words``. Never decides whether a
report is due nor where it goes. Behind the machine's part stands the header of the original, or the
whole of it if the sender asked for that and it is small (SECURITY S36).

Everything that came from outside is reduced to one bounded, printable line (SECURITY S9). A report
is ASCII, so that every server takes it, unless its way is known to take UTF-8: then it has the
types of RFC 6533 (SECURITY S31).
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from email.utils import formatdate

from gateway.core.address import Address
from gateway.wire.dsn_words import Action, Said, subject, words
from gateway.wire.xtext import encode_utf8_address

MAX_HEADER_OCTETS = 32_768
MAX_RETURNED_OCTETS = 102_400  # as much as Exim returns
MAX_LINE = 998  # RFC 5322 section 2.1.1


@dataclass(frozen=True, slots=True)
class Reported:
    """What became of one recipient.

    Args:
        status: enhanced status code as it was at the last attempt.
        reply: the last answer or our own words, one line.
        remote: the server that answered, empty if none did.
        original: ORCPT as ``type;address``, empty if the sender said none.
        expired: given up after the lifetime, not refused.
        retry_until: of what is delayed: when trying will end, Unix time.
    """

    address: Address
    action: Action
    status: str
    reply: str
    remote: str = ""
    original: str = ""
    expired: bool = False
    retry_until: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All that a report says. Times are Unix seconds.

    Args:
        report_id: unique; becomes the Message-ID and the MIME boundary.
        recipients: not empty; failed ones, delayed ones, or such that succeeded.
        original: the message if ``whole``, else its header as ``header_of`` gives it.
        envelope_id: ENVID, empty if the sender gave none.
        utf8: the way to the sender takes UTF-8 (RFC 6531).
    """

    report_id: str
    hostname: str
    to: Address
    recipients: tuple[Reported, ...]
    arrived_at: int
    reported_at: int
    original: bytes
    whole: bool = False
    envelope_id: str = ""
    utf8: bool = False


def header_of(start: bytes) -> bytes:
    """The header section at the start of a message, bounded, cut at a line's end, CRLF ended."""
    text = start.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if text.startswith(b"\n"):
        return b""
    end = text.find(b"\n\n")
    # Without a blank line the header is cut off at the last line end that was seen.
    header = text[: end + 1] if end >= 0 else text[: text.rfind(b"\n") + 1]
    if len(header) > MAX_HEADER_OCTETS:
        header = header[: header.rfind(b"\n", 0, MAX_HEADER_OCTETS) + 1]
    return header.replace(b"\n", b"\r\n")


def render(report: Report) -> bytes:
    """The whole message, CRLF line ends; all ASCII unless ``utf8`` or 8-bit content is returned."""
    hostname = _plain(report.hostname)
    original = _original(report)
    said = tuple(_said(each, report.utf8) for each in report.recipients)
    text = words(hostname, said, whole=original.whole).encode()
    charset, encoding = ("utf-8", "8bit") if report.utf8 else ("us-ascii", "")
    status = "global-delivery-status" if report.utf8 else "delivery-status"
    parts = (
        _Part(f"text/plain; charset={charset}", "Notification", text, encoding),
        _Part(f"message/{status}", "Delivery report", _machine_part(report), encoding),
        original,
    )
    boundary = "report-" + re.sub(r"[^A-Za-z0-9]", "-", report.report_id)[:50]
    while boundary.encode() in original.octets:
        boundary += "-x"
    lines = [
        f"From: Mail Delivery System <MAILER-DAEMON@{hostname}>",
        f"To: {_line(str(report.to), report.utf8)}",
        f"Subject: {subject({each.action for each in report.recipients})}",
        f"Date: {formatdate(report.reported_at)}",
        f"Message-ID: <{_plain(report.report_id)}@{hostname}>",
        # RFC 3834 section 5.2: keeps other machines from answering.
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;"
        if not report.utf8
        else "Content-Type: multipart/report; report-type=global-delivery-status;",
        f' boundary="{boundary}"',
        "",
        "This is a MIME-encapsulated message.",
    ]
    octets = "\n".join(lines).encode()
    for part in parts:
        octets += f"\n\n--{boundary}\n{part.fields}\n\n".encode() + part.octets.rstrip(b"\n")
    octets += f"\n\n--{boundary}--\n".encode()
    return octets.replace(b"\n", b"\r\n")


@dataclass(frozen=True, slots=True)
class _Part:
    """A body part, LF line ends."""

    content_type: str
    description: str
    octets: bytes
    encoding: str = ""
    whole: bool = False

    @property
    def fields(self) -> str:
        lines = [f"Content-Type: {self.content_type}", f"Content-Description: {self.description}"]
        if self.encoding:
            lines.append(f"Content-Transfer-Encoding: {self.encoding}")
        return "\n".join(lines)


def _said(each: Reported, utf8: bool) -> Said:
    return Said(
        _line(str(each.address), utf8),
        each.action,
        _line(each.reply, utf8),
        _line(each.remote, utf8),
        each.expired,
        each.retry_until,
    )


def _machine_part(report: Report) -> bytes:
    """RFC 3464 section 2: per-message fields, then a block per recipient."""
    lines = []
    if report.envelope_id:
        lines.append(f"Original-Envelope-Id: {_line(report.envelope_id, report.utf8)}")
    lines.append(f"Reporting-MTA: dns; {_plain(report.hostname)}")
    lines.append(f"Arrival-Date: {formatdate(report.arrived_at)}")
    blocks = ["\n".join(lines)]
    blocks += [_block(each, report) for each in report.recipients]
    return "\n\n".join(blocks).encode()


def _block(each: Reported, report: Report) -> str:
    lines = []
    kind, _, original = each.original.partition(";")
    if original:
        lines.append(f"Original-Recipient: {_typed(kind, original, report.utf8)}")
    address = str(each.address)
    kind = "rfc822" if address.isascii() else "utf-8"
    lines.append(f"Final-Recipient: {_typed(kind, address, report.utf8)}")
    lines.append(f"Action: {each.action.value}")
    lines.append(f"Status: {_status(each)}")
    reply = _line(each.reply, report.utf8)
    if each.remote:
        lines.append(f"Remote-MTA: dns; {_line(each.remote, report.utf8)}")
        lines.append(f"Diagnostic-Code: smtp; {reply}")
    elif reply:
        lines.append(f"Diagnostic-Code: x-gateway; {reply}")
    lines.append(f"Last-Attempt-Date: {formatdate(report.reported_at)}")
    if each.retry_until is not None:
        lines.append(f"Will-Retry-Until: {formatdate(each.retry_until)}")
    return "\n".join(lines)


def _typed(kind: str, address: str, utf8: bool) -> str:
    """An address with its type; of the type utf-8 in the form that fits (RFC 6533 section 3)."""
    kind = _line(kind, False)
    if kind.casefold() == "utf-8" and not utf8:
        return f"utf-8; {encode_utf8_address(address[:300], smtputf8=False).decode('ascii')}"
    return f"{kind}; {_line(address, utf8)}"


def _status(each: Reported) -> str:
    # RFC 3463 section 3.5: X.4.7 delivery time expired. The action is "failed" though the class
    # stays 4, as RFC 3464 section 2.3.4 allows: trying later by hand may work.
    if each.expired:
        return "4.4.7"
    right = {Action.FAILED: "[45]", Action.DELAYED: "4"}.get(each.action, "2")
    if re.fullmatch(rf"{right}\.\d{{1,3}}\.\d{{1,3}}", each.status):
        return each.status
    return {Action.FAILED: "5.0.0", Action.DELAYED: "4.0.0"}.get(each.action, "2.0.0")


def _original(report: Report) -> _Part:
    """What is returned. A message that its part could not carry is reduced to its header."""
    octets = report.original.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if report.whole and _can_stand(octets):
        header, _, _ = octets.partition(b"\n\n")
        if header.isascii() or (report.utf8 and _is_utf8(header)):
            kind = "message/rfc822" if header.isascii() else "message/global"
            encoding = "" if octets.isascii() else "8bit"
            return _Part(kind, "Your message", octets, encoding, whole=True)
    header = header_of(report.original).replace(b"\r\n", b"\n") if report.whole else octets
    kind, description = "text/rfc822-headers", "Header of your message"
    if header.isascii() and _can_stand(header):
        return _Part(kind, description, header)
    if report.utf8 and _is_utf8(header) and _can_stand(header):
        return _Part("message/global-headers", description, header, "8bit")
    # RFC 6522 section 4: quoted-printable is allowed for headers that 7bit cannot carry.
    coded = [binascii.b2a_qp(line, istext=False) for line in header.split(b"\n")]
    return _Part(kind, description, b"\n".join(coded), "quoted-printable")


def _can_stand(octets: bytes) -> bool:
    """Fit to be part of a message without an encoding."""
    return b"\0" not in octets and all(len(line) <= MAX_LINE for line in octets.split(b"\n"))


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True


def _line(text: str, utf8: bool) -> str:
    """One line of printable text, at most 600 characters; ASCII, others as escapes, unless utf8."""
    if utf8:
        shown = text.encode("utf-8", "backslashreplace").decode()
    else:
        shown = text.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(c if c.isprintable() else " " for c in shown)[:600].strip()


def _plain(text: str) -> str:
    """Fit for the inside of a Message-ID or a domain."""
    return re.sub(r"[^A-Za-z0-9.\[\]:_-]", "-", text)[:255]
