"""LDAP search filters as values (RFC 4511 section 4.5.1.7): built, parsed, written and evaluated.

One filter serves both kinds of directory: ``writing`` makes its octets for a server, ``matches``
evaluates it on an entry from a file; ``str`` is RFC 4515's text, for people. Values are escaped
where text is made and nowhere else, so that no value can change a filter's shape (SECURITY L2).

Never knows a schema: every attribute is compared like a caseIgnoreMatch string (RFC 4517 section
4.2.11; RFC 4518 preparation shortened to NFKC, case folding and blanks squeezed), which suits
names, addresses and object classes. Limits: MAX_DEPTH levels, MAX_TEXT characters when parsing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

MAX_DEPTH = 20
MAX_TEXT = 8192
_KEPT_NAMES = 256  # the same few in each filter

# MS-ADTS sections 3.1.1.3.4.4.1 and 3.1.1.3.4.4.2; OpenLDAP has them too.
BIT_AND = ":1.2.840.113556.1.4.803"
BIT_OR = ":1.2.840.113556.1.4.804"
_BITS = frozenset((BIT_AND, BIT_OR))
_NUMBER = re.compile(r"-?[0-9]{1,20}\Z")

# RFC 4512 section 2.5: attributedescription = attributetype *( SEMI option ), descr or numericoid.
_ATTRIBUTE = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)+)(?:;[A-Za-z0-9-]+)*\Z")
# RFC 4515 section 3: extensible = attr [dnattrs] [matchingrule] COLON EQUALS assertionvalue
_EXTENSIBLE = re.compile(r"([A-Za-z0-9.;-]*)((?::dn)?(?::[A-Za-z0-9.-]+)?):\Z")
_PLAIN = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._@:=+,/'$!#%&?^`{|}~"
)

Attributes = Mapping[str, Sequence[bytes]]
"""An entry's values by lower-case attribute name."""


class FilterSyntax(ValueError):
    """Text that is no filter, or a filter that cannot be evaluated here."""


@dataclass(frozen=True, slots=True)
class Equal:
    """``(attribute=value)``."""

    attribute: str
    value: str

    def __post_init__(self) -> None:
        check_attribute(self.attribute)

    def __str__(self) -> str:
        return f"({self.attribute}={escape(self.value)})"


@dataclass(frozen=True, slots=True)
class EqualOctets:
    """``(attribute=value)`` of a value that is no text, such as objectGUID."""

    attribute: str
    value: bytes

    def __post_init__(self) -> None:
        check_attribute(self.attribute)

    def __str__(self) -> str:
        return f"({self.attribute}={escape(self.value)})"


@dataclass(frozen=True, slots=True)
class AtLeast:
    """``(attribute>=value)``: for servers, which know the attribute's order."""

    attribute: str
    value: str

    def __post_init__(self) -> None:
        check_attribute(self.attribute)

    def __str__(self) -> str:
        return f"({self.attribute}>={escape(self.value)})"


@dataclass(frozen=True, slots=True)
class Present:
    """``(attribute=*)``."""

    attribute: str

    def __post_init__(self) -> None:
        check_attribute(self.attribute)

    def __str__(self) -> str:
        return f"({self.attribute}=*)"


@dataclass(frozen=True, slots=True)
class Substrings:
    """``(attribute=a*b*c)``; the first and the last part may be empty."""

    attribute: str
    parts: tuple[str, ...]

    def __post_init__(self) -> None:
        check_attribute(self.attribute)

    def __str__(self) -> str:
        return f"({self.attribute}={'*'.join(map(escape, self.parts))})"


@dataclass(frozen=True, slots=True)
class Extensible:
    """``(attribute:dn:rule:=value)``: for servers; here only the rules of bits can be evaluated."""

    attribute: str
    rule: str
    value: str

    def __str__(self) -> str:
        return f"({self.attribute}{self.rule}:={escape(self.value)})"


@dataclass(frozen=True, slots=True)
class And:
    operands: tuple[Filter, ...]

    def __str__(self) -> str:
        return f"(&{''.join(map(str, self.operands))})"


@dataclass(frozen=True, slots=True)
class Or:
    operands: tuple[Filter, ...]

    def __str__(self) -> str:
        return f"(|{''.join(map(str, self.operands))})"


@dataclass(frozen=True, slots=True)
class Not:
    operand: Filter

    def __str__(self) -> str:
        return f"(!{self.operand})"


Filter = Equal | EqualOctets | AtLeast | Present | Substrings | Extensible | And | Or | Not


@lru_cache(_KEPT_NAMES)
def _is_attribute(text: str) -> bool:
    return _ATTRIBUTE.match(text) is not None


def check_attribute(attribute: str) -> None:
    """Attribute names come from settings; text that is none must not reach a filter."""
    if not _is_attribute(attribute):
        raise FilterSyntax(f"not an attribute name: {attribute[:40]!r}")


def escape(value: str | bytes) -> str:
    """A value for RFC 4515 text: every octet outside a small safe set becomes ``\\xx``.

    More than the RFC asks for: blanks too, which get lost at both ends where text is copied, and
    all octets from 0x80 on, so that the text is ASCII whatever the value holds.
    """
    return "".join(
        chr(octet) if octet in _PLAIN else f"\\{octet:02x}"
        for octet in (value.encode("utf-8") if isinstance(value, str) else value)
    )


# --- evaluation ----------------------------------------------------------------------------------


def normalised(value: str) -> str:
    """The form in which two values are equal to a caseIgnoreMatch rule."""
    return " ".join(unicodedata.normalize("NFKC", value).casefold().split())


