"""What a submission server owes the mail of our own people (RFC 6409 sections 6 and 8).

Owns the duties in their order: Bcc is taken out while the header streams past; then From, Sender
and their Resent twins are compared with what the person may use; Date, Message-ID, From and Sender
are added where they are missing; and a person's limits say whether the message goes on, waits, or
is refused. The header's grammar is in ``wire.submission``, the rules in ``policy``.

What is added stands above the message's own header, so that nothing of the message is held back for
the answer, and every octet of it but Bcc (and a Sender that is not true) stays as it came.

Duties are owed to people who have logged in, and on submission doors to everybody. A message with
the same From as the one before costs nothing new; nothing is kept for connections that send none.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.envelope import Hold
from gateway.core.errors import GatewayError
from gateway.core.ports.body import IncomingBody
from gateway.edge.smtp.errors import reply_for
from gateway.edge.smtp.services import SubmissionServices
from gateway.edge.smtp.session import SmtpSession
from gateway.edge.smtp.submitter import Fields, Outgoing, Submitter
from gateway.edge.smtp.trace_header import date_time
from gateway.edge.smtp.transaction import Transaction
from gateway.policy.person_limits import NoRoom, Room
from gateway.policy.senders import Names, Standing
from gateway.wire import smtp_replies as replies
from gateway.wire.smtp_replies import Reply
from gateway.wire.submission.header import Header, HeaderFilter, additions
from gateway.wire.submission.originators import (
    MAX_ORIGINATORS,
    OriginatorSyntax,
    parse_originators,
)

MAX_NAMES_OCTETS = 65_536
"""Of all fields that name who it is from, so that reading them never takes long."""
MAX_SETTLED = 32
MAX_SETTLED_OCTETS = 2048
"""Headers that one connection's later messages are compared with."""


def services_of(session: SmtpSession) -> SubmissionServices:
    services = session.services.submission
    assert services is not None, "who may log in can also send"
    return services


def submitter_of(session: SmtpSession, account: Account) -> Submitter:
    """For the person who is logged in now."""
    submitter = session.submitter
    if submitter is None or submitter.names.account is not account:
        submitter = Submitter(services_of(session).senders.of(account))
        session.submitter = submitter
    return submitter


# -- MAIL


async def refusal_of_sender(names: Names, sender: Address) -> Reply | None:
    """People send as themselves (S32); None: this is one of their names."""
    try:
        standing = await names.find(sender)
    except GatewayError as error:
        return reply_for(error)
    return None if standing is not None else replies.sender_not_allowed(names.refusal(sender))


# -- content


def entrance(session: SmtpSession, body: IncomingBody) -> Callable[[bytes], None]:
    """What the octets of a message are written to, which ends up in its body."""
    if session.outgoing is not None:
        return session.outgoing.filter.write  # the next chunk of BDAT
    account = session.client.account
    if account is None and session.door.protocol != "submission":
        return body.write
    keeps_sender: Callable[[bytes], bool] = _always
    if account is not None and services_of(session).rules.from_check == "rewrite-sender":
        names = submitter_of(session, account).names

        def keeps_known(value: bytes) -> bool:
            try:
                return all(map(names.known, parse_originators(value)))
            except OriginatorSyntax:
                return False

        keeps_sender = keeps_known

    header_filter = HeaderFilter(
        body.write,
        session.limits.header_octets,
        keeps_sender,
    )
    session.outgoing = Outgoing(header_filter)
    return header_filter.write


def _always(_: bytes) -> bool:
    return True


async def judged(session: SmtpSession, transaction: Transaction) -> Reply | None:
    """All of a message with duties is there: why it is refused; None: go on."""
    outgoing = session.outgoing
    assert outgoing is not None
    header = outgoing.filter.end()
    if header.too_big:
        return replies.HEADER_TOO_BIG
    account = session.client.account
    if account is None:
        return _complete(session, transaction, header, b"")
    if services_of(session).rules.from_check != "off":
        sender = submitter_of(session, account).settled.get(_fields(header))
        if sender is None or header.sender_cut:
            return await _settle(session, transaction, header, account)
        return _complete(session, transaction, header, sender)
    return _complete(session, transaction, header, _sender_of_many(header, account))


def _fields(header: Header) -> Fields:
    return header.author, header.sender, header.resent_author, header.resent_sender


