"""Who a From, Sender or Resent-From field names, read exactly: it is compared with who may send.

Owns the grammar of mailbox lists (RFC 5322 section 3.4) as far as two readers cannot understand it
in two ways; everything else is refused by name. ``wire.mime.addresses`` shows a stranger's nonsense
as it is; here nonsense would be a way to send as somebody else. Linear in the octets.

Deliberately lenient: dots, brackets and octets beyond ASCII in display names, comments, blanks
around dots and @, empty entries between commas, and an address that is its own display name.
Deliberately strict: no groups (RFC 6854), no source routes, no display name with another address
in it unless it is quoted, one field.
"""

from __future__ import annotations

import re

from gateway.core.address import Address
from gateway.wire.address import AddressSyntax, parse_mailbox
from gateway.wire.mime.comments import strip_comments

MAX_ORIGINATORS = 50
"""More authors than any letter has; each that is not known costs a question to the directory."""
MAX_OCTETS = 16_384
"""Of one field, so that reading it never takes long."""

_ATOMS = rb'[^\s"\\<>@,;:()\[\]]++'
_ADDRESS = rb"(" + _ATOMS + rb"@" + _ATOMS + rb")"
# The shape of nearly every field: optional plain or quoted name and one address.
_SIMPLE = re.compile(
    rb'\s*+(?:(?:"[^"\\\r\n]*+"\s*+|[^"\\<>@,;:()]*+)<' + _ADDRESS + rb">|" + _ADDRESS + rb")\s*+\Z"
)
_TOKEN = re.compile(
    rb'(?P<blank>\s++)|(?P<quoted>"[^"\\]*+(?:\\.[^"\\]*+)*+")'
    rb'|(?P<angle><(?:[^<>"\\]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+>)'
    rb'|(?P<comma>,)|(?P<atom>[^\s"\\<>,;:()]++)|(?P<other>.)',
    re.DOTALL,
)
_AROUND = re.compile(rb"\s*+([.@])\s*+")


class OriginatorSyntax(ValueError):
    """The field cannot be understood. The text is fixed, so it is safe for strangers and logs."""


def parse_originators(value: bytes) -> tuple[Address, ...]:
    """The addresses of a raw field value, in its order; not empty.

    Raises:
        OriginatorSyntax: with what is wrong.
    """
    if len(value) > MAX_OCTETS:
        raise OriginatorSyntax("it is too long")
    simple = _SIMPLE.match(value)
    if simple is not None:
        return (_address(simple[1] or simple[2]),)
    addresses: list[Address] = []
    words: list[bytes] = []  # of one entry, blanks included
    angle: bytes | None = None
    for found in _TOKEN.finditer(strip_comments(value)):
        kind, text = found.lastgroup, found[0]
        if kind == "comma":
            _take(addresses, words, angle)
            words, angle = [], None
        elif kind == "other":
            raise OriginatorSyntax(_OTHERS.get(text, "it is no list of addresses"))
        elif kind == "angle":
            if angle is not None:
                raise OriginatorSyntax("a comma is missing between two addresses")
            angle = text[1:-1]
        elif angle is None:
            words.append(text)
        elif kind != "blank":
            raise OriginatorSyntax("there is text behind an address")
    _take(addresses, words, angle)
    if not addresses:
        raise OriginatorSyntax("it holds no address")
    return tuple(addresses)


_OTHERS = {
    b":": "groups and colons outside quotes are not possible there",
    b";": "addresses are separated by commas",
    b'"': "a quotation mark has no partner",
    b"<": "an angle bracket has no partner",
    b">": "an angle bracket has no partner",
    b"(": "a bracket has no partner",
    b")": "a bracket has no partner",
}


def _take(addresses: list[Address], words: list[bytes], angle: bytes | None) -> None:
    """One entry of the list is complete."""
    text = b"".join(words).strip()
    if angle is None:
        if not text:
            return  # obs-mbox-list: nothing between two commas
        address = _address(_closed(text))
    else:
        address = _address(_closed(angle.strip()))
        plain = b"".join(word for word in words if word[:1] != b'"').strip()
        if b"@" in plain and plain.decode("utf-8", "replace").casefold() != str(address).casefold():
            raise OriginatorSyntax("a display name with an @ in it must stand in quotes")
    addresses.append(address)
    if len(addresses) > MAX_ORIGINATORS:
        raise OriginatorSyntax(f"it names more than {MAX_ORIGINATORS} addresses")


def _closed(text: bytes) -> bytes:
    """Without blanks around dots and @ (obs-local-part, obs-domain)."""
    return text if b'"' in text else _AROUND.sub(rb"\1", text)


def _address(text: bytes) -> Address:
    try:
        return parse_mailbox(text.decode())
    except (AddressSyntax, UnicodeDecodeError):
        if b"@" not in text:
            raise OriginatorSyntax("it holds an address without a domain") from None
        raise OriginatorSyntax("it holds a malformed address") from None