def values(attributes: Attributes, attribute: str) -> list[str]:
    """The normalised text values; octets that are not UTF-8 match nothing."""
    texts = []
    for octets in attributes.get(attribute.lower(), ()):
        try:
            texts.append(normalised(octets.decode("utf-8")))
        except UnicodeDecodeError:
            continue
    return texts


def matches(wanted: Filter, attributes: Attributes) -> bool:
    """Whether an entry with these attributes is found by the filter.

    Raises:
        FilterSyntax: the filter holds a match by order, or by a rule that is not one of bits.
    """
    match wanted:
        case And(operands):
            return all(matches(operand, attributes) for operand in operands)
        case Or(operands):
            return any(matches(operand, attributes) for operand in operands)
        case Not(operand):
            return not matches(operand, attributes)
        case Equal(attribute, value):
            return normalised(value) in values(attributes, attribute)
        case EqualOctets(attribute, octets):
            return octets in attributes.get(attribute.lower(), ())
        case Present(attribute):
            return bool(attributes.get(attribute.lower()))
        case Substrings(attribute, parts):
            pattern = ".*".join(re.escape(normalised(part)) for part in parts)
            compiled = re.compile(pattern, re.DOTALL)
            return any(compiled.fullmatch(value) for value in values(attributes, attribute))
        case Extensible(attribute, rule, value) if rule in _BITS and attribute:
            return any(_has_bits(rule, each, value) for each in values(attributes, attribute))
        case Extensible() | AtLeast():
            raise FilterSyntax(f"cannot be evaluated here, only by a server: {wanted}")


def _has_bits(rule: str, number: str, bits: str) -> bool:
    """Numbers that are none have no bits."""
    if not (_NUMBER.match(number) and _NUMBER.match(bits)):
        return False
    common = int(number) & int(bits)
    return common == int(bits) if rule == BIT_AND else common != 0


def check_evaluable(wanted: Filter) -> None:
    """Raises: FilterSyntax, as ``matches`` would for some entry."""
    match wanted:
        case And(operands) | Or(operands):
            for operand in operands:
                check_evaluable(operand)
        case Not(operand):
            check_evaluable(operand)
        case _:
            matches(wanted, {})


def attributes_of(wanted: Filter) -> frozenset[str]:
    """Names of the attributes that the filter looks at, in lower case."""
    match wanted:
        case And(operands) | Or(operands):
            return frozenset().union(*map(attributes_of, operands))
        case Not(operand):
            return attributes_of(operand)
        case _:
            return frozenset({wanted.attribute.lower()} if wanted.attribute else ())


# --- parsing -------------------------------------------------------------------------------------


def parse(text: str) -> Filter:
    """A filter from RFC 4515 text, as administrators write it into settings.

    ``>=``, ``<=`` and ``~=`` are not supported: nothing about a mailbox is decided by order.

    Raises:
        FilterSyntax: says what was expected and where.
    """
    text = text.strip()
    if len(text) > MAX_TEXT:
        raise FilterSyntax(f"longer than {MAX_TEXT} characters")
    found, end = _parse_filter(text, 0, 0)
    if end != len(text):
        raise FilterSyntax(f"text behind the filter at character {end + 1}")
    return found


def _parse_filter(text: str, at: int, depth: int) -> tuple[Filter, int]:
    """The filter that begins at index ``at``, and the index behind it."""
    if depth > MAX_DEPTH:
        raise FilterSyntax(f"more than {MAX_DEPTH} levels")
    if text[at : at + 1] != "(":
        raise FilterSyntax(f"'(' expected at character {at + 1}")
    operator = text[at + 1 : at + 2]
    if not operator or operator not in "&|!":
        end = text.find(")", at)
        if end < 0:
            raise FilterSyntax(f"no ')' for the '(' at character {at + 1}")
        return _parse_item(text[at + 1 : end]), end + 1
    operands: list[Filter] = []
    at = _skip_blanks(text, at + 2)
    while text[at : at + 1] == "(":
        operand, at = _parse_filter(text, at, depth + 1)
        operands.append(operand)
        at = _skip_blanks(text, at)
    if text[at : at + 1] != ")":
        raise FilterSyntax(f"')' expected at character {at + 1}")
    if not operands or (operator == "!" and len(operands) != 1):
        raise FilterSyntax(f"wrong number of filters behind {operator!r} at character {at + 1}")
    if operator == "!":
        return Not(operands[0]), at + 1
    return (And if operator == "&" else Or)(tuple(operands)), at + 1


def _skip_blanks(text: str, at: int) -> int:
    while text[at : at + 1].isspace():
        at += 1
    return at


def _parse_item(item: str) -> Filter:
    attribute, equals, value = item.partition("=")
    if not equals or "(" in value:
        raise FilterSyntax(f"attribute=value expected, found {item[:40]!r}")
    extensible = _EXTENSIBLE.match(attribute)
    if extensible:
        return Extensible(extensible[1], extensible[2], _unescape(value))
    if value == "*":
        return Present(attribute.strip())
    if "*" in value:
        return Substrings(attribute.strip(), tuple(map(_unescape, value.split("*"))))
    return Equal(attribute.strip(), _unescape(value))


def _unescape(value: str) -> str:
    """RFC 4515 section 3: valueencoding, ``\\xx`` are octets of UTF-8."""
    octets = bytearray()
    parts = value.split("\\")
    octets += parts[0].encode("utf-8")
    for part in parts[1:]:
        if not re.match(r"[0-9A-Fa-f]{2}", part):
            raise FilterSyntax(f"two hex digits expected behind '\\' in {value[:40]!r}")
        octets.append(int(part[:2], 16))
        octets += part[2:].encode("utf-8")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise FilterSyntax(f"escaped octets are not UTF-8 in {value[:40]!r}") from None
