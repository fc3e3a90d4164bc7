"""Distinguished names as keys: two spellings of one entry's name give one text.

Owns the preparation of RFC 4514 text for comparing: case, blanks around separators, escapes. Every
value is compared like a caseIgnoreMatch string, which suits the attributes that name people and
groups. Never checks a DN and never asks a server; text that is no DN gives some key of its own.
"""

from __future__ import annotations

import re

from gateway.wire.ldap.filters import normalised

# RFC 4514 section 2.4: "\" and two hex digits is an octet, "\" and anything else is that character.
_ESCAPES = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\(.)", re.DOTALL)
_SEPARATOR = re.compile(r"((?:[^\\,;+=]|\\.)*)([,;+=]|\Z)", re.DOTALL)
# uniqueMember (RFC 4517 section 3.3.21): distinguishedName [ SHARP BitString ]
_OPTIONAL_UID = re.compile(r"#'[01]*'B\Z")


def dn_key(dn: str) -> str:
    """The same for every spelling of a DN."""
    pieces: list[str] = []
    for text, separator in _SEPARATOR.findall(dn):
        piece = normalised(_ESCAPES.sub(_character, text))
        # What was escaped must not look like a separator again.
        piece = piece.replace("\\", "\\\\").replace(",", "\\,").replace("+", "\\+")
        pieces += (piece, "," if separator == ";" else separator)
        if not separator:
            break
    return "".join(pieces)


def without_uid(value: str) -> str:
    """The DN in a value of uniqueMember."""
    return _OPTIONAL_UID.sub("", value)


def _character(found: re.Match[str]) -> str:
    octets, character = found.groups()
    if octets is None:
        return str(character)
    return bytes.fromhex(octets.replace("\\", "")).decode("utf-8", "replace")
