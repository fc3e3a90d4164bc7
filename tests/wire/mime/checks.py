"""What must hold for the summary of any message whatever."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.messages import MessageSummary, PartSpan
from tests.wire.mime import imap_data


def check_summary(message: bytes, summary: MessageSummary) -> None:
    """Rendered data is grammatical, and spans are ordered and inside one another."""
    imap_data.check_envelope(imap_data.read(summary.envelope))
    count = imap_data.check_body(imap_data.read(summary.body), extended=False)
    assert imap_data.check_body(imap_data.read(summary.body_structure), extended=True) == count
    parts = summary.parts
    assert (parts[""].header_start, parts[""].body_end) == (0, len(message))
    for path, span in parts.items():
        assert 0 <= span.header_start <= span.body_start <= span.body_end <= len(message), path
        outer = parts[_parent(path, parts)]
        if span != outer:  # part 1 of a message that is no multipart is the message itself
            assert outer.body_start <= span.header_start and span.body_end <= outer.body_end, path
    _check_siblings(parts)


def _parent(path: str, parts: Mapping[str, PartSpan]) -> str:
    if path.endswith(".MSG"):
        return path.removesuffix(".MSG")
    above = path.rpartition(".")[0]
    return f"{above}.MSG" if f"{above}.MSG" in parts else above


def _check_siblings(parts: Mapping[str, PartSpan]) -> None:
    last: dict[str, PartSpan] = {}
    for path, span in parts.items():
        above, _, number = path.rpartition(".")
        if not number.isdigit():
            continue
        assert int(number) == 1 or f"{above}.{int(number) - 1}".lstrip(".") in parts
        if above in last:
            assert last[above].body_end <= span.header_start, path
        last[above] = span
