"""FETCH and UID FETCH (RFC 3501 section 6.4.5).

Owns the way from message numbers to replies: index rows in batches, summaries only where an item
needs them, small bodies in groups with one call of the store each, large ones streamed, with
back-pressure after each. Where a message cannot be read, the others still come (SECURITY M6) and
the tagged reply says so.

Memory: one batch of rows, and bodies of at most ``GROUP_OCTETS`` or one chunk of a large one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from gateway.core.errors import MessageGone, StoreDamaged, StoreUnavailable
from gateway.core.messages import Flags, MessageRow, MessageSummary
from gateway.core.ports.store import Unreadable
from gateway.core.uids import Spans
from gateway.core.uidset import from_sorted
from gateway.edge.imap import sections
from gateway.edge.imap.errors import Reply, no, ok
from gateway.edge.imap.news import keyword_lines
from gateway.edge.imap.session import Session
from gateway.edge.imap.view import MailboxView
from gateway.wire.imap import fetch_replies
from gateway.wire.imap.commands import Fetch
from gateway.wire.imap.fetch_items import BodySection, FetchAttribute

GROUP_OCTETS = 1_048_576
"""Bodies read together for one connection, so that a thousand connections stay at a gigabyte."""
STORED_OCTETS = 16_777_216
"""Of messages touched together: whatever little is wanted of one, its checksum is of it all."""

_FROM_SUMMARY = frozenset(
    {FetchAttribute.ENVELOPE, FetchAttribute.BODY, FetchAttribute.BODYSTRUCTURE}
)
_FLAGS_ONLY = frozenset({FetchAttribute.FLAGS, FetchAttribute.UID})

Numbered = Sequence[tuple[int, MessageRow]]


@dataclass(slots=True)
class _Job:
    """One FETCH under way."""

    session: Session
    attributes: tuple[FetchAttribute, ...]
    wanted: tuple[sections.Wanted, ...]
    view: MailboxView = field(init=False)
    needs_summaries: bool = field(init=False)
    only_headers: bool = field(init=False)
    seen_flags: set[Flags] = field(default_factory=set)
    rendered_flags: dict[tuple[Flags, bool], bytes] = field(default_factory=dict)
    asked: int = 0
    sent: int = 0
    damaged: int = 0

    def __post_init__(self) -> None:
        self.view = self.session.selected
        self.needs_summaries = any(section.needs_summary for section in self.wanted) or not (
            _FROM_SUMMARY.isdisjoint(self.attributes)
        )
        self.only_headers = (
            bool(self.wanted)
            and all(section.in_header for section in self.wanted)
            and _FROM_SUMMARY.isdisjoint(self.attributes)
        )


async def fetch(session: Session, command: Fetch) -> Reply:
    job = _Job(
        session,
        tuple(item for item in command.items if isinstance(item, FetchAttribute)),
        tuple(sections.Wanted(item) for item in command.items if isinstance(item, BodySection)),
    )
    spans = job.view.spans_of(command.numbers, uid=command.uid)
    for batch in job.view.batches(spans, session.services.limits.fetch_rows):
        await _fetch_batch(job, batch)
    if job.damaged:
        return no("Some of the messages cannot be read at the moment", "CORRUPTION")
    if job.sent < job.asked and not command.uid:
        # RFC 2180 section 4.1.2; UIDs that do not exist are no error (RFC 3501 section 6.4.8).
        return no("Some of the messages no longer exist", "EXPUNGEISSUED")
    return ok("Fetched")


async def _fetch_batch(job: _Job, batch: Spans) -> None:
    session, view = job.session, job.view
    rows = await session.store.rows(view.mailbox_id, view.uid_ranges(batch))
    job.asked += sum(end - start for start, end in batch)
    numbered = view.numbered(batch, rows)
    if job.only_headers:
        numbered = await _fetch_headers(job, numbered)
        if not numbered:
            return
    summaries: dict[int, MessageSummary] = {}
    if job.needs_summaries:
        summaries = await _summaries(job, numbered)
        numbered = [(seq, row) for seq, row in numbered if row.blob_id in summaries]
    if job.wanted:
        await _fetch_sections(job, numbered, summaries)
        return
    _tell_keywords(job, numbered)
    job.sent += len(numbered)
    if _FLAGS_ONLY.issuperset(job.attributes) and FetchAttribute.FLAGS in job.attributes:
        with_uid = FetchAttribute.UID in job.attributes
        recent_from = view.recent_from
        lines = fetch_replies.flag_lines(
            (seq, row.uid if with_uid else None, row.flags, row.uid >= recent_from)
            for seq, row in numbered
        )
    else:
        lines = b"".join(
            fetch_replies.fetch_line(seq, _attributes(job, row, summaries.get(row.blob_id)))
            for seq, row in numbered
        )
    session.peer.send(lines)
    await session.peer.writable()


async def _summaries(job: _Job, numbered: Numbered) -> dict[int, MessageSummary]:
    """By blob; messages whose octets are damaged or gone are left out."""
    blob_ids = list({row.blob_id: None for _, row in numbered})
    found: dict[int, MessageSummary] = {}
    for blob_id, answer in zip(blob_ids, await job.session.store.summaries(blob_ids), strict=True):
        if isinstance(answer, Unreadable):
            _note_unreadable(job, answer)
        else:
            found[blob_id] = answer
    return found


def _note_unreadable(job: _Job, trouble: Unreadable) -> None:
    """Not sent; if it is no longer there, it need not be told apart from what had no row."""
    if isinstance(trouble, StoreDamaged):
        _log_damage(job.session, trouble)
        job.damaged += 1


def _tell_keywords(job: _Job, numbered: Numbered) -> None:
    if FetchAttribute.FLAGS in job.attributes:
        fresh = {row.flags for _, row in numbered} - job.seen_flags
        job.seen_flags |= fresh
        if fresh:
            job.session.peer.send(keyword_lines(job.view, fresh))


def _attributes(job: _Job, row: MessageRow, summary: MessageSummary | None) -> list[bytes]:
    """The items that are no body sections, rendered in the order asked."""
    items: list[bytes] = []
    for attribute in job.attributes:
        match attribute:
            case FetchAttribute.FLAGS:
                items.append(_flags(job, row))
            case FetchAttribute.UID:
                items.append(fetch_replies.uid(row.uid))
            case FetchAttribute.INTERNALDATE:
                items.append(fetch_replies.internal_date(row.internal_date))
            case FetchAttribute.RFC822_SIZE:
                items.append(fetch_replies.size(row.size_octets))
            case FetchAttribute.ENVELOPE:
                assert summary is not None
                items.append(fetch_replies.envelope(summary.envelope))
            case FetchAttribute.BODY:
                assert summary is not None
                items.append(fetch_replies.body(summary.body))
            case FetchAttribute.BODYSTRUCTURE:
                assert summary is not None
                items.append(fetch_replies.body_structure(summary.body_structure))
    return items


def _flags(job: _Job, row: MessageRow) -> bytes:
    """Rendered once for all messages that have the same, which are most."""
    key = row.flags, row.uid >= job.view.recent_from
    if key not in job.rendered_flags:
        job.rendered_flags[key] = fetch_replies.flags(key[0], recent=key[1])
    return job.rendered_flags[key]


# --- bodies --------------------------------------------------------------------------------------

_Group = list[tuple[int, sections.Plan]]


def _groups(job: _Job, plans: _Group) -> Iterator[_Group]:
    """Messages whose sections are read together; one whose sections are large stands alone."""
    limits = job.session.services.limits
    group: _Group = []
    octets = stored = 0
    for seq, plan in plans:
        large = plan.octets > limits.chunk_octets
        full = octets + plan.octets > GROUP_OCTETS or stored >= STORED_OCTETS
        if group and (large or full):
            yield group
            group, octets, stored = [], 0, 0
        if large:
            yield [(seq, plan)]
            continue
        group.append((seq, plan))
        octets += plan.octets
        stored += plan.row.size_octets
    if group:
        yield group


async def _fetch_headers(job: _Job, numbered: Numbered) -> Numbered:
    """Answer from each message's first octets; gives those whose header is longer than these."""
    most = job.session.services.limits.chunk_octets
    plans = [(seq, sections.plan_headers(row, job.wanted, most)) for seq, row in numbered]
    longer: list[tuple[int, MessageRow]] = []
    for group in _groups(job, plans):
        longer += await _fetch_small(job, group, {})
    return longer


