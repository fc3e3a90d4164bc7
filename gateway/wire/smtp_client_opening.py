"""How a connection to another server is opened: greeting, EHLO or LHLO, STARTTLS, AUTH.

Owns the order of these and what their answers mean for the connection; the offer that stands at
their end is what transactions go by. Knows of no message.

Invariants: after the 220 to STARTTLS nothing said before counts (RFC 3207 section 4.2, SECURITY
S18); a password never leaves in clear text unless nobody can listen.
"""

from __future__ import annotations

from base64 import b64encode
from collections import deque

from gateway.core.queue import Verdict
from gateway.wire.smtp_client_envelope import Login
from gateway.wire.smtp_client_plan import (
    NotOpened,
    Obstacle,
    Opened,
    Request,
    Result,
    Send,
    SessionPlan,
    Stage,
    StartTls,
    TlsRule,
)
from gateway.wire.smtp_client_reply import Reply
from gateway.wire.smtp_client_results import defer, extensions_of, greeted_by, result_of

NO_TRUST = "4.7.5"
"""What the driver says when the handshake fails for its content (RFC 3463 section 3.8)."""
_NOT_UNDERSTOOD = (500, 501, 502, 503, 504)
_INJECTED = "octets were injected before the TLS handshake; the connection was dropped"


class Opening:
    """One opening; it appends to ``out`` what is to be done, ``Opened`` or ``NotOpened`` last.

    ``stage`` is what is awaited. ``polite`` says that the peer still listens for commands.
    """

    __slots__ = ("_answers", "_out", "_plan", "extensions", "polite", "secure", "stage")

    def __init__(self, plan: SessionPlan, out: list[Request]) -> None:
        self._plan = plan
        self._out = out
        self._answers: deque[bytes] = deque()  # to the challenges of AUTH
        self.stage = Stage.GREETING
        self.secure = plan.secure
        self.extensions: dict[str, str] = {}
        self.polite = False

    def tls_started(self) -> None:
        """The handshake is done: greet again, as all known so far is void (RFC 3207 4.2)."""
        self.secure = True
        self.extensions = {}
        self._greet()

    def injected(self) -> None:
        """Octets came where none may (SECURITY S18, CVE-2021-38371)."""
        self._fail(defer(NO_TRUST, _INJECTED), Obstacle.TLS)

    def give_up(self, status: str, text: str) -> None:
        """The driver cannot go on: deadline, lost connection, no trust."""
        shaking = self.stage is Stage.HANDSHAKE
        without = shaking and self._plan.tls is TlsRule.OPPORTUNISTIC
        obstacle = Obstacle.TLS if shaking or status == NO_TRUST else Obstacle.SILENCE
        self._fail(defer(status, text), obstacle, without_tls=without)

    def on_reply(self, reply: Reply, *, more: bool) -> None:
        """Args:
        more: octets stand behind the reply.
        """
        if reply.code == 421:
            # RFC 5321 section 3.8: the server closes; true at any stage.
            self._fail(result_of(reply), Obstacle.REFUSAL)
            return
        match self.stage:
            case Stage.GREETING:
                self._on_greeting(reply)
            case Stage.EHLO:
                self._on_ehlo(reply)
            case Stage.HELO:
                self._on_helo(reply)
            case Stage.STARTTLS:
                self._on_starttls(reply, more)
            case _:
                self._on_auth(reply)

    def _on_greeting(self, reply: Reply) -> None:
        if reply.kind == 2:
            self._greet()
        else:
            self._fail(greeted_by(reply), Obstacle.REFUSAL, polite=True)

    def _greet(self) -> None:
        verb = b"LHLO " if self._plan.lmtp else b"EHLO "
        self._command(verb + self._plan.hello, Stage.EHLO)

    def _on_ehlo(self, reply: Reply) -> None:
        if reply.kind == 5 and not self._plan.lmtp:
            # RFC 5321 section 3.2: a server from before EHLO knows HELO.
            self._command(b"HELO " + self._plan.hello, Stage.HELO)
        elif reply.kind != 2:
            self._fail(result_of(reply), Obstacle.REFUSAL, polite=True)
        elif not self._is_self(reply):
            self.extensions = extensions_of(reply)
            self._secure_then_log_in()

    def _on_helo(self, reply: Reply) -> None:
        if reply.kind != 2:
            self._fail(result_of(reply), Obstacle.REFUSAL, polite=True)
        elif not self._is_self(reply):
            self._secure_then_log_in()

    def _is_self(self, reply: Reply) -> bool:
        name = reply.lines[0].split(b" ", 1)[0]
        if not self._plan.refuse_self or name.lower() != self._plan.hello.lower():
            return False
        text = "mail for this domain loops back to this server"
        self._fail(Result(Verdict.FAILED, "5.4.6", text), Obstacle.LOOP, polite=True)
        return True

    # -- TLS

    def _secure_then_log_in(self) -> None:
        plan = self._plan
        if not self.secure and plan.tls is not TlsRule.NEVER and "STARTTLS" in self.extensions:
            self._command(b"STARTTLS", Stage.STARTTLS)
        elif not self.secure and plan.tls is TlsRule.REQUIRED:
            text = "TLS is required and the server does not offer it"
            self._fail(defer("4.7.4", text), Obstacle.TLS, polite=True)
        elif plan.login is not None:
            self._log_in(plan.login)
        else:
            self._out.append(Opened())

    def _on_starttls(self, reply: Reply, more: bool) -> None:
        if reply.code == 220 and more:
            self.injected()  # these would count as said under TLS
        elif reply.code == 220:
            self.stage = Stage.HANDSHAKE
            self._out.append(StartTls())
        elif self._plan.tls is TlsRule.REQUIRED:
            # Another session may have better luck, as with a 454 that passes.
            text = f"TLS is required, but: {reply.text}"
            obstacle = Obstacle.REFUSAL if reply.kind == 4 else Obstacle.TLS
            self._fail(defer("4.7.4", text), obstacle, polite=True)
        else:
            # Leaving STARTTLS out of what was offered goes on in clear text.
            self.extensions.pop("STARTTLS", None)
            self._secure_then_log_in()

    # -- AUTH (RFC 4954)

    def _log_in(self, login: Login) -> None:
        offered = self.extensions.get("AUTH", "").upper().split()
        user = login.user.encode()
        if not self.secure and not self._plan.clear_text_login:
            problem = defer("4.7.4", "the next hop offers no TLS to log in under")
            self._fail(problem, Obstacle.TLS, polite=True)
        elif "PLAIN" in offered:
            initial = b64encode(b"\0" + user + b"\0" + login.password)
            self._command(b"AUTH PLAIN " + initial, Stage.AUTH)
        elif "LOGIN" in offered:
            self._answers.extend((b64encode(user), b64encode(login.password)))
            self._command(b"AUTH LOGIN", Stage.AUTH)
        else:
            problem = defer("4.7.0", "the next hop offers neither AUTH PLAIN nor LOGIN")
            # Nothing was tried that a server could lock an account for.
            self._fail(problem, Obstacle.REFUSAL, polite=True)

    def _on_auth(self, reply: Reply) -> None:
        if reply.kind == 2:
            self._out.append(Opened())
        elif reply.code == 334 and self._answers:
            self._command(self._answers.popleft(), Stage.AUTH)
        else:
            # Our password is wrong, not the message: it waits until somebody mends that.
            refused = reply.kind == 5 and reply.code not in _NOT_UNDERSTOOD
            obstacle = Obstacle.LOGIN if refused else Obstacle.REFUSAL
            text = f"the next hop refused our login: {reply.text}"
            self._fail(defer("4.7.8", text), obstacle, polite=True)

    # -- output and ending

    def _command(self, line: bytes, stage: Stage) -> None:
        self.stage = stage
        self._out.append(Send(line + b"\r\n"))

    def _fail(
        self,
        problem: Result,
        obstacle: Obstacle,
        *,
        polite: bool = False,
        without_tls: bool = False,
    ) -> None:
        self.stage = Stage.CLOSED
        self.polite = polite
        self._out.append(NotOpened(problem, obstacle, without_tls))
