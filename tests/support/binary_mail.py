"""Real messages as a client with BINARYMIME sends them: what was encoded is decoded again."""

from __future__ import annotations

import quopri
import re
from collections.abc import Iterator

from gateway.wire.mime.bodystructure import encoding_of
from gateway.wire.mime.budget import Budget
from gateway.wire.mime.charset import decode_base64
from gateway.wire.mime.structure import Part, scan


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
