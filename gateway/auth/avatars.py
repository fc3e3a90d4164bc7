"""What a person who has logged in gets, one avatar per door.

Owns nothing: an avatar joins the account with the port the door needs. Handed out by ``realm``.
"""

from __future__ import annotations

from dataclasses import dataclass

from zope.interface import implementer

from gateway.auth.credentials import IMailAccount, IMaildrop, ISubmission
from gateway.core.account import Account
from gateway.core.ports.sharing import SharesMailboxes
from gateway.core.ports.store import MailboxStore


@implementer(ISubmission)
@dataclass(frozen=True, slots=True)
class Submitter:
    """A person who may submit mail."""

    account: Account


@implementer(IMaildrop)
@dataclass(frozen=True, slots=True)
class Maildrop:
    """A person's maildrop as POP3 sees it."""

    account: Account
    store: MailboxStore


@implementer(IMailAccount)
@dataclass(frozen=True, slots=True)
class MailAccount:
    """A person's mailboxes as IMAP sees them, and those that others share with them.

    Args:
        shares: None: nothing is shared here.
    """

    account: Account
    store: MailboxStore
    shares: SharesMailboxes | None = None
