"""Text inside SMTP parameters: xtext (RFC 3461 section 4) and addresses in UTF-8 (RFC 6533).

Owns both encodings in both directions. Decoding is exact: what no encoder may write is refused,
never repaired. What the text may say is judged by whoever asked for it.
"""

from __future__ import annotations

import re

# xtext = *( xchar / hexchar ); xchar: printable but "+" and "="; hexchar = "+" 2(upper-case hex).
_XTEXT = re.compile(rb"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*+\Z")
_HEXCHAR = re.compile(rb"\+([0-9A-F]{2})")
_NOT_XCHAR = re.compile(rb"[^!-*,-<>-~]")

# EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}", QUCHAR: printable but "+", "=" and backslash,
# and anything beyond ASCII (RFC 6533 section 3).
_UNITEXT = re.compile(r"(?:[!-*,-<>-\[\]-~\x80-\U0010ffff]|\\x\{[0-9A-F]{2,6}\})++\Z")
_HEXPOINT = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
_NOT_QCHAR = re.compile(r"[^!-*,-<>-\[\]-~]")
_NOT_QUCHAR = re.compile(r"[^!-*,-<>-\[\]-~\x80-\U0010ffff]")


def decode_xtext(text: bytes) -> bytes:
    """The octets that were encoded. Raises: ValueError."""
    if not _XTEXT.match(text):
        raise ValueError("no xtext")
    return _HEXCHAR.sub(lambda match: bytes.fromhex(match[1].decode("ascii")), text)


def encode_xtext(octets: bytes) -> bytes:
    """The form in which any octets can stand in a parameter."""
    return _NOT_XCHAR.sub(lambda match: b"+%02X" % ord(match[0]), octets)


def decode_utf8_address(text: bytes) -> str:
    """An address written as utf-8-addr-xtext or utf-8-addr-unitext. Raises: ValueError."""
    unitext = text.decode()  # UnicodeDecodeError is a ValueError
    if not _UNITEXT.match(unitext):
        raise ValueError("no utf-8 address")
    address = _HEXPOINT.sub(lambda match: chr(int(match[1], 16)), unitext)
    address.encode()  # a surrogate is no character
    return address


def encode_utf8_address(address: str, *, smtputf8: bool) -> bytes:
    """The form for ORCPT=utf-8; whether the peer takes UTF-8 decides which of the two."""
    pattern = _NOT_QUCHAR if smtputf8 else _NOT_QCHAR
    return pattern.sub(lambda match: f"\\x{{{ord(match[0]):02X}}}", address).encode()
