"""The UIDs of mailboxes opened lately, so that opening one again costs what has changed since.

Owns the memory of one process, used by all its reader threads; sessions on a mailbox share the
value. It is a hint: whoever uses one goes by its MODSEQ and compares the count, so it may be as old
as it likes and other processes may write. Bounded by MAX_OCTETS; the longest unused goes first.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from gateway.core.ids import MailboxId
from gateway.core.uids import UidRuns

MAX_OCTETS = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class KnownUids:
    """The UIDs of a mailbox as they were at a MODSEQ."""

    uid_validity: int
    modseq: int
    uid_next: int
    uids: UidRuns


class RecentUids:
    """What was read last of each mailbox."""

    def __init__(self, max_octets: int = MAX_OCTETS) -> None:
        self._max_octets = max_octets
        self._octets = 0
        self._known: dict[MailboxId, KnownUids] = {}
        self._lock = threading.Lock()

    def get(self, mailbox_id: MailboxId) -> KnownUids | None:
        return self._known.get(mailbox_id)

    def put(self, mailbox_id: MailboxId, known: KnownUids) -> None:
        """Keep it, unless another thread has kept something newer meanwhile."""
        with self._lock:
            before = self._known.get(mailbox_id)
            if before is not None:
                if before.modseq > known.modseq:
                    return
                self._octets -= before.uids.size_octets
                del self._known[mailbox_id]
            self._known[mailbox_id] = known  # last: the order is that of use
            self._octets += known.uids.size_octets
            while self._octets > self._max_octets:
                oldest = next(iter(self._known))
                self._octets -= self._known.pop(oldest).uids.size_octets
