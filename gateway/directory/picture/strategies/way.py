"""What every way of learning changes is: the port between a refresh and its strategy.

Owns shapes alone. A strategy is made for one refresh, at one server. It never removes anybody: it
says who seems to be gone, and ``settle`` asks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.directory.picture.differ import Differ
from gateway.wire.ldap.messages import SearchEntry

Position = Mapping[str, str]


class PositionLost(Exception):
    """The server cannot say what has changed since; everything is listed again."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """Args:
    position: to go on from.
    gone: ids of those who seem to be gone; may hold others that were never known.
    there: ids of everybody who is there; None: those who are gone are in ``gone``, or not known.
    quiet: the server has not changed at all since.
    """

    position: Position
    gone: Sequence[str] = ()
    there: Collection[str] | None = None
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Traits:
    """Args:
    name: in cursors, status and settings.
    sees_gone: also tells who is gone; without it ids are listed now and then.
    attributes: wanted of each entry beside those that are kept.
    """

    name: str
    sees_gone: bool
    attributes: tuple[str, ...] = field(default=())


class Way(Protocol):
    @property
    def traits(self) -> Traits: ...

    async def begin(self) -> None:
        """A listing begins: remember where the server stands. Raises: LdapFailed."""
        ...

    def see(self, found: Sequence[SearchEntry]) -> Sequence[SearchEntry]:
        """Entries of a listing pass by; they go on without ``Traits.attributes``."""
        ...

    def position(self) -> Position | None:
        """After a complete listing; None: this way cannot be gone on this server after all."""
        ...

    async def changes(self, position: Position, differ: Differ) -> Learnt:
        """Give the differ everybody who has changed since.

        Raises:
            PositionLost: list everything.
            LdapFailed, GatewayError: nothing follows; ask again later from the same position.
        """
        ...