async def _fetch_sections(
    job: _Job, numbered: Numbered, summaries: dict[int, MessageSummary]
) -> None:
    plans = [
        (seq, sections.plan(row, summaries.get(row.blob_id), job.wanted)) for seq, row in numbered
    ]
    for group in _groups(job, plans):
        ((seq, plan), *others) = group
        if not others and plan.octets > job.session.services.limits.chunk_octets:
            await _stream_body(job, seq, plan, summaries)
        else:
            await _fetch_small(job, group, summaries)


async def _fetch_small(
    job: _Job, group: _Group, summaries: dict[int, MessageSummary]
) -> list[tuple[int, MessageRow]]:
    """A group of messages at once; gives those whose header was longer than its plan."""
    session = job.session
    longer: list[tuple[int, MessageRow]] = []
    loaded: list[tuple[int, MessageRow, list[bytes]]] = []
    answers = await sections.read_small(session.store, [plan for _, plan in group])
    for (seq, plan), answer in zip(group, answers, strict=True):
        if isinstance(answer, Unreadable):
            _note_unreadable(job, answer)
        elif answer is None:
            longer.append((seq, plan.row))
        else:
            loaded.append((seq, plan.row, answer))
    seen = await _mark_seen(job, [row for _, row, _ in loaded])
    _tell_keywords(job, [(seq, row) for seq, row, _ in loaded])
    lines = []
    for seq, row, bodies in loaded:
        items = _attributes_of(job, row, summaries, seen)
        lines.append(fetch_replies.fetch_line(seq, items + bodies))
    job.sent += len(loaded)
    session.peer.send(b"".join(lines))
    await session.peer.writable()
    return longer


