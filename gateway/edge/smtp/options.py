"""What MAIL asks for, made into what the store keeps; or why the sender cannot have it.

Owns the bounds of each wish and who may have it. Never answers and never reads a clock. Which
parameters a client may use at all is the grammar's business (``wire.smtp_extensions``).
"""

from __future__ import annotations

from collections.abc import Collection

from gateway.core.envelope import BodyKind, DeliverBy, MessageOptions
from gateway.wire import smtp_replies as replies
from gateway.wire.smtp_commands import Mail
from gateway.wire.smtp_replies import Reply

STRANGERS_PRIORITY = 0
"""RFC 6710 section 8: who is not known gets no better service than others."""


def options_of(
    command: Mail,
    *,
    now: float,
    known: bool,
    is_tls: bool,
    hold_s: int,
    unwanted: Collection[str],
) -> MessageOptions | Reply:
    """The options of a transaction, or the refusal of MAIL.

    Args:
        now: Unix time of its receipt, from which relative times count.
        known: the sender has logged in.
        hold_s: longest time that a message may wait for its release.
        unwanted: classes of mail that nobody here wants (RFC 3865), lower case.
    """
    if any(keyword in unwanted for keyword in command.solicit):
        return replies.UNWANTED_SOLICITATION
    if command.require_tls and not is_tls:
        return replies.TLS_REQUIRED  # RFC 8689 section 4.1
    release_at = _release_at(command, now)
    if release_at is not None:
        if not known:
            return replies.LOGIN_FIRST
        if release_at > now + hold_s + 1:
            return replies.HELD_TOO_LONG  # RFC 4865 section 4
    deliver_by = None
    if command.by is not None:
        at = int(now) + command.by.seconds
        deliver_by = DeliverBy(at, command.by.or_return, command.by.trace)
        if deliver_by.or_return and release_at is not None and release_at >= at:
            return replies.RELEASED_TOO_LATE  # it would come back whatever happens
    priority = command.priority or 0
    return MessageOptions(
        body=command.body,
        smtputf8=command.smtputf8,
        ret=command.ret,
        envid=command.envid,
        deliver_by=deliver_by,
        release_at=release_at,
        priority=priority if known else min(priority, STRANGERS_PRIORITY),
        require_tls=command.require_tls,
        solicit=command.solicit,
    )


def _release_at(command: Mail, now: float) -> int | None:
    """None: at once, which a time in the past is as well."""
    at = command.hold_until
    if command.hold_s is not None:
        at = int(now) + command.hold_s
    return at if at is not None and at > now else None


def asks_for_nothing(command: Mail) -> bool:
    """As most mail does: NO_OPTIONS then."""
    return (
        command.body is BodyKind.SEVEN_BIT
        and not command.smtputf8
        and not command.ret
        and not command.envid
        and command.by is None
        and command.hold_s is None
        and command.hold_until is None
        and not command.priority
        and not command.require_tls
        and not command.solicit
    )
