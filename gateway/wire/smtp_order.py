"""In which order commands are possible: the phases of a session and one table of transitions.

Owns the order of RFC 5321 section 4.1.4 and of the extensions, and the replies for whatever is out
of it. Never sees an octet. What depends on more than the phase (TLS, logins, BODY=) is judged where
that is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from gateway.wire.smtp_commands import Verb
from gateway.wire.smtp_replies import (
    CHUNKS_BEGUN,
    MAIL_FIRST,
    NESTED_MAIL,
    NO_RECIPIENTS,
    NO_RECIPIENTS_LMTP,
    NOT_IN_TRANSACTION,
    RCPT_FIRST,
    SEND_HELO_FIRST,
    SEND_LHLO_FIRST,
    Reply,
)


class Phase(Enum):
    """Where the session stands (RFC 5321 section 4.1.4)."""

    __hash__ = object.__hash__  # as for Verb

    GREETED = "greeted"  # no EHLO, HELO or LHLO yet
    READY = "ready"  # no transaction
    SENDER = "sender"  # MAIL accepted
    RECIPIENTS = "recipients"  # at least one RCPT accepted
    CHUNKS = "chunks"  # at least one BDAT accepted, and not the last
    CONTENT = "content"  # 354 was sent, or a chunk is being read


_ANY_TIME = (Verb.NOOP, Verb.VRFY, Verb.HELP, Verb.QUIT)
_HELLO = (Verb.EHLO, Verb.HELO, Verb.LHLO)
_IN_TRANSACTION = (Phase.SENDER, Phase.RECIPIENTS, Phase.CHUNKS)

TRANSITIONS: Mapping[tuple[Phase, Verb], Phase] = {
    **{(Phase.GREETED, verb): Phase.READY for verb in _HELLO},
    (Phase.GREETED, Verb.RSET): Phase.GREETED,
    **{(Phase.READY, verb): Phase.READY for verb in _HELLO},
    (Phase.READY, Verb.RSET): Phase.READY,
    (Phase.READY, Verb.AUTH): Phase.READY,
    (Phase.READY, Verb.ETRN): Phase.READY,
    (Phase.READY, Verb.STARTTLS): Phase.GREETED,  # RFC 3207 section 4.2: all is forgotten
    (Phase.READY, Verb.XCLIENT): Phase.GREETED,  # Postfix: as for a new connection
    (Phase.READY, Verb.MAIL): Phase.SENDER,
    (Phase.SENDER, Verb.RCPT): Phase.RECIPIENTS,
    (Phase.RECIPIENTS, Verb.RCPT): Phase.RECIPIENTS,
    (Phase.RECIPIENTS, Verb.DATA): Phase.CONTENT,
    (Phase.RECIPIENTS, Verb.BDAT): Phase.CONTENT,
    (Phase.CHUNKS, Verb.BDAT): Phase.CONTENT,
    # Section 4.1.4: EHLO in a transaction is a RSET as well; STARTTLS resets too (S17).
    **{
        (phase, verb): after
        for phase in _IN_TRANSACTION
        for verb, after in (
            *((verb, Phase.READY) for verb in _HELLO),
            (Verb.RSET, Phase.READY),
            (Verb.STARTTLS, Phase.GREETED),
        )
    },
    **{(phase, verb): phase for phase in Phase if phase is not Phase.CONTENT for verb in _ANY_TIME},
}
"""What a success leads to; a pair that is not listed is refused by ``out_of_order``."""


def out_of_order(phase: Phase, verb: Verb, *, lmtp: bool, recipient_refused: bool) -> Reply:
    """The reply for a pair that TRANSITIONS does not list.

    Args:
        recipient_refused: at least one RCPT of the transaction was refused.
    """
    if phase is Phase.GREETED:
        return SEND_LHLO_FIRST if lmtp else SEND_HELO_FIRST
    if verb is Verb.MAIL:
        return NESTED_MAIL
    if verb in (Verb.AUTH, Verb.ETRN, Verb.XCLIENT):
        return NOT_IN_TRANSACTION  # RFC 4954 section 4
    if phase is Phase.CHUNKS:
        return CHUNKS_BEGUN  # RFC 3030 section 2
    if phase is Phase.READY:
        return MAIL_FIRST
    if verb in (Verb.DATA, Verb.BDAT) and recipient_refused:
        # RFC 2920 section 3.1 allows 554 instead of 354.
        return NO_RECIPIENTS_LMTP if lmtp else NO_RECIPIENTS
    return RCPT_FIRST
