"""Every reply the SMTP doors give, by name, with its enhanced status code.

Owns the form of a reply (RFC 5321 section 4.2) and the fixed texts; which error leads to which
reply is decided in ``edge.smtp.errors``. A reply never repeats what the client sent (SECURITY S20).

Invariant: the class of the enhanced code follows the reply code (RFC 3463 section 2), checked when
a reply is made. The octets are made once, so that sending costs nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gateway.wire.quota_warning import size

MAX_TEXT = 400  # a reply line holds at most 512 octets with its CRLF (RFC 5321 section 4.5.3.1.5)

_UNPRINTABLE = re.compile(r"[^ -~]+")


@dataclass(frozen=True, slots=True)
class Reply:
    """One single-line reply.

    Args:
        code: reply code, 2xx to 5xx.
        status: enhanced status code (RFC 2034), empty for greetings and 3xx replies.
        text: printable ASCII; anything else is replaced, what is too long is cut.
    """

    code: int
    status: str
    text: str
    octets: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        assert not self.status or int(self.status[0]) == self.code // 100
        text = _UNPRINTABLE.sub("?", self.text[:MAX_TEXT])
        words = f"{self.code} {self.status} {text}" if self.status else f"{self.code} {text}"
        object.__setattr__(self, "octets", words.encode("ascii") + b"\r\n")

    def with_id(self, reference: str) -> bytes:
        """The octets with an id under which the log and ``gateway trace`` know what happened."""
        return b"%b [%b]\r\n" % (self.octets[:-2], reference.encode("ascii"))


# -- success and go-ahead

OK = Reply(250, "2.0.0", "OK")
SENDER_OK = Reply(250, "2.1.0", "Sender OK")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient OK")
START_CONTENT = Reply(354, "", "End data with <CR><LF>.<CR><LF>")
GOODBYE = Reply(221, "2.0.0", "Goodbye")
READY_FOR_TLS = Reply(220, "2.0.0", "Ready to start TLS")
LOGGED_IN = Reply(235, "2.7.0", "Authentication successful")
# RFC 5321 section 3.5.3: 252 says neither that the address is good nor that it is not.
CANNOT_VERIFY = Reply(252, "2.5.0", "Cannot verify, send mail and see")


def accepted(ingest_id: str) -> bytes:
    """The promise after the dot, with the id under which the message can be traced; only octets,
    as there is one to a message. Ids are made here: short, and printable ASCII."""
    return f"250 2.0.0 Accepted as {ingest_id}\r\n".encode("ascii")


def accepted_and_held(ingest_id: str, reason: str, until: str | None) -> Reply:
    """Accepted, and for the person whose limits make it wait."""
    time = f" until {until}" if until else ""
    return Reply(250, "2.0.0", f"Accepted as {ingest_id}, held{time}: {reason}")


def chunk_taken(octets: int) -> Reply:
    """The answer to a chunk that is not the last (RFC 3030 section 2)."""
    return Reply(250, "2.0.0", f"{octets} octets received")


def accepted_with_priority(ingest_id: str, priority: int) -> Reply:
    """Accepted, but not with the priority asked for (RFC 6710 section 11: X.3.6)."""
    return Reply(250, "2.3.6", f"{priority} is the priority it gets. Accepted as {ingest_id}")


# -- syntax

UNKNOWN_COMMAND = Reply(500, "5.5.1", "Command not recognised")
BAD_OCTETS = Reply(500, "5.5.2", "Commands end in <CR><LF> and hold no other control characters")
LINE_TOO_LONG = Reply(500, "5.5.2", "Line too long")
AUTH_LINE_TOO_LONG = Reply(500, "5.5.6", "Authentication line too long")  # RFC 4954 section 4
BAD_ARGUMENTS = Reply(501, "5.5.4", "Syntax error in arguments")
BAD_HELO = Reply(501, "5.5.4", "Give your host name or address literal")
BAD_MAIL = Reply(501, "5.5.4", "Syntax: MAIL FROM:<address>")
BAD_RCPT = Reply(501, "5.5.4", "Syntax: RCPT TO:<address>")
BAD_BDAT = Reply(501, "5.5.4", "Syntax: BDAT size, or BDAT size LAST")
BAD_ETRN = Reply(501, "5.5.4", "Syntax: ETRN domain, or ETRN @domain with all below it")
BAD_XCLIENT = Reply(501, "5.5.4", "Syntax: XCLIENT attribute=value, each as EHLO shows it")
DECLARE_SMTPUTF8 = Reply(553, "5.6.7", "Addresses outside ASCII need SMTPUTF8 with MAIL")
NEEDS_SMTPUTF8 = Reply(553, "5.6.7", "Addresses outside ASCII are not supported here")
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "Parameter not recognised")
NOT_IMPLEMENTED = Reply(502, "5.5.1", "Command not implemented")
NOT_SMTP = Reply(500, "5.5.2", "This is a mail server; closing")


def bad_sender(reason: str) -> Reply:
    return Reply(501, "5.1.7", f"Bad sender: {reason}")


def bad_recipient(reason: str) -> Reply:
    return Reply(501, "5.1.3", f"Bad recipient: {reason}")


# -- order

SEND_HELO_FIRST = Reply(503, "5.5.1", "Send EHLO or HELO first")
SEND_EHLO_FIRST = Reply(503, "5.5.1", "Send EHLO first")
SEND_LHLO_FIRST = Reply(503, "5.5.1", "Send LHLO first")
NESTED_MAIL = Reply(503, "5.5.1", "A mail transaction is open already")
MAIL_FIRST = Reply(503, "5.5.1", "Send MAIL first")
RCPT_FIRST = Reply(503, "5.5.1", "Send RCPT first")
NO_RECIPIENTS = Reply(554, "5.5.1", "No valid recipients")
NO_RECIPIENTS_LMTP = Reply(503, "5.5.1", "No valid recipients")  # RFC 2033 section 4.2
CHUNKS_BEGUN = Reply(503, "5.5.1", "The message has begun with BDAT, go on with BDAT or RSET")
BINARY_NEEDS_BDAT = Reply(503, "5.5.1", "A message of BODY=BINARYMIME comes by BDAT")
NOT_IN_TRANSACTION = Reply(503, "5.5.1", "Not during a mail transaction")
TALKED_TOO_EARLY = Reply(554, "5.5.0", "You must wait for our reply")

# -- TLS and login

TLS_ALREADY = Reply(503, "5.5.1", "TLS is active already")
LOGGED_IN_ALREADY = Reply(503, "5.5.1", "You are logged in already")
TLS_FIRST = Reply(538, "5.7.11", "Encryption required, send STARTTLS first")
LOGIN_FIRST = Reply(530, "5.7.0", "Authentication required")
WRONG_CREDENTIALS = Reply(535, "5.7.8", "Authentication failed")
UNKNOWN_MECHANISM = Reply(504, "5.5.4", "Authentication mechanism not supported")
LOGIN_CANCELLED = Reply(501, "5.7.0", "Authentication cancelled")
LOGIN_MALFORMED = Reply(501, "5.5.2", "Authentication data is not valid base64")

# -- policy and limits

TOO_BIG = Reply(552, "5.3.4", "The message is larger than allowed here")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients, send the others afterwards")
TOO_MANY_REFUSED_RECIPIENTS = Reply(421, "4.5.3", "Far too many recipients, closing")
NO_ROOM = Reply(452, "4.3.1", "No room for mail at the moment, try again later")
HELD_TOO_LONG = Reply(501, "5.5.4", "The release is later than EHLO allows")
RELEASED_TOO_LATE = Reply(501, "5.5.4", "The release is later than the time in BY")
TLS_REQUIRED = Reply(530, "5.7.10", "REQUIRETLS needs TLS, send STARTTLS first")
UNWANTED_SOLICITATION = Reply(550, "5.7.1", "Nobody here wants mail of this class")
MAILBOX_FULL = Reply(452, "4.2.2", "The recipient's mailbox is full, try again later")
MAILBOX_FULL_FOR_GOOD = Reply(552, "5.2.2", "The recipient's mailbox is full")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors, closing")
TOO_MANY_COMMANDS = Reply(421, "4.7.0", "Too many commands without mail, closing")
TOO_MANY_LOGINS = Reply(421, "4.7.0", "Too many failed logins, closing")
TOO_MUCH_REFUSED = Reply(421, "4.7.0", "Too much content of refused messages, closing")
TOO_MANY_EMPTY_CHUNKS = Reply(421, "4.7.0", "Too many empty chunks, closing")
IDLE_TOO_LONG = Reply(421, "4.4.2", "Timeout, closing")
TOO_SLOW = Reply(421, "4.4.2", "The message arrives too slowly, closing")
SHUTTING_DOWN = Reply(421, "4.3.2", "The service is shutting down, try again later")
LOGIN_ENDED = Reply(421, "4.7.0", "This login is not valid any more, log in again")
FORWARDED_IN_A_LOOP = Reply(
    554, "5.4.6", "An address here leads on to other servers, and they send the mail back: a loop"
)
TOO_MANY_HOPS = Reply(554, "5.4.6", "Too many Received fields, this is a mail loop")
HEADER_TOO_BIG = Reply(554, "5.6.0", "The message header is larger than allowed here")
BARE_NEWLINES = Reply(550, "5.5.2", "The message holds a <CR> or <LF> that is not a <CR><LF>")


# -- ETRN (RFC 1985 section 5.2) and XCLIENT (Postfix)

QUEUE_STARTED = Reply(250, "2.0.0", "Queuing for the node started")
NOTHING_QUEUED = Reply(251, "2.0.0", "No messages wait for the node")
QUEUE_NOT_STARTED = Reply(458, "4.3.0", "Unable to queue messages for the node at the moment")
NODE_NOT_ALLOWED = Reply(459, "4.7.1", "Node not allowed: log in, or ask the administrator")
NODE_UNKNOWN = Reply(459, "4.5.4", "Node not allowed: give the name of a domain")
NOT_A_PROXY = Reply(550, "5.7.0", "Not for you to say")
PROXY_NAMES_NOBODY = Reply(550, "5.7.0", "Nobody here has this login")


def too_big(octets: int, most: int) -> Reply:
    """As TOO_BIG, for a message whose size, or as much of it as has come, is known."""
    sizes = f"{octets:,} octets ({size(octets)}), and {most:,} ({size(most)}) are the most taken"
    return Reply(552, "5.3.4", f"The message has {sizes} here")


def too_many_connections(reason: str) -> Reply:
    return Reply(421, "4.7.0", f"{reason}, try again later")


def sender_not_allowed(text: str) -> Reply:
    """RFC 6409 section 6.1: the rule is named, so that people can mend their settings. The address
    in it has been parsed, and is read by somebody who has logged in."""
    return Reply(553, "5.7.1", text)


def name_not_allowed(text: str) -> Reply:
    """The same for a field of the message."""
    return Reply(550, "5.7.1", text)


def not_convertible(text: str, *, signed: bool) -> Reply:
    """Binary content that cannot be made text without damage."""
    return Reply(554, "5.6.1" if signed else "5.6.0", text)


def bad_header(text: str) -> Reply:
    return Reply(550, "5.6.0", text)


def over_limit(text: str, *, for_good: bool) -> Reply:
    """A person sends more than they may."""
    return Reply(550, "5.5.3", text) if for_good else Reply(450, "4.7.1", text)
