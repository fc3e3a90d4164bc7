"""Putting a message of the gateway's own into a person's INBOX.

Owns that it has no sender, so that nothing ever answers it, and that no quota keeps it away. The
store takes each id once.
"""

from __future__ import annotations

from gateway.core.ids import AccountId
from gateway.core.messages import NewMessage
from gateway.core.ports.store import Intake


async def put_into_inbox(
    intake: Intake, notice_id: str, account_id: AccountId, octets: bytes, now: int
) -> None:
    """Keep a notice. Raises: StoreUnavailable."""
    body = intake.open_body()
    body.write(octets)
    message = NewMessage(
        ingest_id=notice_id,
        sender=None,
        local_header=b"Return-Path: <>\r\n",
        trace_header=b"",
        body=body,
        local=(account_id,),
        remote=(),
        received_at=now,
        may_exceed_quota=True,
    )
    await intake.accept(message)
