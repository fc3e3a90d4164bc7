"""Every command of IMAP4rev1 and of the extensions spoken here, as frozen values.

Owns the vocabulary between the reader and a door: each command complete, its syntax checked, its
strings decoded. Mailbox names are str as ``core.mailboxes`` has them (modified UTF-7 undone, NFC,
INBOX in capitals, ``/`` between levels); a name that cannot be one never gets here. Whether a
command is allowed in the session's state is the door's business.

``rfc`` of each class names the section that defines the command.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

from gateway.core.messages import Flags
from gateway.wire.imap.fetch_items import FetchItem
from gateway.wire.imap.search import WireKey
from gateway.wire.imap.sequence import SequenceSet


@dataclass(frozen=True, slots=True)
class Command:
    """What all commands have. The tag holds safe octets only and may be sent back as it is."""

    rfc: ClassVar[str] = "RFC 3501 section 2.2.1"
    tag: bytes


# --- any state -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Capability(Command):
    rfc: ClassVar[str] = "RFC 3501 section 6.1.1"


@dataclass(frozen=True, slots=True)
class Noop(Command):
    rfc: ClassVar[str] = "RFC 3501 section 6.1.2"


@dataclass(frozen=True, slots=True)
class Logout(Command):
    rfc: ClassVar[str] = "RFC 3501 section 6.1.3"


@dataclass(frozen=True, slots=True)
class Id(Command):
    """What the client says of itself, or None for NIL. Values are untrusted text for the log."""

    rfc: ClassVar[str] = "RFC 2971 section 3.1"
    parameters: tuple[tuple[str, str | None], ...] | None


# --- not authenticated ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartTls(Command):
    """The door must look at ``CommandReader.buffered_octets`` before it answers (SECURITY F1a)."""

    rfc: ClassVar[str] = "RFC 3501 section 6.2.1"


@dataclass(frozen=True, slots=True)
class Authenticate(Command):
    """``initial`` is the base64 initial response (RFC 4959), ``b"="`` for an empty one, or None.

    The exchange's further lines come as RawLine events after ``CommandReader.expect_line``.
    """

    rfc: ClassVar[str] = "RFC 3501 section 6.2.2"
    mechanism: str  # upper case
    initial: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Login(Command):
    rfc: ClassVar[str] = "RFC 3501 section 6.2.3"
    username: str
    password: bytes = field(repr=False)


# --- authenticated -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Select(Command):
    rfc: ClassVar[str] = "RFC 3501 section 6.3.1"
    mailbox: str


@dataclass(frozen=True, slots=True)
class Examine(Command):
    rfc: ClassVar[str] = "RFC 3501 section 6.3.2"
    mailbox: str


@dataclass(frozen=True, slots=True)
class Create(Command):
    """A trailing separator was removed: it only declares that children will come."""

    rfc: ClassVar[str] = "RFC 3501 section 6.3.3"
    mailbox: str


@dataclass(frozen=True, slots=True)
class Delete(Command):
    rfc: ClassVar[str] = "RFC 3501 section 6.3.4"
    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename(Command):
    rfc: ClassVar[str] = "RFC 3501 section 6.3.5"
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Subscribe(Command):
    rfc: ClassVar[str] = "RFC 3501 section 6.3.6"
    mailbox: str


@dataclass(frozen=True, slots=True)
class Unsubscribe(Command):
    rfc: ClassVar[str] = "RFC 3501 section 6.3.7"
    mailbox: str


@dataclass(frozen=True, slots=True)
class List(Command):
    """LIST, or LSUB where ``subscribed`` says so.

    Args:
        reference: decoded, may be empty or end with the separator.
        patterns: decoded, with ``*`` and ``%``; more than one only in the form of RFC 5258. One
            empty pattern asks for the separator. Match ``reference + pattern``.
        subscribed: LSUB.
        return_options: upper case, from SUBSCRIBED, CHILDREN and SPECIAL-USE (RFC 5258 and 6154).
    """

    rfc: ClassVar[str] = "RFC 3501 sections 6.3.8 and 6.3.9"
    reference: str
    patterns: tuple[str, ...]
    subscribed: bool = False
    return_options: tuple[str, ...] = ()


class StatusItem(Enum):
    """RFC 3501 section 6.3.10; the value is the name in the reply."""

    MESSAGES = b"MESSAGES"
    RECENT = b"RECENT"
    UIDNEXT = b"UIDNEXT"
    UIDVALIDITY = b"UIDVALIDITY"
    UNSEEN = b"UNSEEN"


@dataclass(frozen=True, slots=True)
class Status(Command):
    rfc: ClassVar[str] = "RFC 3501 section 6.3.10"
    mailbox: str
    items: tuple[StatusItem, ...]


@dataclass(frozen=True, slots=True)
class Append(Command):
    """The head of APPEND; the message follows as AppendData events once the door has accepted it.

    ``internal_date`` is Unix time, or None for now. \\Recent never is among the flags.
    """

    rfc: ClassVar[str] = "RFC 3501 section 6.3.11"
    mailbox: str
    flags: Flags
    internal_date: int | None


@dataclass(frozen=True, slots=True)
class Namespace(Command):
    rfc: ClassVar[str] = "RFC 2342 section 5"


@dataclass(frozen=True, slots=True)
class Idle(Command):
    """The line that ends it comes as a RawLine after ``CommandReader.expect_line``."""

    rfc: ClassVar[str] = "RFC 2177 section 3"


# --- selected ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Check(Command):
    rfc: ClassVar[str] = "RFC 3501 section 6.4.1"


@dataclass(frozen=True, slots=True)
class Close(Command):
    rfc: ClassVar[str] = "RFC 3501 section 6.4.2"


@dataclass(frozen=True, slots=True)
class Unselect(Command):
    rfc: ClassVar[str] = "RFC 3691 section 2"


@dataclass(frozen=True, slots=True)
class Expunge(Command):
    """EXPUNGE (``uids`` None) or UID EXPUNGE (RFC 4315 section 2.1)."""

    rfc: ClassVar[str] = "RFC 3501 section 6.4.3"
    uids: SequenceSet | None = None


@dataclass(frozen=True, slots=True)
class Search(Command):
    """``uid``: answer with UIDs. See ``wire.imap.search.resolve`` for the key."""

    rfc: ClassVar[str] = "RFC 3501 section 6.4.4"
    key: WireKey
    uid: bool = False


@dataclass(frozen=True, slots=True)
class Fetch(Command):
    """Items in the order asked, without repeats; UID FETCH always has UID among them."""

    rfc: ClassVar[str] = "RFC 3501 section 6.4.5"
    numbers: SequenceSet
    items: tuple[FetchItem, ...]
    uid: bool = False


class StoreMode(Enum):
    """RFC 3501 section 6.4.6."""

    REPLACE = "FLAGS"
    ADD = "+FLAGS"
    REMOVE = "-FLAGS"


@dataclass(frozen=True, slots=True)
class Store(Command):
    rfc: ClassVar[str] = "RFC 3501 section 6.4.6"
    numbers: SequenceSet
    mode: StoreMode
    flags: Flags
    silent: bool
    uid: bool = False


@dataclass(frozen=True, slots=True)
class Copy(Command):
    rfc: ClassVar[str] = "RFC 3501 section 6.4.7"
    numbers: SequenceSet
    mailbox: str
    uid: bool = False


@dataclass(frozen=True, slots=True)
class Move(Command):
    rfc: ClassVar[str] = "RFC 6851 section 3"
    numbers: SequenceSet
    mailbox: str
    uid: bool = False


COMMANDS: tuple[type[Command], ...] = (
    Capability,
    Noop,
    Logout,
    Id,
    StartTls,
    Authenticate,
    Login,
    Select,
    Examine,
    Create,
    Delete,
    Rename,
    Subscribe,
    Unsubscribe,
    List,
    Status,
    Append,
    Namespace,
    Idle,
    Check,
    Close,
    Unselect,
    Expunge,
    Search,
    Fetch,
    Store,
    Copy,
    Move,
)
"""Every command the parser can give; not ``Command.__subclasses__()``, which also holds what the
dataclass decorator made before slots."""
