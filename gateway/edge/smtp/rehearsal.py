"""``gateway explain``: a session that never was, through the very code that serves real ones.

Owns the conversation: a real session of the listener's door, on a transport in memory, is greeted,
told who sends what to whom, and asked for its replies; beside them stands what every check and the
router said. Only what keeps, counts or sends is replaced (``rehearsal_props``), and checks know
that it is a rehearsal (``client.rehearsal``).

Nobody's password is known here: a login is taken as given, where the door would take one at all.

Limits: LIMIT_S for the whole; the ways out of MAX_WAYS recipients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from gateway.core.address import Address
from gateway.core.envelope import MessageOptions
from gateway.core.errors import GatewayError
from gateway.core.messages import LOCAL, NewMessage, QueuedRecipient
from gateway.edge.connection import Door
from gateway.edge.sessions import Sessions
from gateway.edge.smtp.door import SmtpFactory
from gateway.edge.smtp.journal import options_in_words
from gateway.edge.smtp.rehearsal_groups import ObservedPosting
from gateway.edge.smtp.rehearsal_props import (
    CountsNobody,
    KeepsNothing,
    Notes,
    ObservedRouter,
    ObservedSenders,
    QuotaLookedAt,
    Wire,
    observed,
)
from gateway.edge.smtp.rehearsal_request import Request
from gateway.edge.smtp.services import SmtpServices
from gateway.wire.smtp_commands import Verb

LIMIT_S = 60.0
MAX_WAYS = 20
_SAMPLE = (
    b"From: <%b>\r\nSubject: explain\r\nDate: Thu, 01 Jan 1970 00:00:00 +0000\r\n"
    b"Message-ID: <explain@invalid>\r\n\r\nNobody gets this.\r\n"
)


class WayOut(Protocol):
    """Finds out where a recipient's mail would go; nothing is sent."""

    async def __call__(
        self, sender: Address | None, recipient: QueuedRecipient, options: MessageOptions
    ) -> Mapping[str, object]:
        """JSON: ``next_hop`` (the destination), ``rule``, ``hosts``, ``problem``."""
        ...


