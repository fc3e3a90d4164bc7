"""BODY[...] sections of one message: where their octets lie, and reading them.

Owns the plan for one message (a section's span or its filtered header, cut by the partial) and the
reads it takes. Plans that are small are read many at a time, with one call of the store; a large
one is streamed, so that memory stays bounded whatever a client asks for (SECURITY I8).

Where only headers of messages are asked for, as when a client lists a mailbox, the message's first
octets tell where its header ends; the summary, which may not even be made yet, is not needed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from gateway.core.errors import StoreDamaged
from gateway.core.messages import MessageRow, MessageSummary
from gateway.core.ports.store import MailboxStore, Unreadable
from gateway.wire.imap import fetch_replies
from gateway.wire.imap.fetch_items import BodySection, SectionText
from gateway.wire.mime import sections as mime

_WHAT: dict[SectionText, mime.What] = {
    SectionText.WHOLE: "",
    SectionText.HEADER: "HEADER",
    SectionText.HEADER_FIELDS: "HEADER",
    SectionText.HEADER_FIELDS_NOT: "HEADER",
    SectionText.TEXT: "TEXT",
    SectionText.MIME: "MIME",
}
HEADER_OCTETS = 16_384
"""Few headers are longer, with all that relays and filters add."""

SECTION_OCTETS = 64
"""What a section counts besides its name and octets: a thousand empty ones take their time too."""

_HEADERS = frozenset({SectionText.HEADER, SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT})
_FILTERED = frozenset({SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT})


class Wanted:
    """One section as asked, with all that is the same for every message of the command."""

    __slots__ = (
        "_field_filter",
        "_partial",
        "_path",
        "_what",
        "in_header",
        "label",
        "needs_summary",
        "peek",
    )

    def __init__(self, section: BodySection) -> None:
        self.label = section.label
        self.peek = section.peek
        self.needs_summary = bool(section.part) or section.what is not SectionText.WHOLE
        """Whether the section's place is not simply the whole message."""
        self.in_header = not section.part and section.what in _HEADERS
        """Whether it lies in the header of the message itself."""
        self._partial = section.partial
        self._path = tuple(int(number) for number in section.part.split(".") if number)
        self._what = _WHAT[section.what]
        self._field_filter: mime.FieldFilter | None = None
        if section.what in _FILTERED:
            names = [name.encode("ascii") for name in section.fields]
            exclude = section.what is SectionText.HEADER_FIELDS_NOT
            self._field_filter = mime.FieldFilter(names, exclude=exclude)

    @property
    def filtered(self) -> bool:
        return self._field_filter is not None

    def span_in(self, row: MessageRow, summary: MessageSummary | None) -> tuple[int, int] | None:
        """The octets to be read; None if the message has no such part.

        ``summary`` may be None if the section needs none. Fields are chosen from the whole header,
        so that a partial is cut out afterwards, by ``chosen``.
        """
        if not self.needs_summary:
            whole: tuple[int, int] | None = (0, row.size_octets)
        else:
            assert summary is not None
            whole = mime.span_of(summary, self._path, self._what)
        if whole is None or self._partial is None or self._field_filter is not None:
            return whole
        return _cut(whole, self._partial)

    def chosen(self, octets: bytes) -> bytes:
        """What to send of the octets of the span."""
        if self._field_filter is None:
            return octets
        return self._cut_out(self._field_filter(octets))

    def from_start(self, start: bytes, *, whole: bool) -> bytes | None:
        """What to send, if ``in_header``, of a message's first octets; None if they are too few."""
        if self._field_filter is None:
            header = mime.header_of_start(start, whole=whole)
        else:
            header = self._field_filter.of_start(start, whole=whole)
        return None if header is None else self._cut_out(header)

    def _cut_out(self, octets: bytes) -> bytes:
        if self._partial is None:
            return octets
        start, end = _cut((0, len(octets)), self._partial)
        return octets[start:end]


def _cut(whole: tuple[int, int], partial: tuple[int, int]) -> tuple[int, int]:
    """RFC 3501 section 6.4.5: what lies behind the end is empty, not an error."""
    first, most = partial
    start = min(whole[0] + first, whole[1])
    return start, min(start + most, whole[1])


