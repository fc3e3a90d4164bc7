"""Filters and DNs with places for what somebody typed: settings such as ``(uid={login})``.

Escaped by construction: the template is taken apart first, what was typed becomes a value in its
parts, and text is made last, so that no login changes a filter's shape (RFC 4515, SECURITY L2) or a
DN's (RFC 4514, L3). Places: ``{login}`` is all that was typed; ``{user}`` and ``{domain}`` are the
two halves of ``user@domain`` or ``DOMAIN\\user``. An item whose place has no value finds nobody.

Never checks what was typed (see ``logins``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.directory.dn import escape_value, types_in
from gateway.wire.ldap.filters import (
    And,
    Equal,
    Extensible,
    Filter,
    FilterSyntax,
    Not,
    Or,
    Present,
    Substrings,
    attributes_of,
    check_attribute,
    parse,
)

NOBODY: Filter = Not(Present("objectClass"))
"""Every entry has an object class (RFC 4512 section 2.4)."""

_PLACE = re.compile(r"\{([^{}]*)\}")
_NAMES = frozenset(("login", "user", "domain"))
_EVERYBODY: Filter = Present("objectClass")


def halves(login: str) -> tuple[str, str]:
    """User and domain of ``user@domain`` or ``DOMAIN\\user``; no domain: it is empty."""
    domain, backslash, user = login.partition("\\")
    if backslash:
        return user, domain
    user, at, domain = login.rpartition("@")
    return (user, domain) if at else (login, "")


@dataclass(frozen=True, slots=True)
class FilterTemplate:
    """A filter in whose values there are places."""

    form: Filter

    @property
    def attributes(self) -> frozenset[str]:
        """What it looks at, in lower case."""
        return attributes_of(self.form)

    def filled(self, login: str) -> Filter:
        """Who has this login."""
        wanted = _filled(self.form, _places(login))
        return NOBODY if wanted is None else wanted


@dataclass(frozen=True, slots=True)
class DnTemplate:
    """A DN in whose values there are places."""

    text: str

    def filled(self, login: str) -> str:
        """The DN of whoever has this login; empty: nobody can have it."""
        places = _places(login)
        if any(not places[name] for name in _PLACE.findall(self.text)):
            return ""
        return _PLACE.sub(lambda found: escape_value(places[found[1]]), self.text)


def filter_template(text: str) -> FilterTemplate:
    """Raises: FilterSyntax."""
    form = parse(text)
    names = [name for value in _values(form) for name in _names_in(value)]
    if not names:
        raise FilterSyntax("no {login} in it: it would find the same people for everybody")
    return FilterTemplate(form)


def dn_template(text: str) -> DnTemplate:
    """Raises: FilterSyntax."""
    names = _names_in(text)
    if not names:
        raise FilterSyntax("no {login} in it: it would be the same entry for everybody")
    try:
        types = types_in(text)
    except ValueError as error:
        raise FilterSyntax(str(error)) from None
    for name in types:
        check_attribute(name)  # a place is none
    return DnTemplate(text)


def _names_in(text: str) -> list[str]:
    names = _PLACE.findall(text)
    unknown = [name for name in names if name not in _NAMES]
    if unknown or set("{}") & set(_PLACE.sub("", text)):
        raise FilterSyntax("only {login}, {user} and {domain} are known")
    return names


def _places(login: str) -> Mapping[str, str]:
    user, domain = halves(login)
    return {"login": login, "user": user, "domain": domain}


def _values(form: Filter) -> list[str]:
    match form:
        case And(operands) | Or(operands):
            return [value for operand in operands for value in _values(operand)]
        case Not(operand):
            return _values(operand)
        case Equal(_, value) | Extensible(_, _, value):
            return [value]
        case Substrings(_, parts):
            return list(parts)
        case _:
            return []


def _filled(form: Filter, places: Mapping[str, str]) -> Filter | None:
    """None: it is true of nobody."""
    match form:
        case And(operands):
            each = [_filled(operand, places) for operand in operands]
            parts = tuple(part for part in each if part is not None)
            return And(parts) if len(parts) == len(each) else None
        case Or(operands):
            each = [_filled(operand, places) for operand in operands]
            parts = tuple(part for part in each if part is not None)
            return Or(parts) if parts else None
        case Not(operand):
            inner = _filled(operand, places)
            return Not(inner) if inner is not None else _EVERYBODY
        case Equal(attribute, value):
            text = _text(value, places)
            return None if text is None else Equal(attribute, text)
        case Extensible(attribute, rule, value):
            text = _text(value, places)
            return None if text is None else Extensible(attribute, rule, text)
        case Substrings(attribute, parts):
            texts = [_text(part, places) for part in parts]
            known = tuple(text for text in texts if text is not None)
            return Substrings(attribute, known) if len(known) == len(texts) else None
        case _:
            return form


def _text(value: str, places: Mapping[str, str]) -> str | None:
    if any(not places[name] for name in _PLACE.findall(value)):
        return None
    return _PLACE.sub(lambda found: places[found[1]], value)
