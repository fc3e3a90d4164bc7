"""What the SMTP doors tell the trace: refusals and acceptances, each with the verdicts behind it.

Owns which fields a record has. Never keeps content, passwords or tokens. What strangers have said
goes in as it is: the form in which records are kept escapes it, and whoever shows them does.

Limits: MAX_REFUSALS records about the refusals of one connection; how many followed is told at its
end. Of a message, MAX_SHOWN recipients and members of groups are told, and it is found by
MAX_KEYS of them, whatever the groups are that somebody names.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.address import path
from gateway.core.envelope import (
    NO_OPTIONS,
    NOTHING_ASKED,
    BodyKind,
    Hold,
    MessageOptions,
    RecipientOptions,
)
from gateway.core.log_text import escaped
from gateway.core.ports.clock import WallClock
from gateway.core.ports.trace import TraceStore
from gateway.core.route import Expansion, LocalMailbox, Outbound
from gateway.core.trace import MAX_KEYS, FieldValue, TraceRecord, search_key
from gateway.edge.smtp.transaction import Transaction
from gateway.policy.engine import Visit
from gateway.policy.facts import Client, Recipient
from gateway.wire.smtp_commands import Mail, Rcpt
from gateway.wire.smtp_replies import Reply

MAX_REFUSALS = 20
MAX_SHOWN = 150
"""More do not fit into a record."""


class Journal:
    """The records of one door's connections."""

    def __init__(self, trace: TraceStore | None, wall_clock: WallClock) -> None:
        self._trace = trace
        self._wall_clock = wall_clock

    def refused(
        self,
        reference: str,
        client: Client,
        visit: Visit,
        reply: Reply,
        why: object = "",
        asked: object = None,
    ) -> None:
        """A 4xx or 5xx.

        Args:
            asked: the command that was refused, if it was one.
        """
        if self._trace is None or client.rehearsal:
            return
        client.refusals += 1
        if client.refusals > MAX_REFUSALS:
            return
        fields = _client(client)
        fields["reply"] = f"{reply.code} {reply.status} {reply.text}"
        if why:
            fields["why"] = escaped(why)
        keys = _keys(client)
        envelope = visit.facts.envelope
        if isinstance(asked, Mail):
            fields["sender"] = path(asked.sender)
            keys.append(search_key(path(asked.sender)))
        elif envelope is not None:
            fields["sender"] = path(envelope.sender)
            keys.append(search_key(path(envelope.sender)))
            if isinstance(asked, Rcpt):
                fields["recipient"] = path(asked.recipient)
                keys.append(search_key(path(asked.recipient)))
            elif envelope.recipients:
                recipients = _Recipients(envelope.recipients)
                recipients.add_to(fields)
                keys += recipients.keys
        _add_rulings(fields, visit)
        self._note(reference, "refused", keys, fields)

    def ended(self, client: Client) -> None:
        """The connection is gone: how often it was refused besides what is recorded."""
        more = client.refusals - MAX_REFUSALS
        if more > 0:
            fields = _client(client)
            fields["more_refusals"] = more
            self._note(client.connection_id, "refused", _keys(client), fields)

    def accepted(
        self,
        transaction: Transaction,
        client: Client,
        visit: Visit,
        size_octets: int,
        at: float,
        message_id: str = "",
    ) -> TraceRecord | None:
        """The record that is kept with the message.

        Args:
            message_id: of the message's header, for finding it.
        """
        if self._trace is None or client.rehearsal:
            return None
        envelope = transaction.envelope
        sender = transaction.sender_path
        recipients = _Recipients(envelope.recipients, transaction)
        fields = _client(client)
        fields["sender"] = sender
        recipients.add_to(fields)
        fields["size_octets"] = size_octets
        keys = [*_keys(client), search_key(sender), *recipients.keys]
        if message_id:
            fields["message_id"] = message_id
            keys.append(search_key(message_id))
        if envelope.options is not NO_OPTIONS:
            fields["options"] = options_in_words(envelope.options)
        if visit.rulings:
            _add_rulings(fields, visit)
        return TraceRecord(transaction.message_id, at, "accepted", tuple(keys), fields)

    def held(self, message_id: str, client: Client, hold: Hold) -> None:
        """A message that was just accepted waits, for a reason found in that moment."""
        if self._trace is None or client.rehearsal:
            return
        fields: dict[str, FieldValue] = {"reason": hold.reason, "until": hold.until}
        self._note(message_id, "held", _keys(client), fields)

    def _note(
        self, trace_id: str, kind: str, keys: list[str], fields: dict[str, FieldValue]
    ) -> None:
        assert self._trace is not None
        self._trace.note(TraceRecord(trace_id, self._wall_clock(), kind, tuple(keys), fields))


