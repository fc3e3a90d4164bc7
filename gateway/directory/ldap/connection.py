"""One connection to one LDAP server; the only file that imports ldap3.

Owns what keeps ldap3 2.9.1 safe: no referrals followed (SECURITY F3, L6), no schema downloads
(L13), TLS by our own context with the name checked by ssl itself (L7), outcomes decided on the
result code of the expected response alone (F2, L15), every exception turned into LdapFailed (L23),
which never holds a secret. One connection has its own Server object and belongs to one thread
(L11). A connection binds once: as the service account, or as a person and is then closed.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ldap3
from ldap3.core.exceptions import LDAPException

from gateway.core.log_text import shown
from gateway.directory.entries import Entry
from gateway.directory.ldap.asking import LdapFailed
from gateway.directory.ldap.guard import Guard, GuardedSocket
from gateway.directory.ldap.settings import LdapUri

SUBTREE = ldap3.SUBTREE
BASE = ldap3.BASE


@dataclass(frozen=True, slots=True)
class BindResult:
    """A BindResponse (RFC 4511 section 4.2.2)."""

    code: int
    diagnostic: str


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A finished search; references to other servers are left out."""

    code: int
    diagnostic: str
    entries: tuple[Entry, ...]


class _VerifiedTls(ldap3.Tls):
    """ldap3's TLS settings with the wrapping replaced by our context."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        connection.socket.start_tls(self._context, connection.server.host)


class _Connection(ldap3.Connection):
    """ldap3's connection whose sockets are all guarded, from the first octet on."""

    guard: Guard
    _guarded: GuardedSocket | None = None

    @property
    def socket(self) -> GuardedSocket | None:
        return self._guarded

    @socket.setter
    def socket(self, new: socket.socket | None) -> None:
        # ldap3 forgets to close the socket of an address that did not answer.
        if self._guarded is not None:
            self._guarded.close()
        self._guarded = GuardedSocket(new, self.guard) if new is not None else None


