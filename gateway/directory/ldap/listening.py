"""One server for several requests that belong together: a connection of its own.

Owns nothing but the step from a bound connection to ``asking.Listening``.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.directory.ldap.asking import Found, Heard, Server
from gateway.directory.ldap.pool import Link
from gateway.wire.ldap.messages import Control, SearchRequest


class ListeningTo:
    """Implements ``asking.Listening``.

    Args:
        deadline_s: of one answer, or with ``heard`` of silence.
    """

    def __init__(self, server: Server, link: Link, *, deadline_s: float, reply_octets: int) -> None:
        self._server = server
        self._link = link
        self._deadline_s = deadline_s
        self._reply_octets = reply_octets

    @property
    def server(self) -> Server:
        return self._server

    async def search(
        self,
        request: SearchRequest,
        controls: Sequence[Control] = (),
        *,
        heard: Heard | None = None,
    ) -> Found:
        return await self._link.search(
            request,
            controls,
            deadline_s=max(self._deadline_s, request.time_limit_s + 1.0),
            reply_limit_octets=self._reply_octets,
            heard=heard,
        )

    async def close(self) -> None:
        self._link.close()
