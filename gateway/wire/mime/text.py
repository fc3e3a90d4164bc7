"""The readable text of a message: decoded header values and bodies, for searching.

Owns undoing transfer encodings and charsets; never decides what matches. Never fails, whatever the
octets; linear in them, with at most 32 MiB of decoded text per message.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterator

from gateway.core.messages import MessageSummary, PartSpan
from gateway.wire.mime.charset import decode_base64, decode_octets, decode_unstructured
from gateway.wire.mime.headers import iter_fields, unfold
from gateway.wire.mime.html import strip_tags

MAX_TEXT_OCTETS = 32 * 1024 * 1024
"""Encoded octets of one message's text parts that are decoded; the rest cannot be found."""


Read = Callable[[int, int], bytes]
"""Octets of a message from one offset up to another."""


def header_lines(message: bytes) -> Iterator[tuple[bytes, str]]:
    """Name in lower case and value, unfolded and decoded, of the header's fields.

    Args:
        message: the message, or its beginning with the whole header.
    """
    for field in iter_fields(message):
        yield (
            field.name,
            decode_unstructured(unfold(message[field.value_start : field.value_end])),
        )


def header_values(message: bytes, name: str) -> list[str]:
    """All values of one field of the message's header, unfolded and decoded; name in any case."""
    wanted = name.lower().encode("utf-8", "replace")
    return [
        decode_unstructured(unfold(message[field.value_start : field.value_end]))
        for field in iter_fields(message)
        if field.name == wanted
    ]


def header_text(message: bytes) -> str:
    """The message's whole header as decoded lines ``name: value``; names in lower case."""
    return "\n".join(f"{name.decode('latin-1')}: {value}" for name, value in header_lines(message))


def body_text(message: bytes, summary: MessageSummary) -> str:
    """All text of the body: text parts decoded, HTML without tags, headers of wrapped messages."""
    return read_body_text(lambda start, end: message[start:end], summary)


def read_body_text(read: Read, summary: MessageSummary) -> str:
    """As ``body_text``; what is no text, attached pictures and the like, is never read."""
    texts: list[str] = []
    for path, span, end in _readable(summary):
        if path.endswith(".MSG"):
            texts.append(header_text(read(span.header_start, end)))
        else:
            texts.append(_part_text(read(span.body_start, end), span))
    return "\n".join(texts)


def text_octets(summary: MessageSummary) -> int:
    """How many encoded octets ``read_body_text`` would read."""
    return sum(
        end - (span.header_start if path.endswith(".MSG") else span.body_start)
        for path, span, end in _readable(summary)
    )


def _readable(summary: MessageSummary) -> Iterator[tuple[str, PartSpan, int]]:
    """Parts that people read, as (path, span, offset where reading ends)."""
    left = MAX_TEXT_OCTETS
    for path, span in summary.parts.items():
        if left <= 0:
            break
        if path.endswith(".MSG"):
            left -= span.body_start - span.header_start
            yield path, span, span.body_start
        elif path and _is_text(span.content_type):
            end = min(span.body_end, span.body_start + left)
            left -= end - span.body_start
            yield path, span, end


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
