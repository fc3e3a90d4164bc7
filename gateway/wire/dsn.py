"""Rendering of delivery reports (RFC 3464 in RFC 6522), as octets ready to be stored.

Owns the form; the plain words, which come first, are in ``dsn_words``, the machine's part in
``dsn_machine``, what is returned in ``dsn_original``. Never decides whether a report is due nor
where it goes.

Everything that came from outside is reduced to one bounded, printable line (SECURITY S9). A report
is ASCII, so that every server takes it, unless its way is known to take UTF-8: then it has the
types of RFC 6533 (SECURITY S31).
"""

from __future__ import annotations

import binascii
import re
from email.header import Header
from email.utils import formatdate

from gateway.wire.dsn_machine import machine_part, status_of
from gateway.wire.dsn_original import Part, message_id_of, returned, subject_in
from gateway.wire.dsn_text import one_line, plain
from gateway.wire.dsn_values import Report, Reported
from gateway.wire.dsn_words import About, Said, subject, words


def render(report: Report) -> bytes:
    """The whole message, CRLF line ends; all ASCII unless ``utf8`` or 8-bit content is returned."""
    utf8 = report.utf8
    hostname = plain(report.hostname)
    original = returned(report)
    kind = "global-delivery-status" if utf8 else "delivery-status"
    machine = Part(
        f"message/{kind}", "Delivery report", machine_part(report), "8bit" if utf8 else ""
    )
    called = subject_in(report.original)
    parts = (_words(report, called, whole=original.whole), machine, original)
    boundary = "report-" + re.sub(r"[^A-Za-z0-9]", "-", report.report_id)[:50]
    while any(boundary.encode() in part.octets for part in parts):
        boundary += "-x"
    actions = {each.action for each in report.recipients}
    title = subject(actions, called, in_place_of=bool(report.in_place_of))
    about = message_id_of(report.original)
    lines = [
        f"From: Mail Delivery System <MAILER-DAEMON@{hostname}>",
        f"To: {one_line(str(report.to), utf8=utf8)}",
        f"Subject: {_unstructured(title, utf8)}",
        f"Date: {formatdate(report.reported_at)}",
        f"Message-ID: <{plain(report.report_id)}@{hostname}>",
        *((f"In-Reply-To: {about}", f"References: {about}") if about else ()),
        # RFC 3834 section 5.2: keeps other machines from answering.
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f"Content-Type: multipart/report; report-type={kind};",
        f' boundary="{boundary}"',
        "",
        "This is a MIME-encapsulated message.",
    ]
    octets = "\n".join(lines).encode()
    for part in parts:
        octets += f"\n\n--{boundary}\n{part.fields}\n\n".encode() + part.octets.rstrip(b"\n")
    octets += f"\n\n--{boundary}--\n".encode()
    return octets.replace(b"\n", b"\r\n")


def _words(report: Report, called: str, *, whole: bool) -> Part:
    """The text, in UTF-8 where it is not ASCII: quoted, where the way takes seven bits only."""
    about = About(
        plain(report.hostname),
        called,
        report.arrived_at,
        whole,
        plain(report.reference),
        one_line(report.in_place_of, utf8=True),
    )
    text = words([_said(each) for each in report.recipients], about).encode()
    kind = "text/plain; charset="
    if report.utf8:
        return Part(f"{kind}utf-8", "Notification", text, "8bit")
    if text.isascii():
        return Part(f"{kind}us-ascii", "Notification", text)
    return Part(
        f"{kind}utf-8", "Notification", binascii.b2a_qp(text, istext=True), "quoted-printable"
    )


def _said(each: Reported) -> Said:
    return Said(
        one_line(str(each.address), utf8=True),
        one_line(each.address.domain, utf8=True),
        each.action,
        each.status if each.expired else status_of(each),
        one_line(each.reply, utf8=True),
        one_line(each.remote, utf8=True),
        each.expired,
        each.retry_until,
    )


def _unstructured(text: str, utf8: bool) -> str:
    """A field's value: as it is, or in encoded-words (RFC 2047); also what looks like some."""
    if utf8 or (text.isascii() and "=?" not in text):
        return text
    return Header(text, "utf-8", header_name="Subject").encode()
