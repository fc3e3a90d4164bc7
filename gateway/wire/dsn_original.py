"""The message that a report is about, as far as the report shows it (RFC 3461 section 4.3).

Owns what is read from its header (subject, Message-ID) and the body part that returns header or
message (RFC 6522 section 3; SECURITY S36). Never decides how much is returned.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass

from gateway.wire.dsn_values import Report
from gateway.wire.message_id import message_id_in
from gateway.wire.mime.budget import Budget, Overrun
from gateway.wire.mime.charset import decode_unstructured
from gateway.wire.mime.headers import read_header

MAX_HEADER_OCTETS = 32_768
MAX_RETURNED_OCTETS = 102_400  # as much as Exim returns
MAX_LINE = 998  # RFC 5322 section 2.1.1
MAX_SUBJECT = 100
_SUBJECT_OCTETS = 2_000
_MAX_MESSAGE_ID = 250


@dataclass(frozen=True, slots=True)
class Part:
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


def subject_in(original: bytes) -> str:
    """What the message is called, decoded, one printable line; empty if it says nothing."""
    try:
        fields, _ = read_header(original, 0, {b"subject"}, Budget())
    except Overrun:
        return ""
    text = decode_unstructured(fields.get(b"subject", b"")[:_SUBJECT_OCTETS])
    shown = "".join(c if c.isprintable() else " " for c in text)
    shown = " ".join(shown.split())
    return shown if len(shown) <= MAX_SUBJECT else shown[: MAX_SUBJECT - 3].rstrip() + "..."


def message_id_of(original: bytes) -> str:
    """The Message-ID, fit for In-Reply-To (RFC 5322 section 3.6.4); empty if it has none that is.

    RFC 3834 section 3.1.5 wants it there, so that mail programs show the report by its message.
    """
    found = message_id_in(original[:MAX_HEADER_OCTETS])
    fits = len(found) <= _MAX_MESSAGE_ID and found.isascii() and found.isprintable()
    if not fits or not (found.startswith("<") and found.endswith(">") and found.count("<") == 1):
        return ""
    return found


def returned(report: Report) -> Part:
    """What is returned. A message that its part could not carry is reduced to its header."""
    octets = report.original.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if report.whole and _can_stand(octets):
        header, _, _ = octets.partition(b"\n\n")
        if header.isascii() or (report.utf8 and _is_utf8(header)):
            kind = "message/rfc822" if header.isascii() else "message/global"
            encoding = "" if octets.isascii() else "8bit"
            return Part(kind, "Your message", octets, encoding, whole=True)
    header = header_of(report.original).replace(b"\r\n", b"\n") if report.whole else octets
    kind, description = "text/rfc822-headers", "Header of your message"
    if header.isascii() and _can_stand(header):
        return Part(kind, description, header)
    if report.utf8 and _is_utf8(header) and _can_stand(header):
        return Part("message/global-headers", description, header, "8bit")
    # RFC 6522 section 4: quoted-printable is allowed for headers that 7bit cannot carry.
    coded = [binascii.b2a_qp(line, istext=False) for line in header.split(b"\n")]
    return Part(kind, description, b"\n".join(coded), "quoted-printable")


def _can_stand(octets: bytes) -> bool:
    """Fit to be part of a message without an encoding."""
    return b"\0" not in octets and all(len(line) <= MAX_LINE for line in octets.split(b"\n"))


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True
