"""The error tree. An exception means that the operation failed; replies are made at the edge.

Every error says whether trying again later can help (``temporary``), carries a text that is safe
for strangers (``safe_text``: no paths, no names of servers, no secrets) and fields for the log.
The one map per protocol from these classes to reply codes lives beside each door in ``edge``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from gateway.core.ids import AccountId
from gateway.core.login_reasons import LoginReason


class GatewayError(Exception):
    """Root of all expected errors.

    Args:
        safe_text: what a stranger may read; the class's default when empty.
        fields: what the log shall show besides; never a secret.
    """

    temporary: ClassVar[bool] = True
    default_text: ClassVar[str] = "the operation failed, try again later"

    def __init__(self, safe_text: str = "", **fields: object) -> None:
        self.safe_text = safe_text or self.default_text
        self.fields = fields
        super().__init__(self.safe_text)

    def __str__(self) -> str:
        details = " ".join(f"{name}={value!r}" for name, value in self.fields.items())
        return f"{self.safe_text} ({details})" if details else self.safe_text


# --- directory and login -------------------------------------------------------------------------


class DirectoryUnavailable(GatewayError):
    """The directory did not answer, or answered something that says nothing about the person."""

    default_text = "the directory cannot be asked at the moment, try again later"


class DirectoryMistake(DirectoryUnavailable):
    """The directory answered, and what it holds says nothing of anybody: several entries for one
    name (SECURITY L5), an entry that cannot be used (L25). No other server would say more, and
    nothing that is remembered may stand in: an administrator has to mend it there."""


class IssuerUnavailable(DirectoryUnavailable):
    """The issuer of tokens did not say whether one is good."""

    default_text = "logins by token cannot be checked at the moment, try again later"


class WrongCredentials(GatewayError):
    """Unknown login, wrong password or an account that may not log in: one text for all (A6).

    Args:
        reason: for the log, and for clients only where the settings say so and it is ``proven``.
        proven: the password was the right one all the same.
        account_id: whom it is about; empty: nobody, or not known.
    """

    temporary = False
    default_text = "authentication failed"

    def __init__(
        self,
        reason: LoginReason = LoginReason.REFUSED,
        *,
        proven: bool = False,
        account_id: AccountId | None = None,
    ) -> None:
        self.reason = reason
        self.proven = proven
        self.account_id = account_id
        super().__init__()

    def __str__(self) -> str:
        return f"{self.safe_text}: {self.reason.words}"


class NotAsKept(DirectoryUnavailable):
    """The directory cannot be asked, and the password is not the one that worked last: nobody can
    say whether it is wrong, but whoever is guessing has guessed."""


class LoginsPaused(DirectoryUnavailable):
    """Too many guessed at this login: it is not asked about from where it is not known."""

    default_text = "this login cannot be checked from here at the moment, try again later"


class TooManyFailures(GatewayError):
    """Too many failed logins from this address; the connection ends with it."""

    default_text = "too many failed logins from your address, try again later"


# --- routing -------------------------------------------------------------------------------------


class UnknownRecipient(GatewayError):
    """A domain of ours, but nobody there has this address."""

    temporary = False
    default_text = "nobody here has this address; look at how it is written"


class NobodyThere(UnknownRecipient):
    """A group or alias of ours that leads to nobody (any more)."""

    default_text = "nobody gets mail for this address"


class MailboxDisabled(UnknownRecipient):
    """Somebody of ours who has left, and whose mail is not taken any more."""

    default_text = "this mailbox is closed and takes no mail"


class ExpansionFailed(GatewayError):
    """A group or alias that cannot be resolved to people as it is: too large, or too deep."""

    default_text = "this address cannot be resolved to people at the moment, try again later"


class RelayDenied(GatewayError):
    """Not a domain of ours, and the sender has not logged in."""

    temporary = False
    default_text = "relaying denied; log in to send mail to other domains"


# --- store ---------------------------------------------------------------------------------------


class StoreUnavailable(GatewayError):
    """A read or write failed for a reason that may pass (I/O error, shutting down, queue full)."""

    default_text = "the mail store cannot do this at the moment, try again later"


class StoreInUse(StoreUnavailable):
    """Another process holds the store's lock."""

    default_text = "the mail store is in use by another gateway"


class StoreFull(StoreUnavailable):
    """No space (or no inodes) left on the store's disk; 452 4.3.1, never 5xx (SECURITY D6)."""

    default_text = "the mail store is full, try again later"


class StoreDamaged(GatewayError):
    """Stored octets do not match their checksum or are missing."""

    default_text = "this message cannot be read from the store at the moment"


class SchemaTooNew(GatewayError):
    """The store was written by a newer gateway than this one."""

    temporary = False
    default_text = "the mail store was written by a newer version of the gateway"


class NoSuchMailbox(GatewayError):
    """The account has no mailbox of this name, or the mailbox was deleted meanwhile."""

    temporary = False
    default_text = "no such mailbox"


class MailboxExists(GatewayError):
    """CREATE or RENAME onto a name that is taken."""

    temporary = False
    default_text = "a mailbox of this name exists already"


class MailboxNameRefused(GatewayError):
    """The name is not possible here, or this operation is not possible on this mailbox."""

    temporary = False
    default_text = "this mailbox name is not possible"


class NoPermission(GatewayError):
    """A shared mailbox, and this person may not do that there (RFC 5530 NOPERM)."""

    temporary = False
    default_text = "you may not do this in this shared mailbox"


class MailboxLimit(GatewayError):
    """A bound on mailboxes or keywords is reached (RFC 5530 LIMIT)."""

    temporary = False
    default_text = "a limit of this account is reached"


class OverQuota(GatewayError):
    """The account may not keep more (RFC 9208 OVERQUOTA; 452 4.2.2 or 552 5.2.2 in SMTP).

    Args:
        account_ids: whose bounds would be passed.
    """

    default_text = "the mailbox is full"

    def __init__(self, account_ids: Sequence[AccountId] = ()) -> None:
        self.account_ids = tuple(account_ids)
        super().__init__(accounts=", ".join(account_ids))


class MessageGone(GatewayError):
    """The message was expunged meanwhile."""

    temporary = False
    default_text = "some of the messages no longer exist"


class MaildropInUse(GatewayError):
    """Another POP3 session holds the maildrop (RFC 2449 IN-USE)."""

    temporary = True
    default_text = "the mailbox is in use by another POP3 session"


class MessageTooBig(GatewayError):
    """Over the size limit in force."""

    temporary = False
    default_text = "the message is larger than allowed here"


# --- control socket ------------------------------------------------------------------------------


class ControlSocketRefused(GatewayError):
    """Another gateway answers on the control socket, or something is in its way."""

    temporary = False
    default_text = "the control socket cannot be used"


# --- settings ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SettingsProblem:
    """One mistake in the configuration: where, what was found, what is expected, what to do."""

    source: str
    key: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.source}: {self.key}: found {self.found}; expected {self.expected}"


class SettingsError(GatewayError):
    """The configuration cannot be used; carries every problem found, not only the first."""

    temporary = False
    default_text = "the configuration cannot be used"

    def __init__(self, problems: Sequence[SettingsProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))
