"""The part of a delivery report that is for machines (RFC 3464 section 2; RFC 6533 section 4).

Owns its fields and their bound: behind MAX_OCTETS a recipient has the fields that must be there and
no others, so that a thousand long answers do not make a report that nobody takes.
"""

from __future__ import annotations

import re
from email.utils import formatdate

from gateway.wire.dsn_text import MAX_OCTETS as MAX_VALUE_OCTETS
from gateway.wire.dsn_text import one_line, plain
from gateway.wire.dsn_values import Action, Report, Reported
from gateway.wire.xtext import encode_utf8_address

MAX_OCTETS = 262_144

# RFC 3464 section 2.1.2: an address type is an atom.
_NOT_IN_TYPES = re.compile(r"[^A-Za-z0-9!#$%&'*+/=?^_`{|}~-]")


def machine_part(report: Report) -> bytes:
    """Fields about the message, then a block for each recipient; LF line ends."""
    lines = []
    if report.envelope_id:
        lines.append(f"Original-Envelope-Id: {one_line(report.envelope_id, utf8=report.utf8)}")
    lines.append(f"Reporting-MTA: dns; {plain(report.hostname)}")
    lines.append(f"Arrival-Date: {formatdate(report.arrived_at)}")
    blocks = ["\n".join(lines).encode()]
    octets = 0
    for each in report.recipients:
        block = "\n".join(_block(each, report, brief=octets > MAX_OCTETS)).encode()
        octets += len(block)
        blocks.append(block)
    return b"\n\n".join(blocks)


def status_of(each: Reported) -> str:
    """The enhanced status code (RFC 3463); its class follows the action."""
    # RFC 3463 section 3.5: X.4.7 delivery time expired. The action is "failed" though the class
    # stays 4, as RFC 3464 section 2.3.4 allows: trying later by hand may work.
    if each.expired:
        return "4.4.7"
    right = {Action.FAILED: "[45]", Action.DELAYED: "4"}.get(each.action, "2")
    if re.fullmatch(rf"{right}\.[0-9]{{1,3}}\.[0-9]{{1,3}}", each.status):
        return each.status
    return {Action.FAILED: "5.0.0", Action.DELAYED: "4.0.0"}.get(each.action, "2.0.0")


def _block(each: Reported, report: Report, *, brief: bool) -> list[str]:
    utf8 = report.utf8
    address = str(each.address)
    lines = [
        f"Final-Recipient: {_typed('rfc822' if address.isascii() else 'utf-8', address, utf8)}",
        f"Action: {each.action.value}",
        f"Status: {status_of(each)}",
    ]
    kind, _, original = each.original.partition(";")
    if original and not brief:
        lines.insert(0, f"Original-Recipient: {_typed(kind, original, utf8)}")
    if brief:
        return lines
    reply = one_line(each.reply, utf8=utf8)
    remote = one_line(each.remote, utf8=utf8)
    if remote:
        lines.append(f"Remote-MTA: dns; {remote}")
    if reply:
        # RFC 3464 section 2.3.6: ours are no answers of a mail system to us.
        lines.append(f"Diagnostic-Code: {'smtp' if remote else 'x-gateway'}; {reply}")
    lines.append(f"Last-Attempt-Date: {formatdate(report.reported_at)}")
    if report.reference:
        lines.append(f"Final-Log-ID: {plain(report.reference)}")
    if each.retry_until is not None:
        lines.append(f"Will-Retry-Until: {formatdate(each.retry_until)}")
    return lines


def _typed(kind: str, address: str, utf8: bool) -> str:
    """An address with its type; of the type utf-8 in the form that fits (RFC 6533 section 3)."""
    kind = _NOT_IN_TYPES.sub("-", kind)[:60] or "rfc822"
    if kind.casefold() != "utf-8" or utf8:
        return f"{kind}; {one_line(address, utf8=utf8)}"
    address = "".join(c if c.isprintable() else " " for c in address[:MAX_VALUE_OCTETS]).strip()
    while len(coded := encode_utf8_address(address, smtputf8=False)) > MAX_VALUE_OCTETS:
        address = address[: len(address) - 1 - (len(coded) - MAX_VALUE_OCTETS) // 12]
    return f"{kind}; {coded.decode('ascii')}"
