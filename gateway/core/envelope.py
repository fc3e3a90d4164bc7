"""What a sender asks for beside the addresses: options of MAIL and RCPT that outlive the session.

Values only. ``wire.smtp_commands`` reads them, the store keeps them with queued mail, ``queue`` and
``delivery`` honour them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, Flag, auto
from typing import Literal


class BodyKind(Enum):
    """BODY= (RFC 6152, RFC 3030): what octets the content may hold.

    BINARY is what a client may send; it is EIGHT_BIT once the door has taken it.
    """

    SEVEN_BIT = "7BIT"
    EIGHT_BIT = "8BITMIME"
    BINARY = "BINARYMIME"


class Notify(Flag):
    """NOTIFY= (RFC 3461 section 4.1): about what the sender wants reports; NEVER is alone."""

    NEVER = 0
    SUCCESS = auto()
    FAILURE = auto()
    DELAY = auto()


@dataclass(frozen=True, slots=True)
class DeliverBy:
    """BY= (RFC 2852).

    Args:
        at: Unix time by which the message is to be delivered.
        or_return: mode R: give it back if that cannot be; otherwise (N) only tell the sender.
        trace: the sender wants to hear of each relay (the T of section 4).
    """

    at: int
    or_return: bool
    trace: bool = False


@dataclass(frozen=True, slots=True)
class MessageOptions:
    """What MAIL said about the whole message.

    Args:
        smtputf8: the message needs SMTPUTF8 (RFC 6531): addresses or header outside ASCII.
        ret: how much of the message a failure report returns (RFC 3461 section 4.3), empty if not
            said.
        envid: the sender's name for the envelope (section 4.4), decoded from xtext.
        release_at: Unix time before which nobody gets the message (RFC 4865); None: at once.
        priority: -9 to 9 (RFC 6710).
        require_tls: never sent on without verified TLS (RFC 8689).
        tls_optional: the sender wants it delivered also where TLS fails, whatever policy the
            recipient's domain has (RFC 8689 section 5).
        solicit: the classes of solicitation that it is of (RFC 3865), lower case.
    """

    body: BodyKind = BodyKind.SEVEN_BIT
    smtputf8: bool = False
    ret: Literal["", "FULL", "HDRS"] = ""
    envid: str = ""
    deliver_by: DeliverBy | None = None
    release_at: int | None = None
    priority: int = 0
    require_tls: bool = False
    tls_optional: bool = False
    solicit: tuple[str, ...] = ()


NO_OPTIONS = MessageOptions()


@dataclass(frozen=True, slots=True)
class RecipientOptions:
    """What RCPT said about one recipient.

    Args:
        notify: None: not said, which means failures and (if the server likes) delays.
        original: ORCPT= (RFC 3461 section 4.2) as ``type;address``, decoded from xtext; empty if
            not said.
    """

    notify: Notify | None = None
    original: str = ""

    @property
    def wants_success(self) -> bool:
        return self.notify is not None and Notify.SUCCESS in self.notify

    def without_success(self) -> RecipientOptions:
        """For those that an address stands for: its success is that it stands for them (RFC 3461
        section 5.2.7.2)."""
        if self.notify is None or Notify.SUCCESS not in self.notify:
            return self
        # Nothing else was asked for: who wants successes only does not want to hear of failures.
        return replace(self, notify=self.notify & ~Notify.SUCCESS)


NOTHING_ASKED = RecipientOptions()


@dataclass(frozen=True, slots=True)
class Hold:
    """A message is kept in the queue, whoever it is for, instead of going on.

    Args:
        reason: in plain words for administrators; begins with the rule that holds, as in
            ``limit: more than 500 recipients in an hour``.
        until: Unix time when it goes on by itself; None: when somebody releases it.
    """

    reason: str
    until: int | None = None