class LdapConnection:
    """A connection with its bind. Blocking; every method raises LdapFailed for any trouble.

    Args:
        uri: the server.
        context: TLS settings; None only for clear text.
        start_tls: switch to TLS first.
        dn: who binds; empty: anonymous.
        password: octets as typed (SECURITY L14: as str, ldap3 would change them).
        guard: the bounds of opening and binding.
    """

    def __init__(
        self,
        uri: LdapUri,
        *,
        context: ssl.SSLContext | None,
        start_tls: bool,
        dn: str,
        password: bytes,
        guard: Guard,
    ) -> None:
        # RFC 4513 section 5.1.2: a DN without a password "succeeds" as anonymous (SECURITY L1).
        if bool(dn) != bool(password):
            raise LdapFailed("a bind needs a DN and a password, or neither")
        self.uri = uri
        self._encrypted = uri.implicit_tls or start_tls
        if self._encrypted and context is None:
            raise LdapFailed("no TLS settings")  # ldap3's own would verify nothing
        host = f"[{uri.host}]" if ":" in uri.host else uri.host
        scheme = "ldaps" if uri.implicit_tls else "ldap"
        server = ldap3.Server(
            f"{scheme}://{host}:{uri.port}",
            get_info=ldap3.NONE,
            allowed_referral_hosts=[],
            tls=_VerifiedTls(context) if context is not None else None,
        )
        self._connection = _Connection(
            server,
            user=dn or None,
            password=password or None,
            authentication=ldap3.SIMPLE if dn else ldap3.ANONYMOUS,
            auto_bind=ldap3.AUTO_BIND_NONE,
            client_strategy=ldap3.SYNC,
            auto_referrals=False,
            auto_range=False,
            check_names=False,
            auto_escape=False,
            auto_encode=False,
            raise_exceptions=False,
            return_empty_attributes=False,
            receive_timeout=None,
        )
        self._connection.guard = guard
        try:
            self._open(start_tls)
        except Exception as error:
            reason = self._describe("connecting", error)
        else:
            return
        self.close()
        raise LdapFailed(reason)

    def _open(self, start_tls: bool) -> None:
        self._connection.open(read_server_info=False)
        if start_tls and self._connection.start_tls(read_server_info=False) is not True:
            raise LdapFailed("StartTLS was not done")
        # Not ldap3's word for it: no password leaves unless the socket itself speaks TLS.
        guarded = self._connection.socket
        if guarded is None or (self._encrypted and not isinstance(guarded.raw, ssl.SSLSocket)):
            raise LdapFailed("the connection is not encrypted")
        guarded.raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    @property
    def protection(self) -> str:
        """How the connection is protected, for people."""
        guarded = self._connection.socket
        if guarded is not None and isinstance(guarded.raw, ssl.SSLSocket):
            return guarded.raw.version() or "TLS"
        return "clear text"

    def bind(self) -> BindResult:
        """Send the bind, once."""
        reason = ""
        try:
            self._connection.bind(read_server_info=False)
            result = self._connection.result
            if result["type"] != "bindResponse":
                raise LdapFailed(f"a {result['type']} answered a bind")
            code = int(result["result"])
            if (code == 0) is not (self._connection.bound is True):
                raise LdapFailed("the connection's state contradicts the server's answer")
            return BindResult(code, str(result.get("message") or "")[:300])
        except Exception as error:
            reason = self._describe("binding", error)
        finally:
            # ldap3 keeps the request, password included.
            self._connection.password = None
            self._connection.request = None
        self.close()
        raise LdapFailed(reason)

    def search(
        self,
        base: str,
        scope: str,
        wanted: str,
        attributes: Sequence[str],
        guard: Guard,
        most: int = 2,
    ) -> SearchResult:
        """At most so many entries.

        Args:
            wanted: filter as RFC 4515 text.
            most: two where one is looked for: more are as bad as a thousand (SECURITY L5).
        """
        reason = ""
        try:
            self._use(guard)
            self._connection.search(
                base,
                wanted,
                search_scope=scope,
                dereference_aliases=ldap3.DEREF_NEVER,
                attributes=list(attributes),
                size_limit=most,
                time_limit=max(1, int(guard.left_s())),
            )
            result = self._connection.result
            if result["type"] != "searchResDone":
                raise LdapFailed(f"a {result['type']} answered a search")
            entries = tuple(
                _entry(item)
                for item in self._connection.response or ()
                if item["type"] == "searchResEntry"
            )
            return SearchResult(
                int(result["result"]), str(result.get("message") or "")[:300], entries
            )
        except Exception as error:
            reason = self._describe("searching", error)
        self.close()
        raise LdapFailed(reason)

    def close(self, guard: Guard | None = None) -> None:
        """Close at once; with a guard, say goodbye first (RFC 4511 section 4.3)."""
        guarded = self._connection.socket
        if guarded is None:
            return
        if guard is not None:
            with contextlib.suppress(Exception):
                self._use(guard)
                self._connection.unbind()
        guarded.close()

    def _use(self, guard: Guard) -> None:
        self._connection.guard = guard
        if self._connection.socket is None:
            raise LdapFailed("the connection is closed")
        self._connection.socket.use(guard)

    def _describe(self, doing: str, error: Exception) -> str:
        text = type(error).__name__
        if isinstance(error, LdapFailed):
            text = error.reason
        elif isinstance(error, OSError | LDAPException):
            # Other errors (of pyasn1, say) may quote the octets they choked on: the password.
            text += f": {shown(str(error), 300)}"
        return f"{self.uri.text}: {doing}: {text}"


def _entry(item: Any) -> Entry:
    dn = bytes(item["raw_dn"]).decode("utf-8")
    attributes = {
        str(name).lower(): tuple(map(bytes, values))
        for name, values in item["raw_attributes"].items()
    }
    return Entry(dn, attributes)
