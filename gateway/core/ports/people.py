"""The port to whoever follows people as the directory changes: new, renamed, disabled, gone.

Owns the shapes of what is told. Told at least once, and before the picture holds the change: when
telling fails, or the process ends in between, the picture is still as it was, so that the next
refresh finds the same change and tells it again. Whoever listens must therefore bear to hear the
same twice. What concerns one person is told in order. That somebody is back after having been gone
is for those to see who keep notes: a picture forgets who is gone, and may itself be lost, after
which everybody is new to it. So a listener ends up right by comparing its notes with the picture
each time ``listed`` is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.core.account import Account
from gateway.core.ids import AccountId


@dataclass(frozen=True, slots=True)
class PersonChange:
    """What became of one person.

    Args:
        source: the name of the directory that says so.
        before: as last seen; None: not seen before, or back.
        after: as the directory has them now; None: gone, which has been asked about by id.
    """

    source: str
    before: Account | None
    after: Account | None

    @property
    def account_id(self) -> AccountId:
        known = self.after or self.before
        assert known is not None
        return known.account_id

    @property
    def came(self) -> bool:
        return self.before is None

    @property
    def left(self) -> bool:
        return self.after is None

    @property
    def was_disabled(self) -> bool:
        """Disabled now, and not before; somebody new who is disabled as well."""
        was_enabled = self.before is None or self.before.enabled
        return self.after is not None and not self.after.enabled and was_enabled

    @property
    def was_enabled(self) -> bool:
        """Enabled now, and disabled before."""
        return (
            self.before is not None
            and not self.before.enabled
            and self.after is not None
            and self.after.enabled
        )

    @property
    def former_addresses(self) -> tuple[str, ...]:
        """Addresses that this person had and has no more."""
        if self.before is None:
            return ()
        left = self.after.addresses if self.after is not None else ()
        return tuple(each for each in self.before.addresses if each not in left)

    @property
    def former_login(self) -> str:
        """The login before it changed; empty: it has not."""
        if self.before is None or self.after is None or self.before.login == self.after.login:
            return ""
        return self.before.login


class PeopleChanged(Protocol):
    """Called by the process that refreshes, which waits for the answer."""

    async def changed(self, changes: Sequence[PersonChange]) -> None:
        """Some people changed; a first listing tells everybody, a page at a time.

        Raises:
            GatewayError: not noted; all of it will be told again.
        """
        ...

    async def listed(self, source: str) -> None:
        """The picture of this directory has been filled or checked as a whole, and nothing is held
        back: who is not in it is not in the directory.

        Raises: as ``changed``.
        """
        ...
