"""The one way in: an offer from any door becomes an avatar, or one of three core errors.

Owns the step between the doors and twisted.cred: doors never see UnauthorizedLogin, and never hear
why a login was refused (SECURITY A6). Never logs a password, and keeps none: the credentials
live as long as the call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import Portal

from gateway.auth.credentials import credentials_for
from gateway.auth.sasl import Offer
from gateway.core.errors import WrongCredentials


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A login that worked.

    Args:
        avatar: of ``auth.avatars``, as the interface asked for: Submitter (``account``), Maildrop
            or MailAccount (``account`` and ``store``). Zope interfaces say nothing to mypy, hence
            Any; doors annotate what they take from it.
        logout: to be called exactly once, when the session ends.
        app_password: the number of the one that was used; 0: none was.
    """

    avatar: Any
    logout: Callable[[], None]
    app_password: int = 0


async def log_in(
    portal: Portal,
    offer: Offer,
    interface: Any,
    *,
    protocol: str,
    peer_ip: str,
    over_tls: bool,
) -> LoggedIn:
    """Check the offer and fetch the avatar for ``interface`` (of ``auth.credentials``).

    Args:
        offer: from a SASL exchange, or built from USER/PASS or IMAP LOGIN.
        protocol: ``submission``, ``pop3`` or ``imap``.
        peer_ip: textual address of the client.
        over_tls: whether the connection is encrypted.

    Raises:
        WrongCredentials: whoever it is may not log in; one text for all reasons, and the reason
            for those who may hear it.
        DirectoryUnavailable: nobody can say at the moment; for tokens IssuerUnavailable as well.
        StoreUnavailable: the person is right, but their mailboxes cannot be opened now.
    """
    credentials = credentials_for(offer, protocol=protocol, peer_ip=peer_ip, over_tls=over_tls)
    try:
        _, avatar, logout = await portal.login(credentials, None, interface)
    except UnauthorizedLogin:
        raise WrongCredentials from None
    except WrongCredentials as error:
        # A fresh one, without a traceback that holds what was typed (SECURITY A9).
        raise WrongCredentials(
            error.reason,
            proven=error.proven,
            account_id=error.account_id,
        ) from None
    return LoggedIn(avatar, logout, credentials.trail.app_password)
