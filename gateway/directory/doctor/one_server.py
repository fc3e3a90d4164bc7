"""One server of a directory, asked over one connection: the doctor's own way to it.

Owns that connection and the shapes by which others ask over it (``Asks``, ``Listening``), so that
what the gateway does at its servers can be done at exactly this one. No pool, no breaker, no second
try: what goes wrong is what is to be seen. A person binds on a connection of its own, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.directory.ldap.asking import BindAnswer, Found, Heard, LdapFailed, Server
from gateway.directory.ldap.dialogue import Dialogue
from gateway.directory.ldap.member import ROOT_DSE
from gateway.directory.ldap.opening import Limits, Opened, Opener, Place
from gateway.wire.ldap.controls import ASK_FOR_POLICY
from gateway.wire.ldap.messages import BindRequest, Control, SearchEntry, SearchRequest

_HIDDEN = SearchEntry("", {})


class OneServer:
    """Implements ``Asks`` and ``Listening``.

    Args:
        place: with an address in the place of a name.
        opened: the connection, not bound yet.
        limits: of it and of others that are opened.
        deadline_s: of one question.
    """

    def __init__(
        self, place: Place, opened: Opened, opener: Opener, limits: Limits, deadline_s: float
    ) -> None:
        self.place = place
        self.link: Dialogue = opened.dialogue
        self.server = Server(
            place.name, _HIDDEN, protection=opened.protection.protocol or "clear text"
        )
        self._opener = opener
        self._limits = limits
        self._deadline_s = deadline_s

    async def look_at_root(self) -> SearchEntry | None:
        """What it shows of itself; None: nothing.

        Raises: LdapFailed.
        """
        found = await self.search(ROOT_DSE)
        if len(found.entries) != 1:
            return None
        self.server = replace(self.server, root=found.entries[0])
        return found.entries[0]

    def is_bound(self, who: str) -> None:
        self.server = replace(self.server, bound=who)

    async def search(
        self,
        request: SearchRequest,
        controls: Sequence[Control] = (),
        *,
        heard: Heard | None = None,
    ) -> Found:
        return await self.link.search(
            request,
            controls,
            deadline_s=self._deadline_s,
            reply_limit_octets=self._limits.message_limit_octets,
            heard=heard,
        )

    async def bind(self, dn: str, password: bytes) -> BindAnswer:
        if not dn or not password:
            # RFC 4513 section 5.1.2: such a bind "succeeds" and proves nothing (SECURITY L1).
            raise LdapFailed("a bind needs a DN and a password")
        opened = await self._opener.open(self.place, self._limits)
        try:
            return await opened.dialogue.bind(
                BindRequest(dn, password), (ASK_FOR_POLICY,), deadline_s=self._deadline_s
            )
        finally:
            opened.dialogue.close()

    async def listening(self) -> OneServer:
        return self

    async def close(self) -> None:
        """For whoever was given it to ask; the connection is the doctor's."""

    def hang_up(self) -> None:
        self.link.close()
