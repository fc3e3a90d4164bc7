"""OpenLDAP's change sequence numbers: nothing is asked while contextCSN is what it was.

Owns contextCSN (the newest change of each server that takes writes, on the suffix's entry, as
draft-ietf-ldup-lcup and slapd have it: time#count#server#modification), its comparison, and the way
that works without RFC 4533, as on a replica without the syncprov overlay: entries whose entryCSN is
at least the oldest number that has moved. Who is gone it cannot tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gateway.directory.dn import dn_key
from gateway.directory.ldap.asking import LdapFailed, Listening
from gateway.directory.picture.differ import Differ
from gateway.directory.picture.questions import in_pages, read_one, with_all_values
from gateway.directory.picture.source import Source
from gateway.directory.picture.strategies.way import Learnt, Position, PositionLost, Traits
from gateway.wire.ldap.messages import SearchEntry

CONTEXT_CSN = "contextCSN"
_CSN = re.compile(r"\d{14}\.\d{6}Z#[0-9a-f]{6}#([0-9a-f]{3})#[0-9a-f]{6}\Z")
MAX_SERVERS = 100

Csns = Mapping[str, str]
"""The newest number by server id."""


def csns_of(values: Sequence[str]) -> Csns:
    """Texts that are no numbers are left out."""
    return {match[1]: match[0] for match in map(_CSN.match, values[:MAX_SERVERS]) if match}


def csns_in(text: str) -> Csns:
    """What ``text_of`` made."""
    return csns_of(text.split(";"))


def text_of(csns: Csns) -> str:
    return ";".join(csns[each] for each in sorted(csns))


async def context_csns(listening: Listening, source: Source) -> Csns:
    """Where the server stands; empty: it does not say. Raises: LdapFailed."""
    base = dn_key(source.base)
    suffixes = [
        each
        for each in listening.server.values("namingContexts")
        if base == dn_key(each) or base.endswith(f",{dn_key(each)}")
    ]
    if not suffixes:
        return {}
    entry = await read_one(listening, max(suffixes, key=len), (CONTEXT_CSN,))
    values = entry.attributes.get(CONTEXT_CSN.lower(), ()) if entry is not None else ()
    return csns_of([each.decode("ascii", "replace") for each in values])


def moved(before: Csns, now: Csns) -> tuple[str, ...]:
    """The servers that have written since.

    Raises:
        PositionLost: one of them is not known.
        Behind: the server has less than was known: it was restored, or changes have not reached it.
    """
    if not now:
        raise PositionLost("the server does not tell its contextCSN any more")
    strange = [each for each in now if each not in before]
    if strange:
        raise PositionLost(f"a new server ({strange[0]}) takes writes")
    newer = tuple(each for each in now if now[each] > before[each])
    if not newer and any(each not in now or now[each] < before[each] for each in before):
        raise Behind("the server is behind what is known already")
    return newer


class Behind(LdapFailed):
    """Asked again later, as a replica may catch up; what has been so for long is listed again."""


class AtCsn:
    """What ways by contextCSN share: where the server stands.

    Args:
        csns: as it was asked just now.
    """

    def __init__(self, source: Source, listening: Listening, csns: Csns) -> None:
        self._source = source
        self._listening = listening
        self._csns = csns

    async def begin(self) -> None:
        self._csns = await context_csns(self._listening, self._source)

    def see(self, found: Sequence[SearchEntry]) -> Sequence[SearchEntry]:
        return found


class ByCsn(AtCsn):
    """A Way for one refresh."""

    traits = Traits("csn", sees_gone=False)

    def position(self) -> Position | None:
        return {"csn": text_of(self._csns)} if self._csns else None

    async def changes(self, position: Position, differ: Differ) -> Learnt:
        before = csns_in(position.get("csn", ""))
        newer = moved(before, self._csns)
        if not newer:
            return Learnt(position, quiet=True)
        oldest = min(before[each] for each in newer)
        members = self._source.schema.members

        async def taken(found: Sequence[SearchEntry]) -> None:
            whole = [await with_all_values(self._listening, each, members) for each in found]
            await differ.take(whole)

        await in_pages(self._listening, self._source.since("entryCSN", oldest), taken)
        return Learnt({"csn": text_of({**before, **self._csns})})
