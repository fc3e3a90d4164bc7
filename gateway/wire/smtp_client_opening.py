"""How a connection to another server is opened: greeting, EHLO or LHLO, STARTTLS, AUTH.

Owns the order of these and what their answers mean for the connection; the offer that stands at
their end is what transactions go by. Knows of no message.

Invariants: after the 220 to STARTTLS nothing said before counts (RFC 3207 section 4.2, SECURITY
S18); a password never leaves in clear text unless nobody can listen.
"""

from __future__ import annotations

from gateway.core.queue import Verdict
from gateway.core.scram import ScramKeys
from gateway.wire.scram_client import KeysWanted
from gateway.wire.smtp_client_auth import LoggedIn, LoggingIn, LoginFailed, Step
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
_INJECTED = "octets were injected before the TLS handshake; the connection was dropped"


class Opening:
    """One opening; it appends to ``out`` what is to be done, ``Opened`` or ``NotOpened`` last.

    ``stage`` is what is awaited. ``polite`` says that the peer still listens for commands.
    """

    __slots__ = (
        "_login",
        "_makes_keys",
        "_out",
        "_plan",
        "extensions",
        "polite",
        "secure",
        "stage",
    )

    def __init__(self, plan: SessionPlan, out: list[Request]) -> None:
        self._plan = plan
        self._out = out
        self._login: LoggingIn | None = None
        self._makes_keys = False  # somebody does, and the server has nothing to say
        self.stage = Stage.GREETING
        self.secure = plan.secure
        self.extensions: dict[str, str] = {}
        self.polite = False

    @property
    def scram_refused(self) -> bool:
        return self._login is not None and self._login.scram_refused

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
        if not self.secure and not self._plan.clear_text_login:
            problem = defer("4.7.4", "the next hop offers no TLS to log in under")
            self._fail(problem, Obstacle.TLS, polite=True)
            return
        self._login = LoggingIn(login, offered, self._plan.nonce)
        self._go_on(self._login.begin())

    def keys_made(self, keys: ScramKeys) -> None:
        """What ``KeysWanted`` asked for."""
        assert self._login is not None, "nobody else asks"
        self._makes_keys = False
        self._go_on(self._login.keys_made(keys))

    def _on_auth(self, reply: Reply) -> None:
        assert self._login is not None, "the stage is AUTH"
        if self._makes_keys:
            problem = defer("4.5.0", "the server speaks without being asked")
            self._fail(problem, Obstacle.SILENCE)
        else:
            self._go_on(self._login.on_reply(reply))

    def _go_on(self, step: Step) -> None:
        match step:
            case bytes():
                self._command(step, Stage.AUTH)
            case KeysWanted():
                self._makes_keys = True
                self._out.append(step)
            case LoggedIn():
                self._out.append(Opened())
            case LoginFailed(problem, obstacle):
                self._fail(problem, obstacle, polite=True)

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
