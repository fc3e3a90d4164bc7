"""The port to the count of what people send; kept by the store."""

from __future__ import annotations

from typing import Protocol

from gateway.core.ids import AccountId
from gateway.core.submissions import Hours


class SubmissionStore(Protocol):
    """Counts are exact over all processes and restarts: ``NewMessage.submission`` adds to them in
    the transaction that accepts the message."""

    async def sent_since(self, account_id: AccountId, hour: int) -> Hours:
        """What counts in this hour and all later ones; hours without anything are left out.

        Raises: StoreUnavailable.
        """
        ...
