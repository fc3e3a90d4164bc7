"""What sources of mail hand to an import, and what it says at the end. Values and ports only.

A source is plain blocking code on one thread; it never touches the store. Trouble with one message
or one folder is an item among the others, so that it never stops the rest; only trouble that ends
everything is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from gateway.core.errors import GatewayError
from gateway.core.messages import Flags

T = TypeVar("T")

PIECE_OCTETS = 256 * 1024
"""How much of a message is read at a time."""

MAX_MESSAGE_OCTETS = 1024 * 1024 * 1024
"""A larger message is refused: a compressed file must not fill the disk."""


class SourceFailed(GatewayError):
    """The source as a whole cannot be read (any more); the text says why and what to do."""


class MessageFailed(GatewayError):
    """One message cannot be read from its source."""


class Call(Protocol):
    """Runs a coroutine of the store from the thread of the work; kept by the desk."""

    def __call__(self, flow: Coroutine[Any, Any, T], /) -> T: ...


@dataclass(frozen=True, slots=True)
class SourceFolder:
    """A mailbox at the source.

    Args:
        folder: its name there; names it for ever.
        name: what it is called here.
    """

    folder: str
    name: str
    subscribed: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One message to be copied.

    Args:
        chunks: its octets with CRLF line ends; can be read once, before the next item is asked for.
        size_octets: about how large it is.
        share: how much of the folder's total it stands for.
    """

    key: str
    flags: Flags
    internal_date: int
    chunks: Iterable[bytes]
    size_octets: int
    uid: int = 0
    uidl: str = ""
    share: int = 1


@dataclass(frozen=True, slots=True)
class Known:
    """A message that was copied before; ``uid`` 0 or ``flags`` None when they are not known."""

    uid: int = 0
    flags: Flags | None = None
    share: int = 1


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that could not be copied: what it is, and why."""

    what: str
    why: str
    share: int = 1


Item = Message | Known | Trouble


@dataclass(frozen=True, slots=True)
class Opened:
    """A folder being read.

    Args:
        total: how much there is, in ``unit``.
        items: all of it: what has a UID first, by UID.
    """

    items: Iterator[Item]
    total: int
    unit: str = "messages"
    uid_validity: int = 0
    uid_next: int = 0


class Source(Protocol):
    """Where mail comes from."""

    origin: str
    """Names it for ever, without a password; see ``ImportSource``."""

    def folders(self) -> Sequence[SourceFolder | Trouble]:
        """All folders that can hold mail. Raises: SourceFailed."""
        ...

    def open(
        self, folder: SourceFolder, known: frozenset[str], *, bodies: bool, flags: bool
    ) -> Opened:
        """Begin to read a folder. Its items may raise SourceFailed.

        Args:
            known: keys of messages that are not needed again.
            bodies: False: nobody will look at the messages' chunks.
            flags: whether ``Known`` items shall have UID and flags, which may cost something.

        Raises: SourceFailed, MessageFailed (the folder cannot be read).
        """
        ...

    def close(self) -> None: ...


@dataclass(slots=True)
class FolderResult:
    """A row of the final table, for imports and exports alike."""

    folder: str
    mailbox: str
    found: int = 0
    copied: int = 0
    already: int = 0
    failed: int = 0
    flags_set: int = 0
    kept_uids: bool | None = None
    """None: nobody asked for UIDs."""


MAX_TROUBLES = 1_000


@dataclass(slots=True)
class Report:
    """What became of everything."""

    folders: list[FolderResult] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    more_troubles: int = 0
    stopped: str = ""
    """Why it ended early; empty when it did not."""

    def add_trouble(self, trouble: Trouble) -> None:
        if len(self.troubles) < MAX_TROUBLES:
            self.troubles.append(trouble)
        else:
            self.more_troubles += 1

    @property
    def all_is_well(self) -> bool:
        return not self.troubles and not self.stopped


Rename = Callable[[str], str]
"""From a mailbox name as the source has it, levels parted by ``/``, to the one here."""
