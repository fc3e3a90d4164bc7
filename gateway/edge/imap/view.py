"""One session's view of its selected mailbox: which message has which sequence number, and what
the client has not been told yet.

Owns the mapping between sequence numbers and UIDs and the rule when it may change: a message that
others expunged keeps its number until the client may hear of it (RFC 3501 section 7.4.1). Changes
come as values (``core.mailboxes.Changes``) and leave as values (``News``); nothing here reads the
store or renders a reply.

Invariants: ``uids`` ascends, index i is sequence number i + 1, and it changes only in ``news``;
so a running command sees one numbering from its first reply to its last. Memory: four octets a
message, and ranges are intersected, never expanded (SECURITY I7).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from gateway.core.ids import MailboxId, Seq, Uid
from gateway.core.mailboxes import ChangedFlags, Changes, MailboxEvent, Selection
from gateway.core.messages import Flags, MessageRow
from gateway.core.uidset import Ranges
from gateway.wire.imap.sequence import SequenceSet

Spans = tuple[tuple[int, int], ...]
"""Half-open index ranges into ``MailboxView.uids``, ascending and disjoint."""

REBUILD_FROM = 64
"""From so many expunged messages on, one pass over the array is cheaper than single deletions."""


@dataclass(frozen=True, slots=True)
class News:
    """What the client is to be told, in this order.

    Args:
        expunged: sequence numbers, descending, so that none of them moves another.
        exists: the new number of messages, None if none came.
        recent: the new number of \\Recent messages, None if it did not change.
        flags: messages whose flags changed, with their (new) sequence numbers.
    """

    expunged: tuple[Seq, ...] = ()
    exists: int | None = None
    recent: int | None = None
    flags: tuple[tuple[Seq, ChangedFlags], ...] = ()


class OutsideMailbox(Exception):
    """A sequence number above the number of messages."""


class MailboxView:
    """What one session believes about the mailbox it selected."""

    def __init__(self, selection: Selection, *, read_only: bool) -> None:
        mailbox = selection.mailbox
        self.mailbox_id: MailboxId = mailbox.mailbox_id
        self.read_only = read_only
        self.uids: array[int] = selection.uids
        self.recent_from = selection.recent_from
        self.highest_modseq = mailbox.highest_modseq
        self.keywords: set[str] = set(selection.keywords)
        self._known_to = mailbox.uid_next  # a message with this UID or a higher one is new
        self._stale = True  # a commit between the store's answer and the watch goes unseen
        self._gone: set[int] = set()
        self._arrived: list[int] = []
        self._changed: dict[int, ChangedFlags] = {}
        self._told: dict[int, Flags] = {}
        self._recent_told = self.recent

    # -- numbers

    @property
    def exists(self) -> int:
        return len(self.uids)

    @property
    def recent(self) -> int:
        return len(self.uids) - bisect_left(self.uids, self.recent_from)

    def seq_of(self, uid: int) -> Seq:
        """The sequence number of a UID, 0 if the view does not hold it."""
        index = bisect_left(self.uids, uid)
        if index < len(self.uids) and self.uids[index] == uid:
            return Seq(index + 1)
        return Seq(0)

    def spans_of(self, numbers: SequenceSet, *, uid: bool) -> Spans:
        """Which messages a set of sequence numbers or UIDs means.

        Raises:
            OutsideMailbox: a sequence number above the number of messages, or ``*`` in an empty
                mailbox: RFC 3501 section 9 (seq-number) asks for BAD. UIDs that do not exist are
                no error (section 6.4.8).
        """
        if not uid:
            if numbers.exceeds(len(self.uids)):
                raise OutsideMailbox
            return tuple((low - 1, high) for low, high in numbers.resolve(len(self.uids)))
        spans = []
        for low, high in numbers.resolve(self.uids[-1] if self.uids else 0):
            start, end = bisect_left(self.uids, low), bisect_right(self.uids, high)
            if start < end:
                spans.append((start, end))
        return tuple(spans)

    def uid_ranges(self, spans: Spans) -> Ranges:
        """UID ranges that hold exactly the spans' messages, as far as they still exist.

        A UID between two neighbours of the view is gone for ever, so ranges need no gaps.
        """
        return tuple((self.uids[start], self.uids[end - 1]) for start, end in spans)

    def batches(self, spans: Spans, size: int) -> Iterator[Spans]:
        """The spans cut and gathered into pieces of at most so many messages."""
        batch: list[tuple[int, int]] = []
        room = size
        for start, end in spans:
            while end - start > room:
                if room:
                    batch.append((start, start + room))
                    start += room
                yield tuple(batch)
                batch, room = [], size
            batch.append((start, end))
            room -= end - start
        if batch:
            yield tuple(batch)

    def numbered(
        self, spans: Spans, rows: Sequence[MessageRow]
    ) -> Sequence[tuple[int, MessageRow]]:
        """Rows of the spans' messages with their sequence numbers; those gone have no row."""
        if len(rows) == sum(end - start for start, end in spans):
            seqs = chain.from_iterable(range(start + 1, end + 1) for start, end in spans)
            return list(zip(seqs, rows, strict=True))
        return [(seq, row) for row in rows if (seq := self.seq_of(row.uid))]

    def seqs_of(self, uids: Sequence[int]) -> list[int]:
        """Sequence numbers of ascending UIDs, leaving out those the view does not hold."""
        if len(uids) * 8 < len(self.uids):
            return [seq for seq in map(self.seq_of, uids) if seq]
        index_of = {uid: seq for seq, uid in enumerate(self.uids, 1)}
        return [index_of[uid] for uid in uids if uid in index_of]

    # -- changes

    def hint(self, event: MailboxEvent) -> None:
        """The change feed says that something was committed.

        A mailbox that is deleted keeps its MODSEQ, so one that is not new counts as well.
        """
        if event.highest_modseq >= self.highest_modseq:
            self.doubt()

    @property
    def stale(self) -> bool:
        """There may be changes that ``take`` has not seen."""
        return self._stale

    def doubt(self) -> None:
        """Count as stale from now on."""
        self._stale = True

    def told(self, uid: int, flags: Flags) -> None:
        """A reply is telling these flags; ``news`` need not repeat them."""
        self._told[uid] = flags

    def mute(self, spans: Spans, known: Callable[[ChangedFlags], bool]) -> None:
        """Leave out changes of these messages that the client knows of (STORE .SILENT).

        The client knows only what it did itself: a change of the same message by somebody else
        must still reach it (RFC 3501 section 6.4.6, note).
        """
        for start, end in spans:
            low, high = self.uids[start], self.uids[end - 1]
            for uid in [uid for uid in self._changed if low <= uid <= high]:
                if known(self._changed[uid]):
                    del self._changed[uid]

    def asking(self) -> None:
        """``take`` is about to get what is known now; a hint that comes meanwhile counts anew."""
        self._stale = False

    def take(self, changes: Changes) -> None:
        """Note what happened after ``highest_modseq``; ``news`` tells it."""
        arrived = set(self._arrived)
        for change in changes.changed:
            if change.uid >= self._known_to:
                arrived.add(change.uid)
                self._arrived.append(change.uid)
                self._known_to = Uid(change.uid + 1)
            else:
                self._changed[change.uid] = change
        for uid in changes.vanished:
            if uid in arrived or self.seq_of(uid):
                self._gone.add(uid)
                self._changed.pop(uid, None)
        self.highest_modseq = max(self.highest_modseq, changes.highest_modseq)

    def news(self, *, may_expunge: bool) -> News:
        """What may be told now, and from now on counts as told."""
        expunged: tuple[Seq, ...] = ()
        if self._gone:
            # Came and went before the client heard of it.
            unheard = self._gone.intersection(self._arrived)
            if unheard:
                self._arrived = [uid for uid in self._arrived if uid not in unheard]
                self._gone -= unheard
            if may_expunge:
                expunged = self._remove_gone()
        exists = None
        if self._arrived:
            self.uids.extend(self._arrived)
            self._arrived = []
            exists = len(self.uids)
        recent = self.recent if self.recent != self._recent_told else None
        self._recent_told = self.recent
        flags = tuple(
            (seq, self._changed[uid])
            for uid in sorted(self._changed)
            if (seq := self.seq_of(uid))
            and uid not in self._gone
            and self._told.get(uid) != self._changed[uid].flags
        )
        self._changed = {}
        self._told = {}
        return News(expunged, exists, recent, flags)

    def _remove_gone(self) -> tuple[Seq, ...]:
        seqs = sorted((seq for seq in map(self.seq_of, self._gone) if seq), reverse=True)
        if len(seqs) < REBUILD_FROM:
            for seq in seqs:
                del self.uids[seq - 1]
        else:
            gone = self._gone
            self.uids = array("I", [uid for uid in self.uids if uid not in gone])
        self._gone = set()
        return tuple(seqs)

    def learn_keywords(self, flags: Flags) -> bool:
        """Whether a keyword is among them that the client was not told of; then it is noted."""
        fresh = {flag for flag in flags if not flag.startswith("\\")} - self.keywords
        self.keywords |= fresh
        return bool(fresh)