def _keys(client: Client) -> list[str]:
    if client.account is None:
        return [client.peer_ip]
    return [client.peer_ip, search_key(client.account.login)]


def _client(client: Client) -> dict[str, FieldValue]:
    fields: dict[str, FieldValue] = {
        "listener": client.listener,
        "ip": client.peer_ip,
        "hello": client.hello,
    }
    if client.host_name:
        fields["host_name"] = client.host_name
    if client.tls:
        fields["tls"] = client.tls
    if client.account is not None:
        fields["login"] = client.account.login
    return fields


class _Recipients:
    """Who was named and where their mail goes, and what they are found by."""

    __slots__ = ("count", "keys", "shown")

    def __init__(
        self, recipients: Sequence[Recipient], transaction: Transaction | None = None
    ) -> None:
        self.shown: list[dict[str, str]] = []
        self.keys: list[str] = []
        self.count = 0
        # A group may have thousands of members, and be named a thousand times.
        named: set[str] = set()
        for recipient in recipients:
            address, route = str(recipient.address), recipient.route
            if address in named:
                continue
            named.add(address)
            self._add_key(address)
            if isinstance(route, Expansion):
                self._add_members(address, route, recipient.options)
            elif transaction is not None and transaction.is_left_out(recipient):
                self._show({"address": address, "to": _TO_NOBODY}, recipient.options)
            else:
                self._show({"address": address, "to": _where(route)}, recipient.options)

    def _add_members(self, address: str, group: Expansion, options: RecipientOptions) -> None:
        most = max(MAX_KEYS - len(self.keys), 0)
        for member in group.members[:most]:
            text = str(member.address)
            self._add_key(text)
            self._show({"address": address, "member": text, "to": _where(member.route)}, options)
        self.count += max(len(group.members) - most, 0)

    def _add_key(self, address: str) -> None:
        if len(self.keys) < MAX_KEYS:
            self.keys.append(search_key(address))

    def _show(self, entry: dict[str, str], options: RecipientOptions) -> None:
        self.count += 1
        if self.count > MAX_SHOWN:
            return
        if options is not NOTHING_ASKED:
            if options.notify is not None:
                entry["notify"] = options.notify.name or "NEVER"
            if options.original:
                entry["original"] = options.original
        self.shown.append(entry)

    def add_to(self, fields: dict[str, FieldValue]) -> None:
        fields["recipients"] = self.shown
        if self.count > MAX_SHOWN:
            fields["recipients_in_all"] = self.count


_TO_NOBODY = "nobody, as the mailbox is full"


def _where(route: LocalMailbox | Outbound) -> str:
    if isinstance(route, LocalMailbox):
        return f"mailbox of {route.account.login}"
    return route.next_hop or "another server"


def options_in_words(options: MessageOptions) -> list[str]:
    """As MAIL would say them."""
    by = options.deliver_by
    mode = "" if by is None else ("R" if by.or_return else "N") + ("T" if by.trace else "")
    said = {
        f"BODY={options.body.value}": options.body is not BodyKind.SEVEN_BIT,
        "SMTPUTF8": options.smtputf8,
        f"RET={options.ret}": bool(options.ret),
        f"ENVID={options.envid}": bool(options.envid),
        f"BY={by.at if by is not None else 0};{mode}": by is not None,
        f"HOLDUNTIL={options.release_at}": options.release_at is not None,
        f"MT-PRIORITY={options.priority}": bool(options.priority),
        "REQUIRETLS": options.require_tls,
        f"SOLICIT={','.join(options.solicit)}": bool(options.solicit),
    }
    return [word for word, is_said in said.items() if is_said]


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
