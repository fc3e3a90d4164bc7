"""What the SMTP doors tell the trace: refusals and acceptances, each with the verdicts behind it.

Owns which fields a record has. Never keeps content, passwords or tokens.
"""

from __future__ import annotations

from gateway.core.address import path
from gateway.core.log_text import escaped
from gateway.core.ports.clock import WallClock
from gateway.core.ports.trace import TraceStore
from gateway.core.trace import FieldValue, TraceRecord
from gateway.edge.smtp.transaction import Transaction
from gateway.policy.engine import Visit
from gateway.policy.facts import Client
from gateway.wire.smtp_replies import Reply


class Journal:
    """The records of one connection."""

    def __init__(self, trace: TraceStore | None, wall_clock: WallClock) -> None:
        self._trace = trace
        self._wall_clock = wall_clock

    def refused(
        self, reference: str, client: Client, visit: Visit, reply: Reply, why: object = ""
    ) -> None:
        """A 4xx or 5xx."""
        if self._trace is None or client.rehearsal:
            return
        fields = _client(client)
        fields["reply"] = f"{reply.code} {reply.status} {reply.text}"
        if why:
            fields["why"] = escaped(why)
        keys = [client.peer_ip]
        envelope = visit.facts.envelope
        if envelope is not None:
            fields["sender"] = path(envelope.sender)
            keys.append(path(envelope.sender).casefold())
        if visit.facts.recipient is not None:
            fields["recipient"] = path(visit.facts.recipient.address)
            keys.append(path(visit.facts.recipient.address).casefold())
        _add_rulings(fields, visit)
        self._trace.note(TraceRecord(reference, self._wall_clock(), "refused", tuple(keys), fields))

    def accepted(
        self, transaction: Transaction, client: Client, visit: Visit, size_octets: int, at: float
    ) -> TraceRecord | None:
        """The record that is kept with the message."""
        if self._trace is None or client.rehearsal:
            return None
        envelope = transaction.envelope
        sender = path(envelope.sender)
        recipients = [path(recipient.address) for recipient in envelope.recipients]
        fields = _client(client)
        fields |= {"sender": sender, "recipients": recipients, "size_octets": size_octets}
        _add_rulings(fields, visit)
        keys = (client.peer_ip, sender.casefold(), *(each.casefold() for each in recipients))
        return TraceRecord(transaction.message_id, at, "accepted", keys, fields)


def _client(client: Client) -> dict[str, FieldValue]:
    fields: dict[str, FieldValue] = {
        "listener": client.listener,
        "ip": client.peer_ip,
        "hello": escaped(client.hello),
    }
    if client.account is not None:
        fields["login"] = client.account.login
    return fields


def _add_rulings(fields: dict[str, FieldValue], visit: Visit) -> None:
    if visit.rulings:
        fields["verdicts"] = [
            {
                "stage": ruling.stage.value,
                "check": ruling.verdict.check,
                "action": ruling.verdict.action.value,
                "reason": ruling.verdict.reason,
                **ruling.verdict.inputs,
            }
            for ruling in visit.rulings
        ]
