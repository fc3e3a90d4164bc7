"""The readable text of a message: decoded header values and bodies, for searching.

Owns undoing transfer encodings and charsets; never decides what matches. Never fails, whatever the
octets; linear in them, with at most 32 MiB of decoded text per message.
"""

from __future__ import annotations

import binascii

from gateway.core.messages import MessageSummary, PartSpan
from gateway.wire.mime.charset import decode_base64, decode_octets, decode_unstructured
from gateway.wire.mime.headers import iter_fields, unfold
from gateway.wire.mime.html import strip_tags

MAX_TEXT_OCTETS = 32 * 1024 * 1024
"""Encoded octets of one message's text parts that are decoded; the rest cannot be found."""


def header_values(message: bytes, name: str) -> list[str]:
    """All values of one field of the message's header, unfolded and decoded.

    Args:
        message: the message, or its beginning with the whole header.
        name: field name, any case.
    """
    wanted = name.lower().encode("utf-8", "replace")
    return [
        decode_unstructured(unfold(message[field.value_start : field.value_end]))
        for field in iter_fields(message)
        if field.name == wanted
    ]


def header_text(message: bytes) -> str:
    """The message's whole header as decoded lines ``name: value``; names in lower case."""
    return "\n".join(
        f"{field.name.decode('latin-1')}: "
        f"{decode_unstructured(unfold(message[field.value_start : field.value_end]))}"
        for field in iter_fields(message)
    )


def body_text(message: bytes, summary: MessageSummary) -> str:
    """All text of the body: text parts decoded, HTML without tags, headers of wrapped messages."""
    texts: list[str] = []
    left = MAX_TEXT_OCTETS
    for path, span in summary.parts.items():
        if left <= 0:
            break
        if path.endswith(".MSG"):
            texts.append(header_text(message[span.header_start : span.body_start]))
            left -= span.body_start - span.header_start
        elif path and _is_text(span.content_type):
            octets = message[span.body_start : min(span.body_end, span.body_start + left)]
            left -= len(octets)
            texts.append(_part_text(octets, span))
    return "\n".join(texts)


def decode_transfer(octets: bytes, encoding: str) -> bytes:
    """Octets without their Content-Transfer-Encoding; unknown ones stay as they are."""
    if encoding == "base64":
        return decode_base64(octets)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(octets)
    return octets


def _is_text(content_type: str) -> bool:
    # Reports (message/delivery-status and its like) are read by people too.
    return content_type.startswith("text/") or (
        content_type.startswith("message/") and content_type != "message/rfc822"
    )


def _part_text(octets: bytes, span: PartSpan) -> str:
    text = decode_octets(decode_transfer(octets, span.encoding), span.charset)
    return strip_tags(text) if span.content_type == "text/html" else text
