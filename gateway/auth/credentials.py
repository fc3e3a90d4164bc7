"""What a person offers to prove who they are, as twisted.cred credentials.

Never shows a password: repr and log fields leave it out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from twisted.cred.credentials import ICredentials
from zope.interface import Interface, implementer


class IPasswordLogin(ICredentials):
    """A login name with a password, and where it came from."""


@implementer(IPasswordLogin)
@dataclass(frozen=True, slots=True)
class PasswordLogin:
    """A login name and password as typed.

    Args:
        login: as typed, decoded from UTF-8, not normalised.
        password: octets as typed (SECURITY L14: passed on as they are).
        protocol: ``submission``, ``pop3`` or ``imap``.
        peer_ip: textual address of the client.
        over_tls: whether the connection was encrypted.
    """

    login: str
    password: bytes = field(repr=False)
    protocol: str
    peer_ip: str
    over_tls: bool


class ISubmission(Interface):
    """Avatar interface: a person who may submit mail (has ``account``)."""


class IMaildrop(Interface):
    """Avatar interface: a person's POP3 maildrop (has ``account`` and ``store``)."""


class IMailAccount(Interface):
    """Avatar interface: a person's mailboxes over IMAP (has ``account`` and ``store``)."""
