"""The header of a part of a binary message, and what becomes of it (RFC 3030 section 3).

Owns which parts are encoded anew, and the one field that says so; every other octet stays. A leaf
with ``Content-Transfer-Encoding: binary`` becomes base64; composite parts become 8bit, as no other
encoding is allowed for them (RFC 2045 section 6.4), and their parts are treated alike.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.wire.mime.budget import MAX_FIELD_OCTETS
from gateway.wire.mime.headers import Field, iter_fields, unfold
from gateway.wire.mime.parameters import (
    MESSAGE_RFC822,
    TEXT_PLAIN,
    MediaType,
    parse_media_type,
    parse_token,
)
from gateway.wire.mime.part_rewriting import Unconvertible

IDENTITIES = (b"", b"7bit", b"8bit", b"binary")

UNFIT = (
    "A NUL, or a CR or LF that is not a CRLF, stands outside the parts that have"
    " Content-Transfer-Encoding: binary"
)
_SIGNED = (
    "A part with Content-Transfer-Encoding: binary is signed, which RFC 1847 section 2.1 does not"
    " allow: encoding it for servers that take text only would break the signature"
)
_TWICE = (
    "A part with Content-Transfer-Encoding: binary has this field or Content-Type more than once"
)


class BinaryHeader(NamedTuple):
    """What becomes of a part.

    Args:
        block: its fields as they go on.
        encoded: its body becomes base64.
        wraps: its body is a message whose header can be read.
    """

    block: bytes
    media: MediaType
    encoded: bool
    wraps: bool


def convert_header(block: bytes, *, signed: bool, digest: bool) -> BinaryHeader:
    """Decide on a part by its header.

    Args:
        block: all fields with their line ends, without the empty line.
        signed: the part is under a signature.
        digest: it stands directly in a multipart/digest.

    Raises:
        Unconvertible: octets or fields are such that no encoding helps.
    """
    if not is_fit(block):
        raise Unconvertible(UNFIT)
    types, encodings = content_fields(block)
    # RFC 2046 section 5.1.5: the default inside a digest is message/rfc822
    default = MESSAGE_RFC822 if digest else TEXT_PLAIN
    media = parse_media_type(field_value(block, types), default)
    encoding = parse_token(field_value(block, encodings))
    is_message = media.main == b"message"
    # A message/global is the one message that may be encoded (RFC 6532 section 3.7).
    composite = media.main == b"multipart" or (is_message and media.sub != b"global")
    binary = encoding == b"binary"
    if binary:
        if signed:
            raise Unconvertible(_SIGNED, signed=True)
        if len(types) > 1 or len(encodings) > 1:
            raise Unconvertible(_TWICE)
        block = with_encoding(block, encodings[0], b"8bit" if composite else b"base64")
    # In another encoding, which is forbidden, nobody can read the header inside.
    wraps = is_message and media.sub == b"rfc822" and encoding in IDENTITIES
    return BinaryHeader(block, media, binary and not composite, wraps)


def is_fit(octets: bytes) -> bool:
    """Whether each CR and LF is half of a CRLF, and nothing is NUL."""
    newlines = octets.count(b"\r\n")
    return octets.count(b"\n") == newlines == octets.count(b"\r") and b"\0" not in octets


def content_fields(block: bytes) -> tuple[list[Field], list[Field]]:
    """Content-Type and Content-Transfer-Encoding, each as often as it is there."""
    types: list[Field] = []
    encodings: list[Field] = []
    if b"content-t" in block.lower():
        for each in iter_fields(block):
            if each.name == b"content-type":
                types.append(each)
            elif each.name == b"content-transfer-encoding":
                encodings.append(each)
    return types, encodings


def field_value(block: bytes, fields: list[Field]) -> bytes | None:
    """Of the first, which is the one that counts."""
    if not fields:
        return None
    return unfold(block[fields[0].value_start : fields[0].value_end][:MAX_FIELD_OCTETS])


def with_encoding(block: bytes, field: Field, encoding: bytes) -> bytes:
    end = field.value_end - (block[field.value_end - 1 : field.value_end] == b"\r")
    return block[: field.value_start] + b" " + encoding + block[end:]
