"""The sending side of SMTP without a socket: octets in, requests out (RFC 5321, one transaction).

Owns the order of the dialogue: greeting, EHLO (HELO for old servers), STARTTLS, AUTH, MAIL, RCPT,
DATA, QUIT, and what each reply means for each recipient. Never waits, reads a body or logs; the
driver does what the returned requests say and reports back by the methods below. What the server's
offer means for the envelope is in ``smtp_client_offer``.

Invariants: after the 220 to STARTTLS nothing said before counts (RFC 3207 section 4.2, SECURITY
S18); a recipient is DELIVERED only by a 2xx to the end of data (SECURITY D5); whatever cannot be
understood defers and never loses.
"""

from __future__ import annotations

from base64 import b64encode
from collections import deque

from gateway.core.queue import Verdict
from gateway.wire.content_scan import Content
from gateway.wire.smtp_client_envelope import Login
from gateway.wire.smtp_client_offer import OfferRefused, Terms, needs_inspection, terms
from gateway.wire.smtp_client_plan import (
    Close,
    Finished,
    InspectBody,
    Request,
    Result,
    Send,
    SendBody,
    SessionEnd,
    SessionPlan,
    Stage,
    StartTls,
    TlsRule,
)
from gateway.wire.smtp_client_reply import Reply, ReplyMalformed, ReplyReader
from gateway.wire.smtp_client_results import defer, extensions_of, greeted_by, result_of

NO_TRUST = "4.7.5"
"""What the driver says when the handshake fails for its content (RFC 3463 section 3.8)."""
_INJECTED = "octets were injected before the TLS handshake; the connection was dropped"


