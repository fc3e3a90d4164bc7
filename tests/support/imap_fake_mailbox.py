"""What the in-memory store of the IMAP dialogues is made of: mailboxes and arriving messages."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.ids import AccountId, MailboxId, ModSeq, Uid
from gateway.core.mailboxes import Mailbox
from gateway.core.messages import MessageRow


class FakeBody:
    """An arriving message in memory."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.discarded = False

    @property
    def size_octets(self) -> int:
        return len(self.data)

    def write(self, data: bytes) -> None:
        self.data += data

    async def read(self, offset: int, length: int) -> bytes:
        return bytes(self.data[offset : offset + length])

    def discard(self) -> None:
        self.discarded = True


@dataclass
class FakeMailbox:
    mailbox_id: MailboxId
    account_id: AccountId
    name: str
    special_use: str = ""
    uid_next: int = 1
    modseq: int = 1
    recent_from: int = 1
    rows: dict[int, MessageRow] = field(default_factory=dict)
    vanished: list[tuple[int, int]] = field(default_factory=list)  # (modseq, uid)
    deleted: bool = False

    def identity(self) -> Mailbox:
        return Mailbox(
            self.mailbox_id,
            self.account_id,
            self.name,
            1000 + self.mailbox_id,
            Uid(self.uid_next),
            ModSeq(self.modseq),
            self.special_use,
        )
