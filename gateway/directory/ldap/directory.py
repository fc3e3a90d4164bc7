"""People from an LDAP server: found by the service account, proved by a bind as the person.

Owns the order of things: check what was typed, search for exactly one entry, bind with its DN on a
fresh connection (SECURITY L3, L11), and what each outcome means. Whoever is not found costs a bind
as well (A6). A deadline on the reactor's side cuts off every operation, so that no caller waits for
a thread that hangs in a name look-up or a dripping server (L10).

Never binds with an empty password, never tells strangers why. Limits: ``LdapSettings``.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.directory_health import DirectoryHealth
from gateway.core.errors import (
    DirectoryMistake,
    DirectoryUnavailable,
    ExpansionFailed,
    WrongCredentials,
)
from gateway.core.group import Group
from gateway.core.ids import AccountId
from gateway.core.log_text import shown
from gateway.core.login_secret import LoginSecret, SecretKind
from gateway.core.ports.clock import CallFromThread, Timers
from gateway.core.ports.may_ask import MayAsk
from gateway.directory.at_once import at_once
from gateway.directory.entries import account_from, has_address
from gateway.directory.groups.around import groups_around
from gateway.directory.groups.asking import Ambiguous, is_group, owner_among
from gateway.directory.groups.resolving import group_from
from gateway.directory.ldap.asking import LdapFailed
from gateway.directory.ldap.groups import ServerEntries
from gateway.directory.ldap.guard import Guard
from gateway.directory.ldap.results import Verdict, reason_of, verdict_of
from gateway.directory.ldap.settings import LdapSettings, checked_tls_context
from gateway.directory.ldap.worker import LdapWorker
from gateway.directory.ldap.worker_asks import WorkerAsks
from gateway.directory.logins import check_offer, login_is_possible, wanted_person
from gateway.directory.scram_values import verifier_in
from gateway.directory.threads import WorkerThreads
from gateway.wire.ldap.filters import Filter

T = TypeVar("T")

CLOSE_LIMIT_S = 5.0

SCRAM_ONLY = frozenset((SecretKind.SCRAM,))
NO_SECRETS: frozenset[SecretKind] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of a login: the account, or None and the reason for the log."""

    account: Account | None
    reason: str = ""


