"""BODY[...] sections of one message: where their octets lie, and reading them.

Owns the plan for one message (a section's span or its filtered header, cut by the partial) and the
reads it takes. A message's sections come with one read when they lie within ``chunk_octets``;
otherwise each is streamed, so that memory stays bounded whatever a client asks for (SECURITY I8).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gateway.core.errors import StoreDamaged
from gateway.core.messages import MessageRow, MessageSummary
from gateway.core.ports.store import MailboxStore
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


def needs_summary(section: BodySection) -> bool:
    """Whether the section's place is not simply the whole message."""
    return bool(section.part) or section.what is not SectionText.WHOLE


@dataclass(frozen=True, slots=True)
class Place:
    """A section and its octets' place in the message; None if the message has no such part.

    ``whole`` is the place before the partial was cut out: header fields are chosen from that.
    """

    section: BodySection
    whole: tuple[int, int] | None

    @property
    def filtered(self) -> bool:
        return self.section.what in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT)

    @property
    def span(self) -> tuple[int, int] | None:
        """The octets to be read."""
        if self.whole is None or self.filtered or self.section.partial is None:
            return self.whole
        return _cut(self.whole, self.section.partial)

    def chosen(self, octets: bytes) -> bytes:
        """What to send of the octets of ``span``."""
        if not self.filtered:
            return octets
        names = [name.encode("ascii") for name in self.section.fields]
        exclude = self.section.what is SectionText.HEADER_FIELDS_NOT
        kept = mime.filter_fields(octets, names, exclude=exclude)
        if self.section.partial is None:
            return kept
        start, end = _cut((0, len(kept)), self.section.partial)
        return kept[start:end]


def _cut(whole: tuple[int, int], partial: tuple[int, int]) -> tuple[int, int]:
    """RFC 3501 section 6.4.5: what lies behind the end is empty, not an error."""
    first, most = partial
    start = min(whole[0] + first, whole[1])
    return start, min(start + most, whole[1])


@dataclass(frozen=True, slots=True)
class Plan:
    """All sections asked of one message."""

    row: MessageRow
    places: tuple[Place, ...]

    @property
    def reach(self) -> tuple[int, int]:
        """From the first octet needed to the end of the last; empty if none is."""
        spans = [span for place in self.places if (span := place.span) and span[0] < span[1]]
        if not spans:
            return 0, 0
        return min(start for start, _ in spans), max(end for _, end in spans)

    @property
    def reach_octets(self) -> int:
        start, end = self.reach
        return end - start


def plan(row: MessageRow, summary: MessageSummary | None, wanted: Sequence[BodySection]) -> Plan:
    """Find each section. ``summary`` may be None if no section needs it."""
    places = []
    for section in wanted:
        if not needs_summary(section):
            whole: tuple[int, int] | None = (0, row.size_octets)
        else:
            assert summary is not None
            path = tuple(int(number) for number in section.part.split(".") if number)
            whole = mime.span_of(summary, path, _WHAT[section.what])
        places.append(Place(section, whole))
    return Plan(row, tuple(places))


async def read_small(store: MailboxStore, plan: Plan) -> list[bytes]:
    """The rendered sections of a message whose reach is small. Raises what ``read`` does."""
    start, end = plan.reach
    octets = await _read_exactly(store, plan.row, start, end) if start < end else b""
    return [
        fetch_replies.no_section(place.section.label)
        if (span := place.span) is None
        else fetch_replies.section(
            place.section.label, place.chosen(octets[span[0] - start : span[1] - start])
        )
        for place in plan.places
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
    for index, place in enumerate(plan.places):
        gap = b" " if index else b""
        span, label = place.span, place.section.label
        if span is None:
            await write(gap + fetch_replies.no_section(label))
            continue
        chunks = [
            (at, min(at + chunk_octets, span[1])) for at in range(span[0], span[1], chunk_octets)
        ]
        if place.filtered:
            header = [await _read_exactly(store, plan.row, *chunk) for chunk in chunks]
            await write(gap + fetch_replies.section(label, place.chosen(b"".join(header))))
            continue
        await write(gap + fetch_replies.section_head(label, span[1] - span[0]))
        for chunk in chunks:
            await write(await _read_exactly(store, plan.row, *chunk))


async def _read_exactly(store: MailboxStore, row: MessageRow, start: int, end: int) -> bytes:
    octets = await store.read(row.blob_id, start, end - start)
    if len(octets) != end - start:
        raise StoreDamaged(blob_id=row.blob_id, offset=start, found_octets=len(octets))
    return octets
