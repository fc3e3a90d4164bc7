"""A login as every door does it: one conversation, logged, and a refused one answered late.

Owns the steps from AUTH to an avatar, the time that wrong credentials cost and the line about a
login in the log, so that no door and no mechanism is the one at which guessing is fast or goes
unseen (SECURITY A4, A6). Never replies and never counts: each protocol does that in its own words,
and ``auth.throttle`` counts over all connections. The wait is a timer; it holds no thread, and it
ends with the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Protocol

from twisted.cred.portal import Portal
from twisted.logger import Logger

from gateway.auth.login import LoggedIn, log_in
from gateway.auth.login_memory import Attempt
from gateway.auth.mechanisms import exchange, offered
from gateway.auth.sasl import (
    Challenge,
    Exchange,
    Found,
    Offer,
    PasswordOffer,
    ProofOffer,
    SaslError,
    SecretWanted,
    Step,
)
from gateway.core.app_passwords import Place, text_in
from gateway.core.errors import (
    GatewayError,
    LoginsPaused,
    NotAsKept,
    TooManyFailures,
    WrongCredentials,
)
from gateway.core.log_text import escaped, shown
from gateway.core.pause import pause
from gateway.edge.channel import channel_of
from gateway.edge.connection import Door

FAILED_LOGIN_S = 1.0
"""Slow enough for guessing, and far above the differences between one refusal and another."""

MAX_LOGGED_LOGIN = 64
PASSWORD_EXPIRED_TEXT = "your password has expired, set a new one"  # noqa: S105 - a text
CONTACT_ADMIN_TEXT = "your account cannot be used, ask your administrator"

_log = Logger()


class Visitor(Protocol):
    """The connection of somebody who wants to log in."""

    @property
    def door(self) -> Door: ...

    @property
    def connection_id(self) -> str: ...

    @property
    def peer_ip(self) -> str: ...

    @property
    def is_tls(self) -> bool: ...

    @property
    def transport(self) -> Any: ...

    def dismiss(self) -> None: ...

    def abort(self) -> None: ...


def mechanisms(visitor: Visitor) -> tuple[str, ...]:
    """What can work on this connection now, where the door takes logins at all."""
    channel = channel_of(visitor.transport) if visitor.is_tls else None
    return offered(visitor.door.means, channel, over_tls=visitor.is_tls)


class Conversation:
    """One SASL exchange with a client, to its avatar or its refusal.

    Args:
        interface: of ``auth.credentials``.
        failed_login_s: wrong credentials are told no sooner after they came.
    """

    __slots__ = (
        "_attempt", "_exchange", "_failed_login_s", "_interface", "_portal", "_refused", "_visitor",
    )  # fmt: skip

    def __init__(
        self, visitor: Visitor, portal: Portal, interface: Any, *, failed_login_s: float
    ) -> None:
        self._visitor = visitor
        self._portal = portal
        self._interface = interface
        self._failed_login_s = failed_login_s
        self._exchange: Exchange | None = None
        self._attempt: Attempt | None = None
        self._refused = False

    async def begin(self, mechanism: str, initial: bytes | None) -> Challenge | LoggedIn:
        """Start; a Challenge is to be sent, and its answer given to ``go_on``.

        Args:
            initial: as on the wire, None when the client sent none.

        Raises:
            SaslError: the exchange is over, without an offer.
            WrongCredentials, DirectoryUnavailable, StoreUnavailable, TooManyFailures: as
                ``log_in_at_door``.
        """
        visitor = self._visitor
        throttle = visitor.door.means.throttle
        if throttle is not None:
            throttle.admit(visitor.peer_ip)
        channel = channel_of(visitor.transport) if visitor.is_tls else None
        self._exchange = exchange(mechanism, visitor.door.means, channel, over_tls=visitor.is_tls)
        return await self._continue(self._exchange.start(initial))

    async def go_on(self, line: bytes) -> Challenge | LoggedIn:
        """Go on with the client's line (without CRLF). Raises: as ``begin``."""
        if self._refused:
            raise WrongCredentials  # RFC 7628 section 3.2.3: whatever the client says to that
        assert self._exchange is not None
        try:
            step = self._exchange.respond(line)
        except SaslError:
            self._withdraw()
            raise
        return await self._continue(step)

    async def _continue(self, step: Step) -> Challenge | LoggedIn:
        going = self._exchange
        assert going is not None
        while isinstance(step, SecretWanted):
            step = going.told(await self._find(step))
        if isinstance(step, Challenge):
            return step
        attempt, self._attempt = self._attempt, None
        try:
            return await log_in_at_door(
                self._visitor,
                self._portal,
                step,
                self._interface,
                failed_login_s=self._failed_login_s,
                attempt=attempt,
            )
        except WrongCredentials:
            explanation = going.refused()
            if explanation is None:
                raise
            self._refused = True
            return explanation

    async def _find(self, wanted: SecretWanted) -> Found:
        visitor = self._visitor
        means, timers = visitor.door.means, visitor.door.timers
        assert means.secrets is not None, "not offered without one"
        try:
            if means.throttle is not None:
                # Here already: SCRAM tells its client of success before it makes its offer.
                self._attempt = await means.throttle.turn(
                    visitor.peer_ip, wanted.login, timers, guessed=True
                )
            place = Place(visitor.door.protocol, visitor.peer_ip)
            return await means.secrets.find(wanted.login, wanted.kind, place)
        except BaseException as error:
            self._withdraw()
            if isinstance(error, GatewayError):
                _note_failure(visitor, wanted.login, error)
            if isinstance(error, LoginsPaused):
                await pause(timers, self._failed_login_s)
            raise

    def _withdraw(self) -> None:
        """What was begun comes to no offer."""
        attempt, self._attempt = self._attempt, None
        throttle = self._visitor.door.means.throttle
        if attempt is not None and throttle is not None:
            throttle.withdrawn(attempt)


