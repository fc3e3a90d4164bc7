"""The port that says which shared mailboxes a person may open, and how far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.core.ids import AccountId
from gateway.core.shared_mailboxes import SharedMailbox


class SharesMailboxes(Protocol):
    """Every answer is about now, as far as the directory or its picture knows. People who are
    disabled, or gone from the directory, share nothing."""

    async def find(self, account_id: AccountId, name: str) -> SharedMailbox | None:
        """The shared mailbox of this name, if this person may do anything there.

        Raises:
            DirectoryUnavailable: nobody can say at the moment.
        """
        ...

    async def shared_with(self, account_id: AccountId) -> Sequence[SharedMailbox]:
        """All that this person may open, ascending by name. Raises: as ``find``."""
        ...
