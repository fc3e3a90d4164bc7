"""Every command the door speaks: one row each, and what is advertised because of it.

Owns which states a command is allowed in, whether EXPUNGE may be told while it runs, and the
capability lists, which are computed from the rows. Never runs anything; ``connection`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from gateway.edge.imap.errors import Reply
from gateway.edge.imap.session import Session, State
from gateway.wire.imap import commands
from gateway.wire.imap.commands import Command

Handler = Callable[[Session, Any], Coroutine[Any, Any, Reply]]

ANY = frozenset(State)
NOT_AUTHENTICATED = frozenset({State.NOT_AUTHENTICATED})
LOGGED_IN = frozenset({State.AUTHENTICATED, State.SELECTED})
SELECTED = frozenset({State.SELECTED})


class When(Enum):
    """When a capability is shown."""

    ALWAYS = "always"
    STARTTLS_POSSIBLE = "TLS is offered and not yet used"
    LOGIN_POSSIBLE = "nobody has logged in, and it is allowed now"
    LOGIN_REFUSED = "nobody has logged in, and TLS has to come first, or LOGIN is not wanted"
    LOGGED_IN = "somebody has logged in"


@dataclass(frozen=True, slots=True)
class Row:
    """One command.

    Args:
        command: its class; ``rfc`` of the class says where it is defined.
        name: as clients write it, for the log.
        handler: what carries it out.
        states: where it is allowed.
        numbered: its message numbers or replies count by sequence, so no EXPUNGE may be told while
            it runs, unless it is the UID form (RFC 3501 section 7.4.1).
        looks: afterwards the selected mailbox is looked at, whatever the change feed says.
        writes: refused in a mailbox opened with EXAMINE (section 6.3.2).
        capabilities: what is advertised because the row exists, and when.
    """

    command: type[Command]
    name: str
    handler: Handler
    states: frozenset[State]
    numbered: bool = False
    looks: bool = False
    writes: bool = False
    capabilities: tuple[tuple[str, When], ...] = ()

    def may_expunge(self, command: Command) -> bool:
        return not self.numbered or bool(getattr(command, "uid", False))


class Registry:
    """The rows by command class.

    Raises:
        ValueError: two rows for a command, or a command of the wire without a row: the parser
            would accept what nobody carries out.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows: dict[type[Command], Row] = {}
        for row in rows:
            if row.command in self._rows:
                raise ValueError(f"two rows for {row.name}")
            self._rows[row.command] = row
        missing = [known.__name__ for known in commands.COMMANDS if known not in self._rows]
        if missing:
            raise ValueError(f"no row for {', '.join(missing)}")

    def row_of(self, command: Command) -> Row:
        return self._rows[type(command)]

    def capabilities(self, shown: Iterable[When], more: Iterable[str] = ()) -> str:
        """The words of CAPABILITY, IMAP4rev1 first (RFC 3501 section 7.2.1).

        Args:
            more: words that depend on more than the rows, whose order may count: clients with no
                opinion take the first mechanism that they know.
        """
        moments = {When.ALWAYS, *shown}
        words = {
            word: None
            for row in self._rows.values()
            for word, when in row.capabilities
            if when in moments
        }
        first, *others = sorted(words, key=lambda word: (word != "IMAP4rev1", word))
        return " ".join((first, *more, *others))
