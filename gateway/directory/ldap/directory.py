"""People from LDAP servers: found by the service account, proved by a bind as the person.

Owns the order of things: check what was typed, search for exactly one entry, ask whether its
password may be tried, bind with its DN on a fresh connection (SECURITY L3, L11), and what comes of
it. Whoever is not found costs a bind as well (A6). One deadline is over everything that one call
asks, so that no caller waits for a server (L10).

Never binds with an empty password, never tells strangers why, never blocks. Which server is asked
is ``servers``' affair, what a bind's answer means that of ``results``.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.directory_health import DirectoryHealth
from gateway.core.errors import (
    DirectoryMistake,
    DirectoryUnavailable,
    ExpansionFailed,
    LoginsPaused,
    WrongCredentials,
)
from gateway.core.group import Group
from gateway.core.ids import AccountId
from gateway.core.log_text import shown
from gateway.core.login_reasons import LoginReason
from gateway.core.login_secret import LoginSecret, SecretKind
from gateway.core.ports.clock import Timers, WallClock
from gateway.core.ports.may_ask import MayAsk
from gateway.directory.entries import Entry, account_from, has_address, links_of
from gateway.directory.groups.around import groups_around
from gateway.directory.groups.asking import Ambiguous, TooMany, is_group, owner_among
from gateway.directory.groups.bounds import LIMIT_S
from gateway.directory.groups.resolving import group_from
from gateway.directory.ldap.asking import Asks, LdapFailed
from gateway.directory.ldap.groups import ServerEntries
from gateway.directory.ldap.lockout import Lockouts, password_attributes
from gateway.directory.ldap.patience import within
from gateway.directory.ldap.results import SUCCESS, Verdict, judge
from gateway.directory.ldap.searching import search_one, unusable
from gateway.directory.ldap.seldom import Seldom
from gateway.directory.ldap.windows_domain import WindowsDomain
from gateway.directory.logins import check_offer, login_is_possible, wanted_person
from gateway.directory.schema import Schema
from gateway.directory.scram_values import verifier_in
from gateway.wire.ldap.filters import Filter, Present
from gateway.wire.ldap.messages import Scope, SearchRequest

T = TypeVar("T")

SCRAM_ONLY = frozenset((SecretKind.SCRAM,))
NO_SECRETS: frozenset[SecretKind] = frozenset()


class LdapDirectory:
    """A directory behind LDAP servers.

    Args:
        asks: its servers; closed with it.
        base_dn: people are below it.
        deadline_s: of one call.
        health: how the servers are.
    """

    log = Logger()

    def __init__(
        self,
        asks: Asks,
        *,
        base_dn: str,
        schema: Schema,
        timers: Timers,
        wall_clock: WallClock,
        deadline_s: float,
        health: Callable[[], DirectoryHealth] = DirectoryHealth,
    ) -> None:
        self._asks = asks
        self._base_dn = base_dn
        self._schema = schema
        self._timers = timers
        self._deadline_s = deadline_s
        self._health = health
        self._seldom = Seldom(timers)
        self._closed = False
        self._entries = ServerEntries(asks, base_dn, schema, monotonic=timers.seconds)
        self._lockouts = Lockouts(asks, base_dn, wall_clock=wall_clock, monotonic=timers.seconds)
        self._domain = WindowsDomain(asks, base_dn, schema, timers)
        self._of_logins = (*schema.requested, *password_attributes(schema.id_attribute))

    # -- people and groups

    async def find_by_address(self, address: Address) -> Account | None:
        wanted = self._schema.by_address(address)
        account = await self._run("finding an address", self._find(wanted))
        if account is None or not has_address(account.addresses, address):
            return None
        return account

    async def find(self, login_or_address: str) -> Account | None:
        if not login_is_possible(login_or_address):
            return None
        return await self._run("finding a person", self._called(login_or_address))

    async def find_by_id(self, account_id: AccountId) -> Account | None:
        wanted = self._schema.by_id(account_id)
        account = await self._run("finding a person", self._find(wanted))
        return account if account is not None and account.account_id == account_id else None

    async def find_by_certificate(self, name: str) -> Account | None:
        if not self._schema.certificate_attribute:
            return await self.find(name)
        if not login_is_possible(name):
            return None
        wanted = self._schema.by_certificate(name)
        return await self._run("finding a certificate's owner", self._find(wanted))

    async def people(self, after: str, limit: int, *, directory: str = "") -> Sequence[Account]:
        # Servers have no order to go on in, and a page would have to begin anew each time.
        raise DirectoryUnavailable(
            "people are listed from the picture of the directory; expected directory.picture ="
            " true, and the gateway running"
        )

    async def find_recipient(self, addresses: Sequence[Address]) -> Account | Group | None:
        return await self._recipient(tuple(addresses), self._schema.recipients(addresses))

    async def find_group(self, address: Address) -> Group | None:
        if self._schema.group is None:
            return None
        found = await self._recipient((address,), self._schema.groups((address,)))
        return found if isinstance(found, Group) else None

    async def groups_of(self, account: Account) -> Sequence[Group]:
        around = groups_around(account, self._schema, self._entries)
        return await self._run("finding groups", around)

    # -- logins

    def secret_kinds(self) -> frozenset[SecretKind]:
        return SCRAM_ONLY if self._schema.secret_attribute else NO_SECRETS

    def common_secret_kinds(self) -> frozenset[SecretKind]:
        return NO_SECRETS  # nobody has looked at all entries

    async def secret(self, login: str) -> LoginSecret | None:
        if not self._schema.secret_attribute or not login_is_possible(login):
            return None
        return await self._run("finding a secret", self._secret(login))

    async def authenticate(
        self, login: str, password: bytes, may_ask: MayAsk | None = None
    ) -> Account:
        check_offer(login, password)
        return await self._run("logging in", self._log_in(login, password, may_ask))

    async def _log_in(self, login: str, password: bytes, may_ask: MayAsk | None) -> Account:
        try:
            wanted = (await self._domain.for_login(login)).by_login(login)
            entry = await self._search_one(wanted, self._of_logins)
        except Ambiguous as error:
            self.log.error(
                "login {login} is ambiguous, nobody gets it: {names}",
                login=shown(login),
                names=error.names,
            )
            reason = LoginReason.AMBIGUOUS
        else:
            if entry is not None:
                return await self._prove(login, password, entry, may_ask)
            reason = LoginReason.UNKNOWN
        await self._bind_as_nobody(password)
        self._tell_refusal(login, reason)
        raise WrongCredentials(reason)

    async def _bind_as_nobody(self, password: bytes) -> None:
        """Unknown people cost the same: a bind that no server can accept (SECURITY A6)."""
        nobody = f"uid={secrets.token_hex(8)},{self._base_dn}"
        answer = await self._asks.bind(nobody, password)
        if answer.result.code != SUCCESS and judge(answer).verdict is Verdict.NONE:
            raise unusable("binding", answer.result)

    async def _prove(
        self, login: str, password: bytes, entry: Entry, may_ask: MayAsk | None
    ) -> Account:
        account = account_from(entry, self._schema)
        if may_ask is not None:
            state = await self._lockouts.state_of(entry.attributes)
            await may_ask.allowed(account.account_id, state)
        answer = await self._asks.bind(entry.dn, password)
        judged = judge(answer, account)
        match judged.verdict:
            case Verdict.NONE:
                raise unusable("binding", answer.result)
            case Verdict.WRONG:
                self._tell_refusal(login, judged.reason)
                raise judged.refusal(account)
        if judged.remark:
            self.log.info("login {login}: {remark}", login=shown(login), remark=judged.remark)
        return account

    def _tell_refusal(self, login: str, reason: LoginReason) -> None:
        self.log.info("login {login} refused: {reason}", login=shown(login), reason=reason.words)

    async def _secret(self, login: str) -> LoginSecret | None:
        schema = self._schema
        try:
            wanted = (await self._domain.for_login(login)).by_login(login)
            entry = await self._search_one(wanted, schema.requested_with_secret)
        except Ambiguous as error:
            self.log.error(
                "login {login} is ambiguous: {names}", login=shown(login), names=error.names
            )
            return None
        if entry is None:
            return None
        verifier = verifier_in(entry.attributes.get(schema.secret_attribute.lower(), ()))
        if verifier is None:
            return None
        return LoginSecret(account_from(entry, schema), verifier=verifier)

    # -- the servers

    async def probe(self) -> str:
        return await self._run("probing", self._probe())

    def health(self) -> Sequence[DirectoryHealth]:
        return (self._health(),)

    async def close(self) -> None:
        self._closed = True
        await self._asks.close()

    async def _probe(self) -> str:
        listening = await self._asks.listening()
        try:
            request = SearchRequest(self._base_dn, Scope.BASE, Present("objectClass"), ("1.1",))
            found = await listening.search(request)
        finally:
            await listening.close()
        if found.result.code != SUCCESS or not found.entries:
            raise unusable(f"base_dn {shown(self._base_dn)} cannot be read", found.result)
        server = listening.server
        return f"{server.name}: bound {server.bound}, {self._base_dn} found, {server.protection}"

    async def _called(self, login_or_address: str) -> Account | None:
        schema = await self._domain.for_login(login_or_address)
        wanted = wanted_person(login_or_address, schema)
        return await self._find(wanted) if wanted is not None else None

    async def _find(self, wanted: Filter) -> Account | None:
        entry = await self._search_one(wanted, self._schema.requested)
        return await self._account(entry) if entry is not None else None

    async def _account(self, entry: Entry) -> Account:
        """With the entries that say where the mail is forwarded to."""
        links = links_of(entry, self._schema)
        linked = await self._entries.named(links) if links else {}
        return account_from(entry, self._schema, linked)

    async def _recipient(
        self, addresses: Sequence[Address], wanted: Filter
    ) -> Account | Group | None:
        found = await self._run("finding a recipient", self._found(addresses, wanted))
        if not isinstance(found, Entry):
            return found
        seconds = self._timers.seconds
        work = group_from(
            found, self._schema, self._entries, pause=self._breathe, monotonic=seconds
        )
        # It ends itself, in words that name the group; each of its questions has a deadline.
        return await self._run("resolving a group", work, LIMIT_S + self._deadline_s)

    async def _found(self, addresses: Sequence[Address], wanted: Filter) -> Account | Entry | None:
        """The person, or the entry of the group."""
        schema = self._schema
        entry = owner_among(await self._entries.having(addresses, wanted), addresses, schema)
        if entry is None or is_group(entry, schema):
            return entry
        return account_from(entry, schema)

    async def _breathe(self) -> None:
        """A group of thousands is worked on in pieces."""
        rested: Deferred[None] = Deferred()
        self._timers.callLater(0, rested.callback, None)
        await rested

    async def _search_one(self, wanted: Filter, attributes: Sequence[str]) -> Entry | None:
        return await search_one(self._asks, self._base_dn, wanted, attributes)

    async def _run(
        self, doing: str, work: Coroutine[Deferred[Any], Any, T], deadline_s: float = 0.0
    ) -> T:
        """Under this deadline or that of one call; whatever goes wrong is an error of the port."""
        if self._closed:
            work.close()
            raise DirectoryUnavailable(reason="closed")
        failure: type[DirectoryUnavailable] = DirectoryUnavailable
        try:
            limit_s = deadline_s or self._deadline_s
            late = f"the directory did not answer in {limit_s:g} s"
            return await within(self._timers, limit_s, work, late)
        except (WrongCredentials, LoginsPaused):
            raise
        except ExpansionFailed as error:
            self.log.error("LDAP, {doing}: {error}", doing=doing, error=error)
            raise
        except LdapFailed as error:
            reason = error.reason
        except Ambiguous as error:
            reason = f"ambiguous, nobody gets it: {error.names}"
            failure = DirectoryMistake
        except TooMany:
            reason = "more entries were found than can be"
            failure = DirectoryMistake
        except DirectoryUnavailable as error:
            reason = str(error.fields)
            failure = type(error)
        except CancelledError:
            raise  # whoever asked has gone away
        except Exception:
            self.log.failure("LDAP, {doing}: unexpected error", doing=doing)
            reason = "unexpected error"
        self._seldom.tell(f"LDAP, {doing}: {reason}")
        # From nobody: tracebacks of what went wrong have somebody's password in their frames.
        raise failure(reason=reason) from None
