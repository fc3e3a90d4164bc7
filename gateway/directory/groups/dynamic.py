"""Members by search: what a group's entry says of it, as searches (RFC 4516; Exchange's filters).

Owns which of it is followed: never another server (SECURITY F3), no extensions that must be
understood. Whether a base lies within the directory is for ``Entries`` to say. Never searches.

Limits: MAX_SEARCHES of one group; filters as ``wire.ldap.filters`` has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from gateway.core.log_text import shown
from gateway.directory.entries import Entry
from gateway.directory.groups.asking import Search
from gateway.directory.groups.words import GroupWords
from gateway.wire.ldap.filters import FilterSyntax, Present, parse
from gateway.wire.ldap.messages import Scope

MAX_SEARCHES = 20
MAX_URL_OCTETS = 8192

_SCOPES = {"": Scope.BASE, "base": Scope.BASE, "one": Scope.ONE, "sub": Scope.SUBTREE}
_SCOPE_NAMES = {Scope.BASE: "base", Scope.ONE: "one", Scope.SUBTREE: "sub"}


@dataclass(slots=True)
class Dynamic:
    """What one group says.

    Args:
        mistakes: what cannot be followed, with the reason.
    """

    searches: list[Search] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)


def dynamic_of(group: Entry, words: GroupWords, most: int) -> Dynamic:
    """The searches of a group.

    Args:
        most: entries of each.
    """
    found = Dynamic()
    for octets, kind in _values(group, words):
        if len(found.searches) + len(found.mistakes) >= MAX_SEARCHES:
            found.mistakes.append(f"more than {MAX_SEARCHES} searches")
            break
        try:
            text = _text(octets)
            if kind == "url":
                found.searches.append(search_of_url(text, most))
            else:
                base = _text(_first(group, words.member_base))
                found.searches.append(Search(parse(text), most, base))
        except FilterSyntax as error:
            found.mistakes.append(f"search {shown(octets)}: {error}")
    return found


def _values(group: Entry, words: GroupWords) -> Iterator[tuple[bytes, str]]:
    for name in words.member_urls:
        for octets in group.attributes.get(name.lower(), ()):
            yield octets, "url"
    if words.member_filter:
        for octets in group.attributes.get(words.member_filter.lower(), ()):
            yield octets, "filter"


def _first(group: Entry, name: str) -> bytes:
    values: Sequence[bytes] = group.attributes.get(name.lower(), ()) if name else ()
    return values[0] if values else b""


def _text(octets: bytes) -> str:
    if len(octets) > MAX_URL_OCTETS:
        raise FilterSyntax(f"longer than {MAX_URL_OCTETS} octets")
    try:
        return octets.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise FilterSyntax("not UTF-8 text") from None


def search_of_url(text: str, most: int) -> Search:
    """RFC 4516 section 2: ``ldap:///base?attributes?scope?filter?extensions``.

    The attributes say what a client should read, which is not theirs to say here.

    Raises:
        FilterSyntax: it cannot or must not be followed.
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        raise FilterSyntax("not a URL") from None
    if parts.scheme.lower() not in ("ldap", "ldaps"):
        raise FilterSyntax("expected ldap:///base?attributes?scope?filter")
    if parts.netloc:
        raise FilterSyntax("it names a server; only this directory is searched")
    # urlsplit takes the first "?" alone, and everything behind "#" away.
    fields = parts.query.split("?")
    if len(fields) > 4 or parts.fragment:
        raise FilterSyntax("more parts than base, attributes, scope, filter and extensions")
    _, scope, wanted, extensions = (*fields, *[""] * (4 - len(fields)))
    if any(each.startswith("!") for each in extensions.split(",")):
        raise FilterSyntax("it has an extension that must be understood")
    if scope.lower() not in _SCOPES:
        raise FilterSyntax(f"scope {shown(scope, 20)}; expected base, one or sub")
    found = parse(_decoded(wanted)) if wanted else Present("objectClass")
    return Search(found, most, _decoded(parts.path.removeprefix("/")), _SCOPES[scope.lower()])


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise FilterSyntax("percent-encoded octets are not UTF-8") from None


def in_words(search: Search) -> str:
    """For the administrator, as it is rendered."""
    base = shown(search.base, 200) if search.base else "the directory's base"
    return f"{str(search.wanted)[:500]} below {base}, {_SCOPE_NAMES[search.scope]}"
