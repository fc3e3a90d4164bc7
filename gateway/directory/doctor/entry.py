"""Whose entry a login leads to: the filter as it is sent, and what is found by it.

Owns these looks for servers and files alike, and the guesses at why nobody is found. Values of
other attributes than logins are never told.

Limits: MOST entries are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from gateway.core.log_text import escaped, shown
from gateway.directory.doctor.step import Look, Step, shortened
from gateway.directory.entries import Entry
from gateway.directory.ldap.asking import Asks, LdapFailed
from gateway.directory.ldap.results import SIZE_LIMIT_EXCEEDED, SUCCESS
from gateway.directory.ldap.searching import unusable
from gateway.directory.logins import login_is_possible
from gateway.directory.schema import Schema
from gateway.wire.ldap.filters import And, Equal, Filter, FilterSyntax, Not, Or, matches
from gateway.wire.ldap.messages import Scope, SearchRequest

MOST = 10
_USUAL = (
    "uid",
    "cn",
    "mail",
    "sAMAccountName",
    "userPrincipalName",
    "proxyAddresses",
    "displayName",
)
"""Where the name may be that somebody types as a login."""


class Finds(Protocol):
    """A directory to look in."""

    async def entries(self, wanted: Filter, attributes: Sequence[str]) -> list[Entry]:
        """The first MOST that match. Raises: LdapFailed."""
        ...


class AtServer:
    """Implements Finds."""

    def __init__(self, asks: Asks, base_dn: str) -> None:
        self._asks = asks
        self._base_dn = base_dn

    async def entries(self, wanted: Filter, attributes: Sequence[str]) -> list[Entry]:
        request = SearchRequest(self._base_dn, Scope.SUBTREE, wanted, tuple(attributes), most=MOST)
        found = await self._asks.search(request)
        if found.result.code not in (SUCCESS, SIZE_LIMIT_EXCEEDED):
            raise unusable("searching", found.result)
        return [Entry(each.dn, each.attributes) for each in found.entries]


def filter_sent(login: str, schema: Schema, where: str, look: Look) -> Step:
    """The filter for the login, escaped as it is sent (RFC 4515)."""
    if not login_is_possible(login):
        advice = "up to 256 printable characters without blanks around them"
        return look.failed("no directory is asked for such a login", advice)
    wanted = schema.by_login(login)
    more = (f"people alone, who are found by {schema.person}", f"searched in {escaped(where)}")
    text = str(wanted)
    return look.ok(text, more, filter=text)


async def entries_found(
    login: str, finds: Finds, schema: Schema, attributes: Sequence[str], look: Look
) -> tuple[Entry | None, Step]:
    """The one entry that the login leads to."""
    wanted = schema.by_login(login)
    try:
        found = await finds.entries(wanted, attributes)
        if not found:
            return None, await _nobody(login, finds, schema, look)
    except (LdapFailed, FilterSyntax) as failed:
        reason = failed.reason if isinstance(failed, LdapFailed) else escaped(failed)
        return None, look.failed(reason, "look at the server's log, and at the filters in force")
    by_login = _without_kind(wanted)
    lines = [f"{escaped(each.dn)} by {_by(by_login, each)}" for each in found]
    if len(found) > 1:
        many = f"{MOST} or more" if len(found) >= MOST else str(len(found))
        return None, look.failed(
            f"{many} entries have this login, so nobody gets it",
            "give the login or address to one of them, or narrow directory.person_filter or"
            " directory.login_attributes",
            lines,
            dns=[each.dn for each in found],
        )
    (entry,) = found
    if not entry.dn:
        return None, look.failed("an entry without a DN", "look at the server")
    return entry, look.ok(lines[0], dns=[entry.dn], matched=list(matched_by(by_login, entry)))


async def _nobody(login: str, finds: Finds, schema: Schema, look: Look) -> Step:
    """Why, as far as more questions can tell. Raises: LdapFailed."""
    advice = "is the login spelt as the directory has it? look at directory.base_dn and preset"
    others = await finds.entries(_without_kind(schema.by_login(login)), ("1.1",))
    if others:
        names = shortened([escaped(each.dn) for each in others], 3)
        return look.failed(
            f"nobody has this login who is a person by {schema.person}",
            "change directory.person_filter if this should be one, or the entry",
            [f"no person: {name}" for name in names],
        )
    user = login.partition("@")[0].rpartition("\\")[2] or login
    guesses = dict.fromkeys(
        Equal(name, text) for text in dict.fromkeys((login, user)) for name in _USUAL
    )
    guessed = Or(tuple(guesses))
    likely = await finds.entries(guessed, _USUAL)
    if not likely:
        return look.failed("nobody has this login", advice)
    lines = [
        f"{escaped(each.dn)} has it as {', '.join(matched_by(guessed, each)) or 'a name'}"
        for each in likely
    ]
    known = ", ".join(sorted(schema.login_names))
    return look.failed(
        f"nobody has this login, by {known}",
        "if one of these is meant: they log in by the attributes above; else name the right one in"
        " directory.login_attributes",
        shortened(lines, 3),
    )


def _without_kind(by_login: Filter) -> Filter:
    """What of ``Schema.by_login`` is about the login."""
    assert isinstance(by_login, And)
    return by_login.operands[1]


def matched_by(wanted: Filter, entry: Entry) -> tuple[str, ...]:
    """The attributes by which an entry is what was asked for, as far as that can be seen."""
    names = []
    for each in _equals(wanted):
        try:
            if matches(each, entry.attributes):
                names.append(each.attribute)
        except FilterSyntax:
            continue
    return tuple(dict.fromkeys(names))


def _by(wanted: Filter, entry: Entry) -> str:
    return ", ".join(matched_by(wanted, entry)) or "what the server compares alone"


def _equals(wanted: Filter) -> Iterator[Equal]:
    match wanted:
        case Equal():
            yield wanted
        case And(operands) | Or(operands):
            for each in operands:
                yield from _equals(each)
        case Not():
            return


def same_elsewhere(found: list[Entry], entry: Entry, look: Look) -> Step:
    """Whether another server has the same person."""
    if len(found) == 1 and found[0].dn.casefold() == entry.dn.casefold():
        return look.ok("finds the same entry")
    names = ", ".join(shown(each.dn) for each in found[:3]) or "nobody"
    return look.warning(
        f"finds {names}", "this server is behind the others, or has other rights: look at"
        " replication there",
    )  # fmt: skip
