"""A login as every door does it: logged, and a refused one answered late, in one way.

Owns the time that wrong credentials cost and the line about a login in the log, so that no door is
the one at which guessing is fast or goes unseen (SECURITY A4, A6). Never replies and never
counts: each protocol does that in its own words. The wait is a timer; it holds no thread, and it
ends with the connection.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from gateway.auth.login import LoggedIn, log_in
from gateway.auth.sasl import PasswordOffer
from gateway.core.errors import GatewayError, WrongCredentials
from gateway.core.log_text import escaped, shown
from gateway.core.ports.clock import Timers
from gateway.edge.connection import Door

FAILED_LOGIN_S = 1.0
"""Slow enough for guessing, and far above the differences between one refusal and another."""

MAX_LOGGED_LOGIN = 64

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


async def log_in_at_door(
    visitor: Visitor,
    portal: Portal,
    offer: PasswordOffer,
    interface: Any,
    *,
    failed_login_s: float,
) -> LoggedIn:
    """``auth.login.log_in`` for a connection.

    Args:
        interface: of ``auth.credentials``.
        failed_login_s: wrong credentials are told no sooner after they came.

    Raises:
        WrongCredentials, DirectoryUnavailable, StoreUnavailable: as ``log_in``.
    """
    door = visitor.door
    earliest_s = door.timers.seconds() + failed_login_s
    try:
        logged_in = await log_in(
            portal,
            offer,
            interface,
            protocol=door.protocol,
            peer_ip=visitor.peer_ip,
            over_tls=visitor.is_tls,
        )
    except GatewayError as error:
        _log.info(
            "{id} {protocol} login failed for {login} from {peer}: {error}",
            id=visitor.connection_id,
            protocol=door.protocol,
            login=shown(offer.login, MAX_LOGGED_LOGIN),
            peer=visitor.peer_ip,
            error=escaped(error),
        )
        if isinstance(error, WrongCredentials):
            await pause(door.timers, earliest_s - door.timers.seconds())
        raise
    _log.info(
        "{id} {protocol} {login} logged in from {peer}",
        id=visitor.connection_id,
        protocol=door.protocol,
        login=logged_in.avatar.account.login,
        peer=visitor.peer_ip,
    )
    return logged_in


def pause(timers: Timers, seconds: float) -> Deferred[None]:
    """Fires after so many seconds, at once if there are none; cancelling it drops the timer."""
    if seconds <= 0:
        return succeed(None)
    waiting: Deferred[None] = Deferred(lambda _: timer.cancel())
    timer = timers.callLater(seconds, waiting.callback, None)
    return waiting
