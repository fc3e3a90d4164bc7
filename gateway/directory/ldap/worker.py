"""The blocking side of the LDAP directory, run in worker threads only.

Owns one kept connection per thread, bound as the service account and never as anybody else, the
order of servers, and what is tried again: a search on a kept connection that proves dead is tried
once on a fresh one (SECURITY L9); a person's bind is sent once, and only reaching a server may move
on to the next. Never decides who is who (see ``ldap``), never logs.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Sequence

from gateway.core.log_text import shown
from gateway.directory.entries import Entry
from gateway.directory.groups.asking import Ambiguous
from gateway.directory.ldap.asking import LdapFailed
from gateway.directory.ldap.connection import (
    BASE,
    SUBTREE,
    BindResult,
    LdapConnection,
    SearchResult,
)
from gateway.directory.ldap.guard import Guard
from gateway.directory.ldap.results import (
    SIZE_LIMIT_EXCEEDED,
    SUCCESS,
    Verdict,
    reason_of,
    verdict_of,
)
from gateway.directory.ldap.settings import LdapSettings, LdapUri, parse_uri
from gateway.wire.ldap.filters import Filter
from gateway.wire.ldap.messages import Scope, SearchRequest

GOODBYE_LIMIT_S = 1.0
_SCOPES = {Scope.BASE: BASE, Scope.ONE: "LEVEL", Scope.SUBTREE: SUBTREE}


class _Kept(threading.local):
    """The calling thread's connection, when it was last used, and the server that answered."""

    connection: LdapConnection | None = None
    used_at: float = 0.0
    uri: LdapUri | None = None


class LdapWorker:
    """Searches and binds; may be used from many threads at once."""

    def __init__(
        self,
        settings: LdapSettings,
        context: ssl.SSLContext | None,
        monotonic: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._context = context
        self._monotonic = monotonic
        self._uris = tuple(map(parse_uri, settings.uris))
        self._kept = _Kept()
        self._refused_until = float("-inf")

    def new_guard(self) -> Guard:
        return self._guard(self._settings.operation_timeout_s)

    def _guard(self, limit_s: float) -> Guard:
        return Guard(
            limit_s=limit_s,
            connect_limit_s=self._settings.connect_timeout_s,
            reply_limit_octets=self._settings.reply_limit_octets,
            monotonic=self._monotonic,
        )

    def ask(self, request: SearchRequest, guard: Guard) -> SearchResult:
        """Any search; any result code comes back. Raises: LdapFailed (no usable answer)."""
        return self._search(
            request.base,
            _SCOPES[request.scope],
            str(request.wanted),
            request.attributes,
            guard,
            request.most,
            judged=False,
        )

    def search_one(
        self, wanted: Filter, guard: Guard, attributes: Sequence[str] = ()
    ) -> Entry | None:
        """The one entry that matches.

        Args:
            attributes: what it must bring; empty: what an account needs.

        Raises:
            Ambiguous: more than one does.
            LdapFailed: no usable answer.
        """
        settings = self._settings
        requested = attributes or settings.schema.requested
        result = self._search(settings.base_dn, SUBTREE, str(wanted), requested, guard)
        # The server was asked for two at most; "more than that" is ambiguous too (SECURITY L5).
        if len(result.entries) > 1 or result.code == SIZE_LIMIT_EXCEEDED:
            raise Ambiguous(", ".join(shown(entry.dn) for entry in result.entries))
        if not result.entries:
            return None
        if not result.entries[0].dn:
            raise LdapFailed("an entry without a DN was found")
        return result.entries[0]

    def bind(self, dn: str, password: bytes, guard: Guard) -> BindResult:
        """Bind as a person on a connection of its own, which is closed afterwards.

        Raises:
            LdapFailed: no server was reached, or the one that was gave no answer.
        """
        first = self._kept.uri
        reasons = []
        for uri in sorted(self._uris, key=lambda uri: uri != first):
            try:
                connection = self._connect(uri, dn, password, guard)
            except LdapFailed as error:
                reasons.append(error.reason)
                if guard.over:
                    break
                continue
            try:
                return connection.bind()
            finally:
                connection.close(guard)
        raise LdapFailed("; ".join(reasons))

    def probe(self, guard: Guard) -> str:
        """What answers, on a fresh connection."""
        connection = self._open_service(guard)
        try:
            base = self._settings.base_dn
            result = connection.search(base, BASE, "(objectClass=*)", ("1.1",), guard)
            protection = connection.protection
        finally:
            connection.close(guard)
        if result.code != SUCCESS or not result.entries:
            raise LdapFailed(f"base_dn {shown(base)} cannot be read: result code {result.code}")
        who = f"as {self._settings.bind_dn}" if self._settings.bind_dn else "anonymously"
        return f"{connection.uri.text}: bound {who}, {base} found, {protection}"

    def leave(self) -> None:
        """The calling thread ends: close what it kept."""
        self._drop()

    # -- the service account's connection

    def _search(
        self,
        base: str,
        scope: str,
        wanted: str,
        attributes: Sequence[str],
        guard: Guard,
        most: int = 2,
        *,
        judged: bool = True,
    ) -> SearchResult:
        kept = self._kept
        age_s = self._monotonic() - kept.used_at
        if kept.connection is not None and age_s >= self._settings.idle_limit_s:
            self._drop()
        if kept.connection is not None:
            try:
                result = kept.connection.search(base, scope, wanted, attributes, guard, most)
            except LdapFailed:
                kept.connection = None
                if guard.over:
                    raise
            else:
                return self._judged(result) if judged else result
        kept.connection = connection = self._open_service(guard)
        kept.uri = connection.uri
        try:
            result = connection.search(base, scope, wanted, attributes, guard, most)
        except LdapFailed:
            kept.connection = None
            raise
        return self._judged(result) if judged else result

    def _judged(self, result: SearchResult) -> SearchResult:
        if result.code not in (SUCCESS, SIZE_LIMIT_EXCEEDED):
            self._drop()
            diagnostic = shown(result.diagnostic, 200)
            raise LdapFailed(f"searching: result code {result.code}: {diagnostic}")
        self._kept.used_at = self._monotonic()
        return result

    def _drop(self) -> None:
        connection, self._kept.connection = self._kept.connection, None
        if connection is not None:
            connection.close(self._guard(GOODBYE_LIMIT_S))

    def _open_service(self, guard: Guard) -> LdapConnection:
        settings = self._settings
        if self._monotonic() < self._refused_until:
            raise LdapFailed("the service account was refused a moment ago; not tried again yet")
        password = settings.bind_password.encode("utf-8")
        reasons = []
        for uri in self._uris:
            try:
                connection = self._connect(uri, settings.bind_dn, password, guard)
                result = connection.bind()
            except LdapFailed as error:
                reasons.append(error.reason)
                if guard.over:
                    break
                continue
            if result.code == SUCCESS:
                return connection
            connection.close(guard)
            why = f"{reason_of(result.code, result.diagnostic)}: {shown(result.diagnostic, 200)}"
            reasons.append(f"{uri.text}: the service account was refused: {why}")
            if verdict_of(result.code) is Verdict.WRONG:
                # Its password is wrong everywhere; trying on would lock it (SECURITY L22).
                self._refused_until = self._monotonic() + settings.refused_pause_s
                break
        raise LdapFailed("; ".join(reasons))

    def _connect(self, uri: LdapUri, dn: str, password: bytes, guard: Guard) -> LdapConnection:
        return LdapConnection(
            uri,
            context=self._context,
            start_tls=self._settings.start_tls,
            dn=dn,
            password=password,
            guard=guard,
        )