class ClientSession:
    """One connection's dialogue. Every method that returns requests returns all that follow."""

    def __init__(self, plan: SessionPlan) -> None:
        self._plan = plan
        self._secure = plan.secure
        self._reader = ReplyReader()
        self._expected: deque[tuple[Stage, int]] = deque([(Stage.GREETING, -1)])
        self._pause = Stage.CLOSED  # what is awaited while no reply is
        self._unsent: deque[tuple[bytes, Stage, int]] = deque()
        self._extensions: dict[str, str] = {}
        self._auth_answers: deque[bytes] = deque()
        self._results: list[Result | None] = [None] * len(plan.envelope.recipients)
        self._accepted: list[int] = []
        self._mail_refusal: tuple[Result, bool] | None = None
        self._terms: Terms | None = None
        self._finished = False
        self._requests: list[Request] = []
        self.replies = 0  # grows with every reply; the driver moves its deadline by it

    @property
    def stage(self) -> Stage:
        return self._expected[0][0] if self._expected else self._pause

    # -- what the driver reports

    def receive(self, data: bytes) -> list[Request]:
        """Octets from the peer."""
        if self.stage is Stage.HANDSHAKE:
            self._end(defer(NO_TRUST, _INJECTED), True, quit=False)
        elif self.stage is not Stage.CLOSED:
            self._reader.feed(data)
            try:
                self._read()
            except ReplyMalformed as problem:
                self._end(defer("4.5.0", f"the server broke the protocol: {problem}"), quit=False)
        return self._take()

    def tls_started(self) -> list[Request]:
        """The handshake is done: greet again, as all known so far is void (RFC 3207 4.2)."""
        self._secure = True
        self._extensions = {}
        self._command(b"EHLO " + self._plan.hello, Stage.EHLO)
        return self._take()

    def body_inspected(self, content: Content) -> list[Request]:
        self._transact(content)
        return self._take()

    def body_sent(self) -> list[Request]:
        """The end of data is written."""
        self._expected.append((Stage.END_OF_DATA, -1))
        return self._take()

    def give_up(self, status: str, text: str) -> list[Request]:
        """The driver cannot go on (deadline, lost connection, unreadable body): defer the rest.

        After the end of data was written the peer may have the message; a second copy is better
        than none (RFC 1047, SECURITY D5).
        """
        stage = self.stage
        without_tls = stage is Stage.HANDSHAKE and self._plan.tls is TlsRule.OPPORTUNISTIC
        elsewhere = stage not in (Stage.INSPECT, Stage.BODY, Stage.END_OF_DATA)
        problem = self._no_tls(status, text) if status == NO_TRUST else defer(status, text)
        self._end(problem, elsewhere, quit=False, without_tls=without_tls)
        return self._take()

    # -- replies

    def _read(self) -> None:
        while self.stage is not Stage.CLOSED:
            reply = self._reader.next()
            if reply is None:
                return
            self.replies += 1
            if not self._expected:
                self._unexpected(reply)
                return
            stage, index = self._expected.popleft()
            if stage is Stage.QUIT:
                self._close()
            elif reply.code == 421:
                # RFC 5321 section 3.8: the server closes; true at any stage.
                self._end(result_of(reply), stage is not Stage.END_OF_DATA, quit=False)
            elif stage is Stage.RCPT:
                self._on_recipient(reply, index)
            else:
                _HANDLERS[stage](self, reply)

    def _unexpected(self, reply: Reply) -> None:
        if reply.kind >= 4 and self._pause in (Stage.BODY, Stage.INSPECT):
            # A server that refuses before it has seen the end means what it says.
            self._decide_accepted(reply)
            self._end(result_of(reply), quit=False)
        else:
            self._end(defer("4.5.0", f"reply without a command: {reply.text}"), quit=False)

    def _on_greeting(self, reply: Reply) -> None:
        if reply.kind == 2:
            self._command(b"EHLO " + self._plan.hello, Stage.EHLO)
        else:
            self._end(greeted_by(reply), True)  # RFC 5321 section 5.1: the next host may do it

    def _on_ehlo(self, reply: Reply) -> None:
        if reply.kind == 5:
            # RFC 5321 section 3.2: a server from before EHLO knows HELO.
            self._command(b"HELO " + self._plan.hello, Stage.HELO)
        elif reply.kind != 2:
            self._end(result_of(reply), True)
        elif not self._is_self(reply):
            self._extensions = extensions_of(reply)
            self._secure_then_log_in()

    def _on_helo(self, reply: Reply) -> None:
        if reply.kind != 2:
            self._end(result_of(reply), True)
        elif not self._is_self(reply):
            self._secure_then_log_in()

    def _is_self(self, reply: Reply) -> bool:
        name = reply.lines[0].split(b" ", 1)[0]
        if not self._plan.refuse_self or name.lower() != self._plan.hello.lower():
            return False
        self._end(Result(Verdict.FAILED, "5.4.6", "mail for this domain loops back to this server"))
        return True

    def _secure_then_log_in(self) -> None:
        plan = self._plan
        if not self._secure and plan.tls is not TlsRule.NEVER and "STARTTLS" in self._extensions:
            self._command(b"STARTTLS", Stage.STARTTLS)
        elif not self._secure and plan.tls is TlsRule.REQUIRED:
            text = "TLS is required and the server does not offer it"
            self._end(self._no_tls("4.7.4", text), True)
        elif plan.login is not None:
            self._log_in(plan.login)
        else:
            self._begin_transaction()

    def _on_starttls(self, reply: Reply) -> None:
        if reply.code == 220:
            if self._reader.buffered:
                # SECURITY S18 (CVE-2021-38371): these would count as said under TLS.
                self._end(defer(NO_TRUST, _INJECTED), True, quit=False)
                return
            self._pause = Stage.HANDSHAKE
            self._requests.append(StartTls())
        elif self._plan.tls is TlsRule.REQUIRED:
            text = f"TLS is required, but: {reply.text}"
            problem = defer("4.7.4", text) if reply.kind == 4 else self._no_tls("4.7.4", text)
            self._end(problem, True)
        else:
            # Leaving STARTTLS out of what was offered goes on in clear text.
            self._extensions.pop("STARTTLS", None)
            self._secure_then_log_in()

    def _no_tls(self, status: str, text: str) -> Result:
        """RFC 8689 section 4.2.1: what REQUIRETLS asks for and this host cannot give is no matter
        of time; what the administrator asks for is."""
        options = self._plan.envelope.options
        if options.require_tls and self._plan.tls is TlsRule.REQUIRED:
            return Result(Verdict.FAILED, "5.7.30", f"{text}; the sender wants TLS (REQUIRETLS)")
        return defer(status, text)

    def _log_in(self, login: Login) -> None:
        offered = self._extensions.get("AUTH", "").upper().split()
        user = login.user.encode()
        if not self._secure and not self._plan.clear_text_login:
            self._end(defer("4.7.4", "the next hop offers no TLS to log in under"), True)
        elif "PLAIN" in offered:
            initial = b64encode(b"\0" + user + b"\0" + login.password)
            self._command(b"AUTH PLAIN " + initial, Stage.AUTH)
        elif "LOGIN" in offered:
            self._auth_answers.extend((b64encode(user), b64encode(login.password)))
            self._command(b"AUTH LOGIN", Stage.AUTH)
        else:
            self._end(defer("4.7.0", "the next hop offers neither AUTH PLAIN nor LOGIN"), True)

    def _on_auth(self, reply: Reply) -> None:
        if reply.kind == 2:
            self._begin_transaction()
        elif reply.code == 334 and self._auth_answers:
            self._command(self._auth_answers.popleft(), Stage.AUTH)
        else:
            # Our password is wrong, not the message: it waits until somebody mends that.
            self._end(defer("4.7.8", f"the next hop refused our login: {reply.text}"), True)

    # -- the transaction

    def _begin_transaction(self) -> None:
        if needs_inspection(self._plan.envelope, self._extensions):
            self._pause = Stage.INSPECT
            self._requests.append(InspectBody())
        else:
            self._transact(None)

    def _transact(self, content: Content | None) -> None:
        offer = self._extensions
        try:
            agreed = terms(self._plan.envelope, offer, secure=self._secure, content=content)
        except OfferRefused as refused:
            self._end(refused.result, refused.elsewhere)
            return
        self._terms = agreed
        self._unsent.append((agreed.mail, Stage.MAIL, -1))
        for index, command in enumerate(agreed.recipients):
            if isinstance(command, Result):
                self._results[index] = command
            else:
                self._unsent.append((command, Stage.RCPT, index))
        if None not in self._results:
            self._unsent.clear()
            self._end(None)
            return
        self._unsent.append((b"DATA", Stage.DATA, -1))
        self._send_next()

    def _send_next(self) -> None:
        """All commands at once under PIPELINING (RFC 2920), else the next one."""
        batch: list[bytes] = []
        while self._unsent and (not self._expected or "PIPELINING" in self._extensions):
            command, stage, index = self._unsent.popleft()
            batch.append(command + b"\r\n")
            self._expected.append((stage, index))
        if batch:
            self._requests.append(Send(b"".join(batch)))

    def _on_mail(self, reply: Reply) -> None:
        if reply.kind == 2:
            self._send_next()
            return
        self._mail_refusal = (result_of(reply), reply.kind == 4)
        if not self._expected:
            self._end(None)
        # Else the answers to what was pipelined come first; the last one is DATA's.

    def _on_recipient(self, reply: Reply, index: int) -> None:
        if self._mail_refusal is not None:
            return
        if reply.kind == 2:
            self._accepted.append(index)
        elif reply.code == 552:
            # RFC 5321 section 4.5.3.1.10: some say 552 for "too many recipients", meaning 452.
            self._results[index] = Result(Verdict.DEFERRED, "4.5.3", reply.text, True)
        else:
            self._results[index] = result_of(reply)
        if None not in self._results and not self._expected:
            self._end(None)
        else:
            self._send_next()

    def _on_data(self, reply: Reply) -> None:
        if not self._accepted:
            # Only when pipelined. After a 354 the peer waits for a body: the connection is closed
            # without an end of data, so that it cannot deliver an empty message (RFC 2920 3.1).
            self._end(None, quit=reply.code != 354)
        elif reply.code == 354:
            self._pause = Stage.BODY
            self._requests.append(SendBody())
        else:
            self._decide_accepted(reply)
            self._end(result_of(reply))

    def _on_end_of_data(self, reply: Reply) -> None:
        if reply.kind == 2:
            for index in self._accepted:
                result = Result(Verdict.DELIVERED, reply.status, reply.text, True)
                self._results[index] = result
            self._end(None)
        else:
            self._decide_accepted(reply)
            self._end(result_of(reply))

    def _decide_accepted(self, reply: Reply) -> None:
        for index in self._accepted:
            self._results[index] = result_of(reply)

    # -- output and ending

    def _command(self, line: bytes, stage: Stage) -> None:
        self._requests.append(Send(line + b"\r\n"))
        self._expected.append((stage, -1))

    def _end(
        self,
        problem: Result | None,
        elsewhere: bool = False,
        *,
        quit: bool = True,
        without_tls: bool = False,
    ) -> None:
        """Report once; say QUIT where the peer still listens for commands."""
        pipelined = bool(self._expected)
        if self._mail_refusal is not None:
            problem, elsewhere = self._mail_refusal
        self._expected.clear()
        self._unsent.clear()
        self._pause = Stage.CLOSED
        if not self._finished:
            self._finished = True
            if None not in self._results:
                problem = None
            agreed = self._terms
            end = SessionEnd(
                tuple(self._results),
                problem,
                elsewhere,
                without_tls,
                reports_on=agreed is not None and agreed.reports_on,
                timed=agreed is not None and agreed.timed,
            )
            self._requests.append(Finished(end))
        if quit and not pipelined:
            self._command(b"QUIT", Stage.QUIT)
        else:
            self._close()

    def _close(self) -> None:
        self._expected.clear()
        self._pause = Stage.CLOSED
        self._requests.append(Close())

    def _take(self) -> list[Request]:
        requests, self._requests = self._requests, []
        return requests


_HANDLERS = {
    Stage.GREETING: ClientSession._on_greeting,
    Stage.EHLO: ClientSession._on_ehlo,
    Stage.HELO: ClientSession._on_helo,
    Stage.STARTTLS: ClientSession._on_starttls,
    Stage.AUTH: ClientSession._on_auth,
    Stage.MAIL: ClientSession._on_mail,
    Stage.DATA: ClientSession._on_data,
    Stage.END_OF_DATA: ClientSession._on_end_of_data,
}