class Plan(NamedTuple):
    """All sections asked of one message.

    Args:
        spans: of each section, None where the message has no such part. None instead of all if
            the sections are looked for in the first octets.
        start: first octet needed; ``end`` is that behind the last. Equal if none is.
        octets: most that reading and rendering them takes, names included, which can be long; a
            section may be asked for repeatedly with another partial each.
    """

    row: MessageRow
    wanted: Sequence[Wanted]
    spans: Sequence[tuple[int, int] | None] | None
    start: int
    end: int
    octets: int


def plan(row: MessageRow, summary: MessageSummary | None, wanted: Sequence[Wanted]) -> Plan:
    """Find each section. ``summary`` may be None if no section needs it."""
    spans = [section.span_in(row, summary) for section in wanted]
    needed = [span for span in spans if span is not None and span[0] < span[1]]
    octets = _names_octets(wanted)
    if not needed:
        return Plan(row, wanted, spans, 0, 0, octets)
    start, end = min(needed)[0], max(last for _, last in needed)
    octets += max(end - start, sum(last - first for first, last in needed))
    return Plan(row, wanted, spans, start, end, octets)


def plan_headers(row: MessageRow, wanted: Sequence[Wanted], most_octets: int) -> Plan:
    """Find sections that are all ``in_header``, without a summary."""
    end = min(row.size_octets, HEADER_OCTETS, most_octets // len(wanted))
    return Plan(row, wanted, None, 0, end, _names_octets(wanted) + end * len(wanted))


def _names_octets(wanted: Sequence[Wanted]) -> int:
    return sum([len(section.label) + SECTION_OCTETS for section in wanted])


async def read_small(
    store: MailboxStore, plans: Sequence[Plan]
) -> list[list[bytes] | Unreadable | None]:
    """The rendered sections of each message, or why there are none.

    None: the header is longer than what was read of it for ``plan_headers``.

    Raises: StoreUnavailable.
    """
    spans = [(plan.row.blob_id, plan.start, plan.end - plan.start) for plan in plans]
    answers: Sequence[bytes | Unreadable] = [b""] * len(plans)
    if any(length for _, _, length in spans):
        answers = await store.read_many(spans)
    return [
        octets if isinstance(octets, Unreadable) else _rendered(plan, octets)
        for plan, octets in zip(plans, answers, strict=True)
    ]


def _rendered(plan: Plan, octets: bytes) -> list[bytes] | StoreDamaged | None:
    start = plan.start
    if len(octets) != plan.end - start:
        return _too_short(plan, start, octets)
    if plan.spans is None:
        whole = plan.end == plan.row.size_octets
        items = []
        for section in plan.wanted:
            found = section.from_start(octets, whole=whole)
            if found is None:
                return None
            items.append(fetch_replies.section(section.label, found))
        return items
    return [
        fetch_replies.no_section(section.label)
        if span is None
        else fetch_replies.section(
            section.label, section.chosen(octets[span[0] - start : span[1] - start])
        )
        for section, span in zip(plan.wanted, plan.spans, strict=True)
    ]


async def stream(
    store: MailboxStore,
    plan: Plan,
    chunk_octets: int,
    write: Callable[[bytes], Awaitable[None]],
) -> None:
    """Write the rendered sections in pieces, a space between two.

    Raises: what ``read`` does, also in the middle of a literal: the connection is lost then.
    """
    assert plan.spans is not None, "plans made without a summary are small"
    for index, (section, span) in enumerate(zip(plan.wanted, plan.spans, strict=True)):
        gap = b" " if index else b""
        if span is None:
            await write(gap + fetch_replies.no_section(section.label))
            continue
        chunks = [
            (at, min(at + chunk_octets, span[1])) for at in range(span[0], span[1], chunk_octets)
        ]
        if section.filtered:
            header = b"".join([await _read_exactly(store, plan, *chunk) for chunk in chunks])
            await write(gap + fetch_replies.section(section.label, section.chosen(header)))
            continue
        await write(gap + fetch_replies.section_head(section.label, span[1] - span[0]))
        for chunk in chunks:
            await write(await _read_exactly(store, plan, *chunk))


async def _read_exactly(store: MailboxStore, plan: Plan, start: int, end: int) -> bytes:
    octets = await store.read(plan.row.blob_id, start, end - start)
    if len(octets) != end - start:
        raise _too_short(plan, start, octets)
    return octets


def _too_short(plan: Plan, start: int, octets: bytes) -> StoreDamaged:
    return StoreDamaged(blob_id=plan.row.blob_id, offset=start, found_octets=len(octets))
