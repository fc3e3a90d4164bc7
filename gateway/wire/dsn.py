"""Rendering of non-delivery reports (RFC 3464 in RFC 6522), as octets ready to be stored.

Owns the words and the form. Never decides whether a report is due nor where it goes. Plain words
come first, with what the other server said; then the machine's part; then the header of the
original, never its body (SECURITY S36).

Everything that came from outside is reduced to bounded, printable ASCII before it gets into a line
(SECURITY S9); the report is 7-bit throughout, so that every server takes it.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from email.utils import formatdate
from textwrap import wrap

from gateway.core.address import Address

MAX_HEADER_OCTETS = 32_768
MAX_LINE = 998  # RFC 5322 section 2.1.1


@dataclass(frozen=True, slots=True)
class FailedRecipient:
    """One recipient that did not get the message.

    Args:
        status: enhanced status code, class 4 or 5 as it was at the last attempt.
        reply: the last answer or our own words, one line.
        remote: the server that answered, empty if none did.
        expired: given up after the lifetime, not refused.
    """

    address: Address
    status: str
    reply: str
    remote: str
    expired: bool = False


@dataclass(frozen=True, slots=True)
class FailureReport:
    """All that a report says. Times are Unix seconds.

    Args:
        report_id: unique; becomes the Message-ID and the MIME boundary.
        original_header: as ``header_of`` gives it.
    """

    report_id: str
    hostname: str
    to: Address
    failed: tuple[FailedRecipient, ...]
    arrived_at: int
    reported_at: int
    original_header: bytes


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


def render(report: FailureReport) -> bytes:
    """The whole message, CRLF line ends."""
    boundary = "report-" + re.sub(r"[^A-Za-z0-9]", "-", report.report_id)[:50]
    while boundary.encode() in report.original_header:
        boundary += "-x"
    hostname = _plain(report.hostname)
    parts = (
        ("text/plain; charset=us-ascii", "Notification", "", _words(report)),
        ("message/delivery-status", "Delivery report", "", _machine_part(report)),
        ("text/rfc822-headers", "Header of your message", *_original(report.original_header)),
    )
    lines = [
        f"From: Mail Delivery System <MAILER-DAEMON@{hostname}>",
        f"To: {_ascii(str(report.to))}",
        "Subject: Your message was not delivered",
        f"Date: {formatdate(report.reported_at)}",
        f"Message-ID: <{_plain(report.report_id)}@{hostname}>",
        # RFC 3834 section 5.2: keeps other machines from answering.
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f' boundary="{boundary}"',
        "",
        "This is a MIME-encapsulated message.",
    ]
    for content_type, description, encoding, text in parts:
        lines += ["", f"--{boundary}", f"Content-Type: {content_type}"]
        lines.append(f"Content-Description: {description}")
        if encoding:
            lines.append(f"Content-Transfer-Encoding: {encoding}")
        lines += ["", text.rstrip("\n")]
    lines += ["", f"--{boundary}--", ""]
    return "\n".join(lines).replace("\n", "\r\n").encode("ascii")


def _words(report: FailureReport) -> str:
    several = len(report.failed) > 1
    lines = [
        f"This is the mail server {_plain(report.hostname)}.",
        "",
        "Your message could not be delivered to the "
        + ("following people:" if several else "following person:"),
        "",
    ]
    for failed in report.failed:
        lines.append(f"  <{_ascii(str(failed.address))}>")
        said = _ascii(failed.reply) or "no reason was given"
        who = f"The server {_ascii(failed.remote)} answered: " if failed.remote else ""
        if failed.expired:
            lines.append("    It was tried again and again without success. The last trouble was:")
        lines += wrap(who + said, 72, initial_indent="    ", subsequent_indent="    ")
        lines.append("")
    lines += [
        "The message will not be tried again. If the address is right, show this",
        "report to your administrator or to the recipient by another way.",
        "The header of your message follows below, its text does not.",
    ]
    return "\n".join(lines)


def _machine_part(report: FailureReport) -> str:
    """RFC 3464 section 2: per-message fields, then a block per recipient."""
    blocks = [
        f"Reporting-MTA: dns; {_plain(report.hostname)}\n"
        f"Arrival-Date: {formatdate(report.arrived_at)}"
    ]
    for failed in report.failed:
        lines = [
            f"Final-Recipient: rfc822; {_ascii(str(failed.address))}",
            "Action: failed",
            f"Status: {_status(failed)}",
        ]
        if failed.remote:
            lines.append(f"Remote-MTA: dns; {_ascii(failed.remote)}")
            lines.append(f"Diagnostic-Code: smtp; {_ascii(failed.reply)}")
        else:
            lines.append(f"Diagnostic-Code: x-gateway; {_ascii(failed.reply)}")
        lines.append(f"Last-Attempt-Date: {formatdate(report.reported_at)}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _status(failed: FailedRecipient) -> str:
    # RFC 3463 section 3.5: X.4.7 delivery time expired. The action is "failed" though the class
    # stays 4, as RFC 3464 section 2.3.4 allows: trying later by hand may work.
    if failed.expired:
        return "4.4.7"
    return failed.status if re.fullmatch(r"[45]\.\d{1,3}\.\d{1,3}", failed.status) else "5.0.0"


def _original(header: bytes) -> tuple[str, str]:
    """Encoding and text of the original's header; quoted-printable only where it must be."""
    long_line = any(len(line) > MAX_LINE for line in header.split(b"\r\n"))
    if header.isascii() and b"\0" not in header and not long_line:
        return "", header.decode("ascii").replace("\r\n", "\n")
    # RFC 6522 section 4: quoted-printable is allowed for headers that 7bit cannot carry.
    lines = header.split(b"\r\n")
    coded = [binascii.b2a_qp(line, istext=False).decode("ascii") for line in lines]
    return "quoted-printable", "\n".join(coded)


def _ascii(text: str) -> str:
    """One line of printable ASCII, at most 600 characters; others shown as escapes."""
    shown = text.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(c if c.isprintable() else " " for c in shown)[:600].strip()


def _plain(text: str) -> str:
    """Fit for the inside of a Message-ID or a domain."""
    return re.sub(r"[^A-Za-z0-9.\[\]:_-]", "-", text)[:255]
