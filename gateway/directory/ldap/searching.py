"""Searches for people below one base, and what their result codes mean.

Owns "exactly one" (SECURITY L5) and the words for result codes that are no answer: configuration,
refusal, another server's affair. Never chooses servers, never binds.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.log_text import escaped, shown
from gateway.directory.entries import Entry
from gateway.directory.groups.asking import Ambiguous
from gateway.directory.ldap.asking import Asks, LdapFailed
from gateway.directory.ldap.results import SIZE_LIMIT_EXCEEDED, SUCCESS
from gateway.wire.ldap.filters import Filter
from gateway.wire.ldap.messages import Result, Scope, SearchRequest

_WORDS = {
    # RFC 4511 section 4.1.9; Active Directory asks so for signing or TLS (SECURITY L24).
    8: "the server demands TLS or signing: use ldaps:// or start_tls",
    10: "the server refers to another one, which is not asked",  # SECURITY L6
    13: "the server demands TLS: use ldaps:// or start_tls",
    32: "directory.base_dn does not exist there, or the service account may not see it",
    34: "directory.base_dn is no DN to the server",
    50: "the service account may not read this",
}


def unusable(doing: str, result: Result) -> LdapFailed:
    """A result code that says nothing of anybody."""
    words = _WORDS.get(result.code)
    code = f"result code {result.code}"
    said = escaped(result.diagnostic, 200)
    return LdapFailed(f"{doing}: {f'{words}; {code}' if words else code}: {said}")


async def search_one(
    asks: Asks, base: str, wanted: Filter, attributes: Sequence[str]
) -> Entry | None:
    """The one entry below the base that matches.

    Raises:
        Ambiguous: more than one does.
        LdapFailed: no usable answer.
    """
    # Two are as bad as a thousand (SECURITY L5).
    request = SearchRequest(base, Scope.SUBTREE, wanted, tuple(attributes), most=2)
    found = await asks.search(request)
    if len(found.entries) > 1 or found.result.code == SIZE_LIMIT_EXCEEDED:
        raise Ambiguous(", ".join(shown(entry.dn) for entry in found.entries[:3]))
    if found.result.code != SUCCESS:
        raise unusable("searching", found.result)
    if not found.entries:
        return None
    entry = found.entries[0]
    if not entry.dn:
        # RFC 4513 section 5.1.2: a bind with it would be an anonymous one (SECURITY L1).
        raise LdapFailed("an entry without a DN was found")
    return Entry(entry.dn, entry.attributes)