async def _stream_body(
    job: _Job,
    seq: int,
    plan: sections.Plan,
    summaries: dict[int, MessageSummary],
) -> None:
    """One large message, never whole in memory."""
    session = job.session
    peer = session.peer
    seen = await _mark_seen(job, [plan.row])
    _tell_keywords(job, [(seq, plan.row)])

    async def write(piece: bytes) -> None:
        peer.send(piece)
        await peer.writable()

    items = _attributes_of(job, plan.row, summaries, seen)
    peer.send(fetch_replies.opening(seq) + b"".join(item + b" " for item in items))
    try:
        await sections.stream(session.store, plan, session.services.limits.chunk_octets, write)
    except (StoreDamaged, StoreUnavailable, MessageGone) as trouble:
        # A literal's length was announced: nothing but its octets may follow on this connection.
        _log_damage(session, trouble)
        peer.abort()
        return
    peer.send(fetch_replies.CLOSING)
    job.sent += 1


async def _mark_seen(job: _Job, rows: Sequence[MessageRow]) -> dict[int, Flags]:
    """Set \\Seen as reading a body does, unless peeking; gives the new flags by UID."""
    if job.view.read_only or all(section.peek for section in job.wanted):
        return {}
    unseen = [row for row in rows if "\\Seen" not in row.flags]
    if not unseen:
        return {}
    flags = frozenset({"\\Seen"})
    ranges = from_sorted([row.uid for row in unseen])
    try:
        await job.session.store.store_flags(job.view.mailbox_id, ranges, "add", flags)
    except StoreUnavailable as trouble:
        # Mail can be read when nothing can be written (SECURITY D6).
        _log_damage(job.session, trouble)
        return {}
    return {row.uid: row.flags | flags for row in unseen}


def _attributes_of(
    job: _Job, row: MessageRow, summaries: dict[int, MessageSummary], seen: dict[int, Flags]
) -> list[bytes]:
    """The items besides bodies; with FLAGS if they changed ("SHOULD be included")."""
    changed = seen.get(row.uid)
    if changed is not None:
        row = replace(row, flags=changed)
        job.view.told(row.uid, changed)
    items = _attributes(job, row, summaries.get(row.blob_id))
    if changed is not None and FetchAttribute.FLAGS not in job.attributes:
        items.append(_flags(job, row))
    return items


def _log_damage(session: Session, trouble: Exception) -> None:
    session.log.error("{id} FETCH: {trouble}", id=session.peer.connection_id, trouble=trouble)