async def _settle(
    session: SmtpSession, transaction: Transaction, header: Header, account: Account
) -> Reply | None:
    """Compare the names in the header with those the person may use."""
    submitter = submitter_of(session, account)
    rules = services_of(session).rules
    names = submitter.names
    rejects = rules.from_check == "reject"
    fields = _fields(header)
    size_octets = sum(len(value) for values in fields for value in values)
    if size_octets > MAX_NAMES_OCTETS:
        return replies.bad_header("The fields that say who it is from are too long")
    authors: list[Standing | None] = []
    asked = 0
    try:
        for field, values in zip(_FIELD_NAMES, fields, strict=True):
            if field != "From" and not rejects:
                continue
            if len(values) > 1 and not field.startswith("Resent-"):
                return replies.bad_header(f"The message has {len(values)} {field} fields, not one")
            for address in _addresses(field, values):
                asked += 1
                if asked > MAX_ORIGINATORS:
                    return replies.bad_header(f"It is from more than {MAX_ORIGINATORS} addresses")
                standing = await names.find(address)
                if standing is None and rejects:
                    return replies.name_not_allowed(f"{field}: {names.refusal(address)}")
                if field == "From":
                    authors.append(standing)
        sender = await _sender_to_add(session, header, account, authors)
    except OriginatorSyntax as error:
        return replies.bad_header(str(error))
    except GatewayError as error:
        return reply_for(error)
    if not header.sender_cut and size_octets <= MAX_SETTLED_OCTETS:
        if len(submitter.settled) >= MAX_SETTLED:
            submitter.settled.clear()
        submitter.settled[fields] = sender
    return _complete(session, transaction, header, sender)


_FIELD_NAMES = ("From", "Sender", "Resent-From", "Resent-Sender")


def _addresses(field: str, values: tuple[bytes, ...]) -> list[Address]:
    try:
        return [address for value in values for address in parse_originators(value)]
    except OriginatorSyntax as error:
        raise OriginatorSyntax(f"The {field} field cannot be understood: {error}") from None


async def _sender_to_add(
    session: SmtpSession,
    header: Header,
    account: Account,
    authors: list[Standing | None],
) -> bytes:
    """The Sender that the message lacks; empty: none."""
    rules = services_of(session).rules
    if header.sender_cut:
        # It was not known to be true while it streamed past; if it is, it comes back.
        value = header.sender_cut.partition(b":")[2].strip()
        names = submitter_of(session, account).names
        try:
            if all([await names.find(address) for address in parse_originators(value)]):
                return value
        except OriginatorSyntax:
            pass
    elif header.sender:
        return b""
    if any(standing is None for standing in authors):
        return _primary(account)
    if rules.add_sender and any(standing is not Standing.OWN for standing in authors):
        return _primary(account)
    # RFC 5322 section 3.6.2: of several authors, Sender says who has sent it.
    return _primary(account) if len(authors) > 1 else b""


def _sender_of_many(header: Header, account: Account) -> bytes:
    """The same where nobody's name is compared."""
    if header.sender:
        return b""
    try:
        authors = _addresses("From", header.author[:1])
    except OriginatorSyntax:
        return b""
    return _primary(account) if len(authors) > 1 else b""


def _primary(account: Account) -> bytes:
    return account.primary_address.encode()


def _complete(
    session: SmtpSession, transaction: Transaction, header: Header, sender: bytes
) -> Reply | None:
    """Add what is missing."""
    outgoing = session.outgoing
    assert outgoing is not None
    author = b""
    if not header.author:
        author = _author(session, transaction)
        if not author or services_of(session).rules.missing_from == "reject":
            return replies.bad_header("The message has no From field")
    if author or sender or not (header.has_date and header.has_message_id):
        now = int(session.services.wall_clock())
        message_id = f"<{transaction.message_id}@{session.door.hostname}>"
        if not header.has_message_id:
            outgoing.message_id = message_id
        outgoing.added = additions(
            header,
            date=date_time(now).encode("ascii"),
            message_id=message_id.encode("ascii"),
            author=author,
            sender=sender,
        )
    return None


def _author(session: SmtpSession, transaction: Transaction) -> bytes:
    """The From of a message that has none."""
    account = session.client.account
    if account is not None and account.primary_address:
        return _primary(account)
    envelope_sender = transaction.envelope.sender
    return b"" if envelope_sender is None else str(envelope_sender).encode()


def shown_login(session: SmtpSession) -> str:
    """For the Received field; empty: nobody is named."""
    services = session.services.submission
    return session.login if services is not None and services.rules.show_login else ""


# -- limits


async def place(session: SmtpSession, transaction: Transaction) -> Room | Reply | None:
    """When the message goes on, or why it cannot be taken; None: its sender has no limits."""
    account, services = session.client.account, session.services.submission
    if account is None or services is None or services.limits is None:
        return None
    try:
        verdict = await services.limits.judge(
            account, transaction.accepted, session.services.wall_clock()
        )
    except GatewayError as error:
        return reply_for(error)
    if isinstance(verdict, NoRoom):
        return replies.over_limit(verdict.text, for_good=verdict.for_good)
    return verdict


def tell(session: SmtpSession, message_id: str, hold: Hold) -> None:
    """A limit holds the message that was just accepted: the log, the trace and the person hear."""
    account, services = session.client.account, services_of(session)
    assert account is not None
    session.log.info(
        "{id} of {login} is held until {until}: {reason}",
        id=message_id,
        login=account.login,
        until=None if hold.until is None else date_time(hold.until),
        reason=hold.reason,
    )
    session.journal.held(message_id, session.client, hold)
    if services.notices is not None:
        services.notices.tell(account, hold)