async def log_in_at_door(
    visitor: Visitor,
    portal: Portal,
    offer: Offer,
    interface: Any,
    *,
    failed_login_s: float,
    attempt: Attempt | None = None,
) -> LoggedIn:
    """``auth.login.log_in`` for a connection, if it is to be asked (``auth.throttle``).

    Args:
        interface: of ``auth.credentials``.
        failed_login_s: wrong credentials are told no sooner after they came, and later still when
            the login has failed often.
        attempt: whose turn it is already.

    Raises:
        WrongCredentials, DirectoryUnavailable, StoreUnavailable: as ``log_in``.
        TooManyFailures: the connection is to be ended.
    """
    door = visitor.door
    throttle = door.means.throttle
    began_at = door.timers.seconds()
    login = offer.login if attempt is None else attempt.login

    def ask() -> Coroutine[Any, Any, LoggedIn]:
        return log_in(
            portal,
            offer,
            interface,
            protocol=door.protocol,
            peer_ip=visitor.peer_ip,
            over_tls=visitor.is_tls,
        )

    try:
        if throttle is None:
            logged_in = await ask()
        else:
            if attempt is None:
                password = offer.password if isinstance(offer, PasswordOffer) else b""
                is_ours = text_in(password) is not None
                attempt = await throttle.turn(
                    visitor.peer_ip,
                    login,
                    door.timers,
                    guessed=isinstance(offer, PasswordOffer | ProofOffer),
                    password=password,
                    ours=Place(door.protocol, visitor.peer_ip) if is_ours else None,
                )
            logged_in = await throttle.asked(attempt, ask)
    except GatewayError as error:
        _note_failure(visitor, login, error)
        if isinstance(error, WrongCredentials | LoginsPaused | NotAsKept):
            wait_s = failed_login_s * (throttle.slower(login) if throttle is not None else 1)
            await pause(door.timers, began_at + wait_s - door.timers.seconds())
        if isinstance(error, WrongCredentials):
            # A fresh one, so that what is not to be told is not there to be told (SECURITY A6).
            if door.means.tell_reasons and error.proven:
                raise WrongCredentials(error.reason, proven=True) from None
            raise WrongCredentials from None
        raise
    _log.info(
        "{id} {protocol} {login} logged in from {peer}{by}",
        id=visitor.connection_id,
        protocol=door.protocol,
        login=logged_in.avatar.account.login,
        peer=visitor.peer_ip,
        by=f" by app password {logged_in.app_password}" if logged_in.app_password else "",
    )
    return _watched(visitor, logged_in)


def _watched(visitor: Visitor, logged_in: LoggedIn) -> LoggedIn:
    """It ends with the account, and with the app password that opened it, if one did."""
    means = visitor.door.means
    ended: list[Callable[[], None]] = []
    number = logged_in.app_password
    if number and means.app_password_sessions is not None:
        ended.append(means.app_password_sessions.opened(number, visitor))
    if means.account_sessions is not None:
        account_id = logged_in.avatar.account.account_id
        ended.append(means.account_sessions.opened(account_id, visitor))
    if not ended:
        return logged_in

    def log_out() -> None:
        for each in ended:
            each()
        logged_in.logout()

    return replace(logged_in, logout=log_out)


def text_told(error: WrongCredentials) -> str:
    """What somebody with the right password may hear instead of the one text for all; empty for
    everybody else, and wherever the settings do not ask for it (SECURITY A6, L15)."""
    if not error.proven:
        return ""
    return PASSWORD_EXPIRED_TEXT if error.reason.needs_new_password else CONTACT_ADMIN_TEXT


def _note_failure(visitor: Visitor, login: str, error: GatewayError) -> None:
    if isinstance(error, TooManyFailures):
        return  # in the log once in a while, not for each of them (SECURITY N2)
    _log.info(
        "{id} {protocol} login failed for {login} from {peer}: {error}",
        id=visitor.connection_id,
        protocol=visitor.door.protocol,
        login=shown(login, MAX_LOGGED_LOGIN),
        peer=visitor.peer_ip,
        error=escaped(error),
    )
