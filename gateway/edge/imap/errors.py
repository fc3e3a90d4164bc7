"""The one map from errors of the core to tagged replies with response codes (RFC 5530).

Owns which condition and code a client hears for which error. Directory and store trouble is
``UNAVAILABLE`` (a full disk ``LIMIT``), never "wrong password" (SECURITY A5). What is not in the
map was not expected: it is logged with its traceback under an id, and the client gets a generic
text with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.core import errors as core
from gateway.edge.imap.view import OutsideMailbox

Condition = Literal["OK", "NO", "BAD"]


@dataclass(frozen=True, slots=True)
class Reply:
    """The tagged end of a command.

    Args:
        condition: OK, NO or BAD.
        text: ours, never the client's octets (SECURITY I16).
        code: response code without brackets; may hold what names and numbers we chose to render.
        then: called once the reply is on its way; for STARTTLS and for closing.
    """

    condition: Condition
    text: str
    code: str = ""
    then: Callable[[], None] | None = None


def ok(text: str, code: str = "", then: Callable[[], None] | None = None) -> Reply:
    return Reply("OK", text, code, then)


def no(text: str, code: str = "", then: Callable[[], None] | None = None) -> Reply:
    return Reply("NO", text, code, then)


def bad(text: str, code: str = "", then: Callable[[], None] | None = None) -> Reply:
    return Reply("BAD", text, code, then)


CODES: dict[type[core.GatewayError], str] = {
    core.WrongCredentials: "AUTHENTICATIONFAILED",
    core.DirectoryUnavailable: "UNAVAILABLE",
    core.DirectoryMistake: "UNAVAILABLE",
    core.ExpansionFailed: "UNAVAILABLE",  # a shared mailbox whose group cannot be resolved
    core.IssuerUnavailable: "UNAVAILABLE",
    core.LoginsPaused: "UNAVAILABLE",
    core.NotAsKept: "UNAVAILABLE",
    core.TooManyFailures: "UNAVAILABLE",
    core.StoreUnavailable: "UNAVAILABLE",
    core.StoreFull: "LIMIT",  # SECURITY D6: the disk's bound, not the person's (OVERQUOTA)
    core.StoreDamaged: "CORRUPTION",
    core.NoSuchMailbox: "NONEXISTENT",
    core.MailboxExists: "ALREADYEXISTS",
    core.MailboxNameRefused: "CANNOT",
    core.MailboxLimit: "LIMIT",
    core.NoPermission: "NOPERM",
    core.OverQuota: "OVERQUOTA",  # RFC 5530 section 3, RFC 9208 section 4.3.1
    core.MessageGone: "EXPUNGEISSUED",
    core.MessageTooBig: "TOOBIG",  # RFC 7889 section 5
}
"""All are NO: the command was understood and could not be carried out."""


def refused_login(error: core.WrongCredentials, told: str) -> Reply:
    """The reply to a login that was refused.

    Args:
        told: what this client may hear of the reason; empty: nothing.
    """
    if not told:
        return no(_sentence(error.safe_text), CODES[core.WrongCredentials])
    # RFC 5530 section 3: EXPIRED asks for another password, CONTACTADMIN for somebody's help.
    return no(_sentence(told), "EXPIRED" if error.reason.needs_new_password else "CONTACTADMIN")


def reply_to(error: Exception, *, log: Logger, connection_id: str, command: str) -> Reply:
    """What the client hears of an error; logs what nobody expected.

    Args:
        error: what the command raised.
        log: where unexpected errors go.
        connection_id: for the log.
        command: the command's name from the registry.
    """
    if isinstance(error, OutsideMailbox):
        return bad("There is no message of that number")
    if isinstance(error, core.GatewayError):
        code = CODES.get(type(error))
        if code is not None:
            return no(_sentence(error.safe_text), code)
    error_id = os.urandom(4).hex()
    log.failure(
        "{id} {command} failed unexpectedly, error {error_id}",
        Failure(error),
        id=connection_id,
        command=command,
        error_id=error_id,
    )
    return no(f"Internal error {error_id}, try again later", "SERVERBUG")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