class LdapDirectory:
    """A directory behind LDAP servers. The constructor opens no connection.

    Args:
        settings: see there.
        call_from_thread: hands results to the reactor thread.
        timers: for the deadlines.
        monotonic: seconds that never jump, callable from any thread.

    Raises:
        SettingsError: the settings contradict themselves or would send passwords unprotected.
    """

    log = Logger()

    def __init__(
        self,
        settings: LdapSettings,
        *,
        call_from_thread: CallFromThread,
        timers: Timers,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._timers = timers
        self._worker = LdapWorker(settings, checked_tls_context(settings), monotonic)
        self._threads = WorkerThreads(
            "ldap",
            threads=settings.threads,
            waiting=settings.waiting,
            call_from_thread=call_from_thread,
            leaving=self._worker.leave,
        )
        self._running: set[Guard] = set()
        self._closed = False

    async def find_by_address(self, address: Address) -> Account | None:
        wanted = self._settings.schema.by_address(address)
        account = await self._run("finding an address", partial(self._find, wanted))
        if account is None or not has_address(account.addresses, address):
            return None
        return account

    async def find(self, login_or_address: str) -> Account | None:
        wanted = wanted_person(login_or_address, self._settings.schema)
        if wanted is None:
            return None
        return await self._run("finding a person", partial(self._find, wanted))

    async def find_recipient(self, addresses: Sequence[Address]) -> Account | Group | None:
        wanted = self._settings.schema.recipients(addresses)
        work = partial(self._find_recipient, tuple(addresses), wanted)
        return await self._run("finding a recipient", work)

    async def find_group(self, address: Address) -> Group | None:
        schema = self._settings.schema
        if schema.group is None:
            return None
        wanted = schema.groups((address,))
        found = await self._run(
            "finding a group", partial(self._find_recipient, (address,), wanted)
        )
        return found if isinstance(found, Group) else None

    async def groups_of(self, account: Account) -> Sequence[Group]:
        return await self._run("finding groups", partial(self._groups_of, account))

    async def find_by_id(self, account_id: AccountId) -> Account | None:
        wanted = self._settings.schema.by_id(account_id)
        account = await self._run("finding a person", partial(self._find, wanted))
        return account if account is not None and account.account_id == account_id else None

    async def people(self, after: str, limit: int, *, directory: str = "") -> Sequence[Account]:
        # Servers have no order to go on in, and a page would have to begin anew each time.
        raise DirectoryUnavailable(
            "people are listed from the picture of the directory; expected directory.picture = true"
        )

    async def find_by_certificate(self, name: str) -> Account | None:
        schema = self._settings.schema
        if not schema.certificate_attribute:
            return await self.find(name)
        if not login_is_possible(name):
            return None
        wanted = schema.by_certificate(name)
        return await self._run("finding a certificate's owner", partial(self._find, wanted))

    def secret_kinds(self) -> frozenset[SecretKind]:
        return SCRAM_ONLY if self._settings.schema.secret_attribute else NO_SECRETS

    def common_secret_kinds(self) -> frozenset[SecretKind]:
        return NO_SECRETS  # nobody has looked at all entries

    async def secret(self, login: str) -> LoginSecret | None:
        if not self._settings.schema.secret_attribute or not login_is_possible(login):
            return None
        return await self._run("finding a secret", partial(self._secret, login))

    async def authenticate(
        self, login: str, password: bytes, may_ask: MayAsk | None = None
    ) -> Account:
        check_offer(login, password)
        outcome = await self._run("logging in", partial(self._log_in, login, password))
        if outcome.account is None:
            self.log.info(
                "login {login} refused: {reason}", login=shown(login), reason=outcome.reason
            )
            raise WrongCredentials
        return outcome.account

    async def probe(self) -> str:
        return await self._run("probing", self._worker.probe)

    def health(self) -> Sequence[DirectoryHealth]:
        return ()  # nobody keeps count of the servers

    async def close(self) -> None:
        self._closed = True
        for guard in self._running:
            guard.cut_off()
        ended = self._threads.close()
        timer = self._timers.callLater(CLOSE_LIMIT_S, ended.cancel)
        try:
            await ended
        except CancelledError:
            self.log.warn("LDAP threads still hang; left behind")
        if timer.active():
            timer.cancel()

    # -- on the reactor thread

    async def _run(self, doing: str, work: Callable[[Guard], T]) -> T:
        """Run ``work`` in a thread under a new guard and the reactor's deadline."""
        if self._closed:
            raise DirectoryUnavailable(reason="closed")
        guard = self._worker.new_guard()
        pending = self._threads.submit(partial(work, guard))
        timer = self._timers.callLater(
            self._settings.operation_timeout_s, self._expire, guard, pending
        )
        self._running.add(guard)
        reason = ""
        failure: type[DirectoryUnavailable] = DirectoryUnavailable
        try:
            return await pending
        except CancelledError:
            if not guard.over:  # by the caller: the connection it served is gone
                guard.cut_off()
                raise
            reason = "the directory did not answer in time"
        except ExpansionFailed as error:
            self.log.error("LDAP, {doing}: {error}", doing=doing, error=error)
            raise
        except LdapFailed as error:
            reason = error.reason
        except Ambiguous as error:
            reason = f"ambiguous, nobody gets it: {error.names}"
            failure = DirectoryMistake
        except DirectoryUnavailable as error:
            reason = str(error.fields)
            failure = type(error)
        except Exception:
            self.log.failure("LDAP, {doing}: unexpected error", doing=doing)
            reason = "unexpected error"
        finally:
            self._running.discard(guard)
            if timer.active():
                timer.cancel()
        # Out of the handlers: the new error carries no traceback with somebody's password in it.
        self.log.error("LDAP, {doing}: {reason}", doing=doing, reason=reason)
        raise failure(reason=reason)

    @staticmethod
    def _expire(guard: Guard, pending: Deferred[object]) -> None:
        guard.cut_off()
        pending.cancel()

    # -- in the threads

    def _find(self, wanted: Filter, guard: Guard) -> Account | None:
        entry = self._worker.search_one(wanted, guard)
        return account_from(entry, self._settings.schema) if entry is not None else None

    def _secret(self, login: str, guard: Guard) -> LoginSecret | None:
        schema = self._settings.schema
        wanted = schema.by_login(login)
        try:
            entry = self._worker.search_one(wanted, guard, schema.requested_with_secret)
        except Ambiguous as error:
            self.log.error(
                "login {login} is ambiguous: {names}", login=shown(login), names=str(error)
            )
            return None
        if entry is None:
            return None
        verifier = verifier_in(entry.attributes.get(schema.secret_attribute.lower(), ()))
        if verifier is None:
            return None
        return LoginSecret(account_from(entry, schema), verifier=verifier)

    def _entries(self, guard: Guard) -> ServerEntries:
        settings = self._settings
        asks = WorkerAsks(self._worker, guard, settings.reply_limit_octets)
        return ServerEntries(asks, settings.base_dn, settings.schema)

    def _find_recipient(
        self, addresses: Sequence[Address], wanted: Filter, guard: Guard
    ) -> Account | Group | None:
        schema = self._settings.schema
        entries = self._entries(guard)
        entry = owner_among(at_once(entries.having(addresses, wanted)), addresses, schema)
        if entry is None:
            return None
        if is_group(entry, schema):
            return at_once(group_from(entry, schema, entries))
        return account_from(entry, schema)

    def _groups_of(self, account: Account, guard: Guard) -> Sequence[Group]:
        entries = self._entries(guard)
        return at_once(groups_around(account, self._settings.schema, entries))

    def _log_in(self, login: str, password: bytes, guard: Guard) -> Outcome:
        schema = self._settings.schema
        reason = "unknown"
        entry = None
        try:
            entry = self._worker.search_one(schema.by_login(login), guard)
        except Ambiguous as error:
            reason = f"ambiguous, nobody gets it: {error.names}"
        account = account_from(entry, schema) if entry is not None else None
        # Unknown people cost the same operations: a bind that no server can accept (SECURITY A6).
        nobody = f"uid={secrets.token_hex(8)},{self._settings.base_dn}"
        result = self._worker.bind(entry.dn if entry is not None else nobody, password, guard)
        verdict = verdict_of(result.code)
        if verdict is Verdict.NONE:
            diagnostic = shown(result.diagnostic, 200)
            raise LdapFailed(f"binding: result code {result.code}: {diagnostic}")
        if account is None:
            return Outcome(None, reason)
        if verdict is Verdict.WRONG:
            return Outcome(None, reason_of(result.code, result.diagnostic))
        if not account.enabled:
            return Outcome(None, "disabled")
        return Outcome(account)