class Rehearsal:
    """One session.

    Args:
        sessions: the real registry, which is asked and told nothing.
        way_out: None: of mail that leaves only the next hop is told that routing names.
    """

    def __init__(
        self,
        door: Door,
        services: SmtpServices,
        sessions: Sessions,
        request: Request,
        *,
        way_out: WayOut | None = None,
    ) -> None:
        self._request = request
        self._timers = door.timers
        self._way_out = way_out
        self._ways: dict[QueuedRecipient, Mapping[str, object]] = {}
        self._services = services
        self._notes = notes = Notes()
        self._intake = KeepsNothing()
        self._steps: list[dict[str, Any]] = []
        self._heard = bytearray()
        self._waiting: Deferred[None] | None = None
        quota, submission = services.quota, services.submission
        rehearsed = replace(
            services,
            intake=self._intake,
            router=ObservedRouter(services.router, notes, tells=True),  # type: ignore[arg-type]  # the real one explains
            posting=None
            if services.posting is None
            else ObservedPosting(services.posting, notes.posting, services.find_person),
            policy=observed(services.policy, notes),
            quota=None if quota is None else quota.rehearsed(QuotaLookedAt(quota.store)),
            submission=None
            if submission is None
            else replace(
                submission, senders=ObservedSenders(submission.senders, notes), notices=None
            ),
            trace=None,
            queue_starter=None,
        )
        registry = CountsNobody(sessions.new_id, sessions.objection)
        factory = SmtpFactory(replace(door, sessions=registry, tls_layers=None), rehearsed)
        self._session = factory.buildProtocol(None)
        self._session.client.rehearsal = True
        self._wire = Wire(request.ip, self._hear)
        self._wire.session = self._session

    async def run(self) -> dict[str, object]:
        """What ``gateway explain`` shows, as JSON. Never raises for what the session refuses."""
        session = self._session
        running = Deferred.fromCoroutine(self._talk())
        limit = self._timers.callLater(LIMIT_S, running.cancel)
        try:
            await running
        except CancelledError:
            self._steps.append({"said": "", "reply": [], "trouble": f"nothing in {LIMIT_S:g} s"})
        finally:
            if limit.active():
                limit.cancel()
            session.connectionLost(Failure(ConnectionDone()))
        door = session.door
        request = self._request
        return {
            "request": {**request.to_json(), "content": request.content is not None},
            "listener": door.listener,
            "protocol": door.protocol,
            "policy": self._services.policy.name,
            "connection_id": session.connection_id,
            "outcome": self._outcome(),
            "steps": self._steps,
            "stored": self._stored(),
        }

    # -- the conversation

    async def _talk(self) -> None:
        session, request = self._session, self._request
        session.makeConnection(self._wire)
        if session.door.implicit_tls:
            session.handshakeCompleted()
        if await self._take("connect", f"(connects from {request.ip})") != 220:
            return
        if not await self._greet() or (request.tls and not await self._start_tls()):
            return
        if request.login and not await self._log_in():
            return
        await self._send_message()

    async def _greet(self) -> bool:
        request = self._request
        verb = "LHLO" if self._session.door.protocol == "lmtp" else "EHLO"
        literal = f"[IPv6:{request.ip}]" if ":" in request.ip else f"[{request.ip}]"
        return await self._say(f"{verb} {request.hello or literal}", "hello") == 250

    async def _start_tls(self) -> bool:
        if self._session.door.implicit_tls:
            return True
        return await self._say("STARTTLS", "tls") == 220 and await self._greet()

    async def _log_in(self) -> bool:
        """By the door's own rules but for the password, which nobody is asked for."""
        session, services, login = self._session, self._services, self._request.login
        said = f"AUTH (as {login}, without a password)"
        objection = session.sasl.objection(login_allowed=session.login_allowed)
        if objection is not None:
            self._step("login", said, [objection.octets.decode("ascii").strip()])
            return False
        assert services.find_person is not None
        try:
            account = await services.find_person(login)
        except GatewayError as error:
            self._step("login", said, [], trouble=str(error))
            return False
        if account is None or not account.enabled:
            trouble = "nobody has this login" if account is None else "this person is disabled"
            self._step("login", said, [], trouble=trouble)
            return False
        session.sasl.vouch(account)
        session.login = account.login
        session.client.account = account
        session.core.succeeded(Verb.AUTH)
        session.update_offer()
        self._step("login", said, ["235 2.7.0 Authentication successful"])
        return True

    async def _send_message(self) -> None:
        request = self._request
        addresses = (request.sender, *request.recipients)
        size = f" SIZE={request.size_octets}" if request.size_octets else ""
        eight_bit = request.content is not None and not request.content.isascii()
        body = " BODY=8BITMIME" if eight_bit else ""
        utf8 = "" if all(one.isascii() for one in addresses) else " SMTPUTF8"
        mail = f"MAIL FROM:<{request.sender}>{size}{body}{utf8}"
        if await self._say(mail, "sender") != 250:
            return
        accepted = 0
        for recipient in request.recipients:
            accepted += await self._say(f"RCPT TO:<{recipient}>", "recipient") == 250
        if not accepted or await self._say("DATA", "data") != 354:
            return
        content = request.content
        if content is None:
            content = _SAMPLE % (request.sender or "postmaster@invalid").encode("utf-8")
        if b"\r\n" not in content:
            content = content.replace(b"\n", b"\r\n")  # a file as this system writes it
        stuffed = (b"\r\n" + content.removesuffix(b"\r\n")).replace(b"\r\n.", b"\r\n..")[2:]
        self._session.dataReceived(stuffed + b"\r\n.\r\n")
        replies = accepted if self._session.door.protocol == "lmtp" else 1
        await self._take("content", f"(message of {len(content)} octets)", replies)
        message = self._intake.accepted
        if message is not None and self._way_out is not None:
            for queued in message.remote[:MAX_WAYS]:
                if queued.next_hop != LOCAL:
                    self._ways[queued] = await self._way_out(
                        message.sender, queued, message.options
                    )

    async def _say(self, line: str, stage: str) -> int:
        self._session.dataReceived(line.encode("utf-8") + b"\r\n")
        return await self._take(stage, line)

    async def _take(self, stage: str, said: str, replies: int = 1) -> int:
        """Wait for the reply; its code, or 0 without one."""
        while self._whole_replies() < replies and not self._wire.closed:
            self._waiting = Deferred()
            await self._waiting
        lines = bytes(self._heard).decode("utf-8", "replace").split("\r\n")[:-1]
        self._heard.clear()
        self._step(stage, said, lines)
        return int(lines[-1][:3]) if lines and lines[-1][:3].isdigit() else 0

    def _hear(self, data: bytes) -> None:
        self._heard += data
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.called:
            waiting.callback(None)

    def _whole_replies(self) -> int:
        lines = bytes(self._heard).split(b"\r\n")[:-1]
        return sum(line[3:4] == b" " for line in lines)

    def _step(self, stage: str, said: str, reply: list[str], **more: str) -> None:
        checks, routing = self._notes.take()
        step: dict[str, Any] = {"stage": stage, "said": said, "reply": reply}
        step |= {"checks": checks, "routing": routing}
        expansion, self._notes.expansion = self._notes.expansion, None
        if expansion is not None:
            step["expansion"] = expansion
        self._steps.append(step | more)

    # -- what came of it

    def _outcome(self) -> str:
        message = self._intake.accepted
        if message is not None:
            return "held" if message.hold is not None else "accepted"
        replies = [step["reply"][-1] for step in self._steps if step["reply"]]
        last = next((each for each in reversed(replies) if each[:1] in ("4", "5")), "")
        return {"4": "deferred", "5": "refused"}.get(last[:1], "not sent")

    def _stored(self) -> Mapping[str, object] | None:
        """What the store would have been given."""
        message = self._intake.accepted
        if message is None:
            return None
        hold = message.hold
        return {
            "message_id": message.ingest_id,
            "mailboxes": [
                {"account_id": each, "login": self._notes.logins.get(each, "")}
                for each in message.local
            ],
            "queued": [
                {
                    "recipient": str(each.address),
                    "next_hop": self._next_hop(each),
                    **self._ways.get(each, {}),
                }
                for each in message.remote
            ],
            "held": None if hold is None else {"reason": hold.reason, "until": hold.until},
            "options": options_in_words(message.options),
            "header": _header(message),
        }

    def _next_hop(self, recipient: QueuedRecipient) -> str:
        if recipient.next_hop == LOCAL:
            return "the mailbox here"
        return recipient.next_hop or "as the configuration of what leaves has it"


def _header(message: NewMessage) -> str:
    return (message.local_header + message.trace_header).decode("utf-8", "replace")
