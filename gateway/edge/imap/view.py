"""One session's view of its selected mailbox: which message has which sequence number, and what
the client has not been told yet.

Owns the mapping between sequence numbers and UIDs and the rule when it may change: a message that
others expunged keeps its number until the client may hear of it (RFC 3501 section 7.4.1). Changes
come as values (``core.mailboxes.Changes``) and leave as values (``News``); nothing here reads the
store or renders a reply.

Invariants: ``uids`` ascends, index i is sequence number i + 1, and it changes only in ``news``;
so a running command sees one numbering from its first reply to its last. Memory: that of
``core.uids``, shared by the sessions on a mailbox until one hears of something; ranges are
intersected, never expanded (SECURITY I7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from gateway.core.ids import MailboxId, Seq, Uid
from gateway.core.mailboxes import ChangedFlags, Changes, MailboxEvent, Selection
from gateway.core.messages import Flags, MessageRow
from gateway.core.uids import Spans, UidRuns
from gateway.core.uidset import Ranges, contains, from_sorted, normalise
from gateway.wire.imap.sequence import SequenceSet


@dataclass(frozen=True, slots=True)
class News:
    """What the client is to be told, in this order.

    Args:
        expunged: sequence numbers in descending stretches, so that none of them moves another.
        exists: the new number of messages, None if none came.
        recent: the new number of \\Recent messages, None if it did not change.
        flags: messages whose flags changed, with their (new) sequence numbers.
    """

    expunged: tuple[range, ...] = ()
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
        self.uids: UidRuns = selection.uids
        self.recent_from = selection.recent_from
        self.highest_modseq = mailbox.highest_modseq
        self.keywords: set[str] = set(selection.keywords)
        self._known_to = mailbox.uid_next  # a message with this UID or a higher one is new
        self._stale = True  # a commit between the store's answer and the watch goes unseen
        self._gone: Ranges = ()  # sequence numbers
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
        return len(self.uids) - self.uids.below(self.recent_from)

    def seq_of(self, uid: int) -> Seq:
        """The sequence number of a UID, 0 if the view does not hold it."""
        return Seq(self.uids.index_of(uid) + 1)

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
        return self.uids.spans(numbers.resolve(self.uids.last))

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
        return [index + 1 for index in self.uids.indexes_of(uids)]

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
        ranges = self.uid_ranges(spans)
        self._changed = {
            uid: change
            for uid, change in self._changed.items()
            if not (contains(ranges, uid) and known(change))
        }

    def asking(self) -> None:
        """``take`` is about to get what is known now; a hint that comes meanwhile counts anew."""
        self._stale = False

    def take(self, changes: Changes) -> None:
        """Note what happened after ``highest_modseq``; ``news`` tells it."""
        for change in changes.changed:
            if change.uid >= self._known_to:
                self._arrived.append(change.uid)
                self._known_to = Uid(change.uid + 1)
            else:
                self._changed[change.uid] = change
        if changes.vanished:
            # What came and went before the client heard of it is never told.
            vanished = changes.vanished
            self._arrived = [uid for uid in self._arrived if not contains(vanished, uid)]
            held = self.uids.spans(vanished)
            self._gone = normalise((*self._gone, *((start + 1, end) for start, end in held)))
        self.highest_modseq = max(self.highest_modseq, changes.highest_modseq)

    def news(self, *, may_expunge: bool) -> News:
        """What may be told now, and from now on counts as told."""
        expunged: tuple[range, ...] = ()
        if self._gone and may_expunge:
            expunged = tuple(range(last, first - 1, -1) for first, last in reversed(self._gone))
            self.uids = self.uids.without(tuple((first - 1, last) for first, last in self._gone))
            self._gone = ()
        exists = None
        if self._arrived:
            self.uids = self.uids.appended(from_sorted(self._arrived))
            self._arrived = []
            exists = len(self.uids)
        recent = self.recent if self.recent != self._recent_told else None
        self._recent_told = self.recent
        flags = tuple(
            (seq, self._changed[uid])
            for uid in sorted(self._changed)
            if (seq := self.seq_of(uid))
            and not contains(self._gone, seq)
            and self._told.get(uid) != self._changed[uid].flags
        )
        self._changed = {}
        self._told = {}
        return News(expunged, exists, recent, flags)

    def learn_keywords(self, flags: Flags) -> bool:
        """Whether a keyword is among them that the client was not told of; then it is noted."""
        fresh = {flag for flag in flags if not flag.startswith("\\")} - self.keywords
        self.keywords |= fresh
        return bool(fresh)
