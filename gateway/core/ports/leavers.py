"""The port to what becomes of mail for people who have left or have another address now.

Owns shapes alone; ``people`` keeps it, routing asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.ports.routing import Steps


class LeaversMail(Protocol):
    async def goes_to(self, person: Account, steps: Steps | None = None) -> Address | None:
        """Where mail for this disabled person goes; None: where it always went.

        Raises:
            MailboxDisabled: it is not taken.
            StoreUnavailable: nobody can say at the moment.
        """
        ...

    async def former_owner(
        self, names: Sequence[Address], steps: Steps | None = None
    ) -> Account | None:
        """Who had the first of these addresses that somebody had once, and gets its mail still.

        Raises:
            DirectoryUnavailable, StoreUnavailable: nobody can say at the moment.
        """
        ...
