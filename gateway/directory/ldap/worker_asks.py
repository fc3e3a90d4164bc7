"""The blocking worker as what asks servers, for the work of one thread under one guard.

Owns the step between the two: answers are there when a search returns, so nothing waits. Knows no
controls, so what needs pages is cut off by the server's size limit and said so.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.directory.ldap.asking import BindAnswer, Found, LdapFailed, Listening
from gateway.directory.ldap.guard import Guard
from gateway.directory.ldap.worker import LdapWorker
from gateway.wire.ldap.messages import Control, Result, SearchEntry, SearchRequest


class WorkerAsks:
    """Implements ``asking.Asks`` but for binds and listening."""

    def __init__(self, worker: LdapWorker, guard: Guard, reply_octets: int) -> None:
        self._worker = worker
        self._guard = guard
        self._reply_octets = reply_octets

    async def search(self, request: SearchRequest, controls: Sequence[Control] = ()) -> Found:
        self._guard.allow(self._reply_octets)
        found = self._worker.ask(request, self._guard)
        entries = tuple(SearchEntry(each.dn, each.attributes) for each in found.entries)
        return Found(Result(found.code, diagnostic=found.diagnostic), entries)

    async def bind(self, dn: str, password: bytes) -> BindAnswer:
        raise LdapFailed("binds go their own way")

    async def listening(self) -> Listening:
        raise LdapFailed("more entries than fit one answer")

    async def close(self) -> None:
        return
