"""The desk that says whose login and password these are: from memory, by the directory, or by what
is kept for when it is away.

Owns the order, and what each answer does to what is remembered, kept and counted of the person. A
login that worked a moment ago asks nobody (``remembered``). Otherwise the directory is asked, which
asks back before it tries a password (``person_budget``). What it says is final; only when it says
nothing the password that worked last may stand in (``outage``). Never tells why to anybody but the
log and the administrator; never keeps a password.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gateway.auth.credentials import PasswordLogin
from gateway.auth.keeping import Keeper
from gateway.auth.outage import OutageLogins
from gateway.auth.person_budget import Permit, PersonBudget
from gateway.auth.remembered import RememberedLogins
from gateway.core.account import Account
from gateway.core.errors import (
    DirectoryMistake,
    DirectoryUnavailable,
    GatewayError,
    NotAsKept,
    WrongCredentials,
)
from gateway.core.ids import AccountId
from gateway.core.login_reasons import LoginReason
from gateway.core.ports.clock import WallClock
from gateway.core.ports.kept_passwords import Refusal, Refusals
from gateway.core.ports.may_ask import MayAsk

MAX_NOTING = 100


class AsksDirectory(Protocol):
    """What is needed of a directory; see ``core.ports.directory``."""

    async def authenticate(
        self, login: str, password: bytes, may_ask: MayAsk | None = None
    ) -> Account: ...

    async def find(self, login_or_address: str) -> Account | None: ...

    async def find_by_id(self, account_id: AccountId) -> Account | None: ...


@dataclass(frozen=True, slots=True)
class Aids:
    """What the desk has besides the directory.

    Args:
        is_known: whether a login has worked lately from around an address.
        outage, keeper: None: nothing is kept for outages.
        refusals: where it is noted why people were refused; None: nowhere.
    """

    budget: PersonBudget
    remembered: RememberedLogins
    is_known: Callable[[str, str], bool]
    wall_clock: WallClock
    outage: OutageLogins | None = None
    keeper: Keeper | None = None
    refusals: Refusals | None = None


class PasswordDesk:
    """Checks passwords that are the directory's."""

    log = Logger()

    def __init__(self, directory: AsksDirectory, aids: Aids) -> None:
        self._directory = directory
        self._aids = aids
        self._noting = 0

    async def account(self, came: PasswordLogin) -> Account:
        """Whose they are.

        Raises:
            WrongCredentials: nobody's who may log in; with the reason.
            DirectoryUnavailable: nobody can say; NotAsKept where a guess was made.
        """
        aids = self._aids
        remembered = aids.remembered.account(came.login, came.password)
        if remembered is not None:
            return remembered
        permit = aids.budget.permit(came.password, known=aids.is_known(came.peer_ip, came.login))
        try:
            account = await self._directory.authenticate(came.login, came.password, permit)
            if not account.enabled:
                # The port promises it already; a directory that forgets must not open the door.
                raise WrongCredentials(
                    LoginReason.DISABLED, proven=True, account_id=account.account_id
                )
        except WrongCredentials as error:
            permit.wrong(error)
            self._refused(error, came)
            raise
        except DirectoryUnavailable as error:
            permit.unsaid()
            trouble = error
        except BaseException:
            permit.unsaid()
            raise
        else:
            permit.right()
            aids.remembered.remember(came.login, account, came.password)
            if aids.keeper is not None:
                aids.keeper.confirmed(account.account_id, came.password)
            if aids.outage is not None:
                aids.outage.answered()
            return account
        return await self._without_directory(came, permit, trouble)

    async def _without_directory(
        self, came: PasswordLogin, permit: Permit, trouble: DirectoryUnavailable
    ) -> Account:
        aids = self._aids
        if permit.locked and permit.is_news:
            self._note(permit.whose, LoginReason.LOCKED, came)
        # A mistake in the directory is no outage: nothing that is kept may stand in for it.
        if aids.outage is None or isinstance(trouble, DirectoryMistake) or permit.locked:
            raise trouble
        account = await self._last_seen(came.login, permit)
        if account is not None and not aids.budget.may_try_kept(
            account.account_id, known=permit.known
        ):
            account = None  # whoever guesses on learns nothing, not even that (SECURITY A6)
        try:
            return await aids.outage.log_in(came.login, account, came.password, known=permit.known)
        except NotAsKept:
            if account is not None:
                aids.budget.kept_was_wrong(account.account_id)
            raise

    async def _last_seen(self, login: str, permit: Permit) -> Account | None:
        try:
            if permit.account_id is not None:
                return await self._directory.find_by_id(permit.account_id)
            return await self._directory.find(login)
        except DirectoryUnavailable:
            return None

    def _refused(self, error: WrongCredentials, came: PasswordLogin) -> None:
        aids, account_id = self._aids, error.account_id
        if account_id is None:
            return
        aids.remembered.forget(account_id)
        if aids.keeper is not None:
            aids.keeper.refused(error, came.password)
        # Repeats say nothing new, and there may be many of them.
        if error.reason is not LoginReason.WRONG_AGAIN:
            self._note(account_id, error.reason, came)

    def _note(self, account_id: AccountId, reason: LoginReason, came: PasswordLogin) -> None:
        aids = self._aids
        if aids.refusals is None or self._noting >= MAX_NOTING:
            return
        self._noting += 1
        refusal = Refusal(int(aids.wall_clock()), reason, came.protocol, came.peer_ip)
        Deferred.fromCoroutine(self._noted(aids.refusals.note(account_id, refusal)))

    async def _noted(self, noting: Coroutine[Deferred[Any], Any, None]) -> None:
        try:
            await noting
        except GatewayError as error:
            self.log.warn("a refused login is not noted: {error}", error=str(error))
        finally:
            self._noting -= 1
