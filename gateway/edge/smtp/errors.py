"""The one map from the core's errors, and from failed SASL exchanges, to SMTP replies.

Owns which code an error gets (DESIGN section 9). Directory trouble is always temporary and never
looks like an unknown person or a wrong password (SECURITY A5, S36).
"""

from __future__ import annotations

from gateway.auth.sasl import SaslCancelled, SaslError, SaslUnknownMechanism
from gateway.core.errors import (
    DirectoryUnavailable,
    ExpansionFailed,
    GatewayError,
    MailboxDisabled,
    MessageTooBig,
    NobodyThere,
    OverQuota,
    RelayDenied,
    StoreFull,
    UnknownRecipient,
    WrongCredentials,
)
from gateway.edge.login import text_told
from gateway.policy.verdicts import Action, Stage, Verdict
from gateway.wire.smtp_replies import (
    LOGIN_CANCELLED,
    LOGIN_MALFORMED,
    MAILBOX_FULL,
    TOO_BIG,
    UNKNOWN_MECHANISM,
    WRONG_CREDENTIALS,
    Reply,
)


def reply_for(error: GatewayError) -> Reply:
    """The reply to a command that failed with this error."""
    match error:
        case NobodyThere():
            # RFC 3463 section 3.3: 2.4, mailing list expansion problem.
            return Reply(550, "5.2.4", error.safe_text)
        case MailboxDisabled():
            # RFC 3463 section 3.3: 2.1, mailbox disabled, not accepting messages.
            return Reply(550, "5.2.1", error.safe_text)
        case ExpansionFailed():
            return Reply(451, "4.2.4", error.safe_text)
        case UnknownRecipient():
            return Reply(550, "5.1.1", error.safe_text)
        case RelayDenied():
            return Reply(554, "5.7.1", error.safe_text)
        case DirectoryUnavailable():
            return Reply(451, "4.4.3", error.safe_text)
        case StoreFull():
            return Reply(452, "4.3.1", error.safe_text)
        case OverQuota():
            return MAILBOX_FULL
        case MessageTooBig():
            return TOO_BIG
    if error.temporary:
        return Reply(451, "4.3.0", error.safe_text)
    return Reply(554, "5.0.0", error.safe_text)


def login_reply_for(error: GatewayError) -> Reply:
    """The reply to an AUTH that failed with this error (RFC 4954 section 6)."""
    if isinstance(error, WrongCredentials):
        told = text_told(error)
        if not told:
            return WRONG_CREDENTIALS
        if error.reason.needs_new_password:
            # No code says so: X.7.12 asks for another mechanism (RFC 4954 section 6).
            return Reply(535, "5.7.8", told.capitalize())
        return Reply(525, "5.7.13", told.capitalize())  # RFC 5248: the account is disabled
    return Reply(454, "4.7.0", error.safe_text)


def sasl_reply_for(error: SaslError) -> Reply:
    """The reply to a SASL exchange that ended without an offer (RFC 4954 section 4)."""
    match error:
        case SaslCancelled():
            return LOGIN_CANCELLED
        case SaslUnknownMechanism():
            return UNKNOWN_MECHANISM
    return LOGIN_MALFORMED


def verdict_reply_for(stage: Stage, verdict: Verdict) -> Reply:
    """The reply to what a check refuses (RFC 5321 section 3.1: 554 instead of the greeting)."""
    if verdict.action is Action.DEFER:
        code = {Stage.CONNECT: 421, Stage.CONTENT: 451}.get(stage, 450)
        return Reply(code, f"4.{verdict.status}", verdict.text or "Try again later")
    assert verdict.action is Action.REJECT
    code = 554 if stage is Stage.CONNECT else 550
    return Reply(code, f"5.{verdict.status}", verdict.text or "Refused by local policy")


UNEXPECTED = Reply(451, "4.3.0", "Internal error, try again later")
"""For a fault of ours; the id behind it finds the traceback in the log."""
