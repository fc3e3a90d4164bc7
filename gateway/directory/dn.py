"""Distinguished names as keys: two spellings of one entry's name give one text.

Owns the preparation of RFC 4514 text for comparing: case, blanks around separators, escapes; and
the writing of a value into one (SECURITY L3). Every value is compared like a caseIgnoreMatch
string, which suits the attributes that name people and groups. Never asks a server; text that is no
DN gives some key of its own.
"""

from __future__ import annotations

import re

from gateway.wire.ldap.filters import normalised

# RFC 4514 section 2.4: "\" and two hex digits is an octet, "\" and anything else is that character.
_ESCAPES = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\(.)", re.DOTALL)
_SEPARATOR = re.compile(r"((?:[^\\,;+=]|\\.)*)([,;+=]|\Z)", re.DOTALL)
_SPECIAL = frozenset('\\",+;<>=')
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


def escape_value(value: str) -> str:
    """An attribute's value for RFC 4514 text (section 2.4), whatever it holds."""
    return "".join(
        "".join(f"\\{octet:02x}" for octet in char.encode("utf-8", "surrogatepass"))
        if char in _SPECIAL or not char.isprintable() or _at_an_end(value, index)
        else char
        for index, char in enumerate(value)
    )


def _at_an_end(value: str, index: int) -> bool:
    """Blanks at both ends and "#" at the beginning mean something else unescaped."""
    return value[index] in " #" if index == 0 else value[index] == " " and index == len(value) - 1


def types_in(dn: str) -> list[str]:
    """The attribute types of a DN, as they stand there, in its order.

    Raises:
        ValueError: it has none, or a part of it is no ``attribute=value``.
    """
    types: list[str] = []
    in_value = False
    for text, separator in _SEPARATOR.findall(dn):
        if in_value:
            in_value = separator == "="  # one more in a value is part of it
        elif separator == "=" and text.strip():
            types.append(text.strip())
            in_value = True
        else:
            raise ValueError(f"attribute=value expected, found {text[:40]!r}")
        if not separator:
            break
    return types


def without_uid(value: str) -> str:
    """The DN in a value of uniqueMember."""
    return _OPTIONAL_UID.sub("", value)


def is_below(dn: str, base: str) -> bool:
    """Whether an entry of this name is the base, or somewhere below it; all are below none."""
    inner, outer = dn_key(dn), dn_key(base)
    if inner == outer or not outer:
        return True
    # A comma that is part of a value has a backslash before it.
    return inner.endswith(f",{outer}") and not inner[: -len(outer) - 1].endswith("\\")


def _character(found: re.Match[str]) -> str:
    octets, character = found.groups()
    if octets is None:
        return str(character)
    return bytes.fromhex(octets.replace("\\", "")).decode("utf-8", "replace")
