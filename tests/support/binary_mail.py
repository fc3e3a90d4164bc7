"""Binary messages: their conversion in one call, what they hold, and real ones made binary.

``leaves`` reads with the standard library, and so independently; all else with our own scanner.
"""

from __future__ import annotations

import quopri
import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message

from gateway.wire.mime.binary_parts import BinaryParts
from gateway.wire.mime.bodystructure import encoding_of
from gateway.wire.mime.budget import Budget
from gateway.wire.mime.charset import decode_base64
from gateway.wire.mime.structure import Part, scan

HEADER_OCTETS = 1024 * 1024


def run(*pieces: bytes, limit: int = HEADER_OCTETS) -> tuple[bytes, str]:
    """What was written, and the problem."""
    out: list[bytes] = []
    parts = BinaryParts(out.append, limit)
    for piece in pieces:
        parts.write(piece)
    parts.end()
    assert b"" not in out
    return b"".join(out), "" if parts.problem is None else parts.problem.text


def octet_by_octet(message: bytes) -> list[bytes]:
    return [message[at : at + 1] for at in range(len(message))]


def leaves(message: bytes) -> list[bytes]:
    """The decoded contents, by an independent reader."""
    found = []
    for part in message_from_bytes(message).walk():
        assert isinstance(part, Message)
        if not part.is_multipart():
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            found.append(content)
    return found


def contents_of(message: bytes) -> list[bytes]:
    """The decoded contents of all leaf parts."""
    return [_decoded(message, part) for part in _leaves(scan(message, Budget()))]


def _leaves(part: Part) -> Iterator[Part]:
    if not part.children:
        yield part
    for child in part.children:
        yield from _leaves(child)


def _decoded(message: bytes, part: Part) -> bytes:
    body = message[part.body_start : part.body_end]
    if encoding_of(part) == b"base64":
        return decode_base64(body)
    return quopri.decodestring(body) if encoding_of(part) == b"quoted-printable" else body


def with_binary_parts(message: bytes) -> tuple[bytes, list[bytes]]:
    """The message with every encoded leaf decoded, and the contents of all."""
    pieces: list[bytes] = []
    contents: list[bytes] = []
    position = 0
    for part in _leaves(scan(message, Budget())):
        contents.append(_decoded(message, part))
        header = message[part.header_start : part.body_start]
        named = rb"(?im)^(content-transfer-encoding[ \t]*:)[ \t]*(?:base64|quoted-printable)\b"
        binary, found = re.subn(named, rb"\1 binary", header, count=1)
        if found:
            pieces += (message[position : part.header_start], binary, contents[-1])
            position = part.body_end
    return b"".join(pieces) + message[position:], contents
