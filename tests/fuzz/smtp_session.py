"""One SMTP session on the bare core, whatever the octets are, and what must hold in each.

Owns a second opinion about framing, written with nothing but searches: where a command line ends,
where DATA ends, how many octets a BDAT takes. After each event the core must stand exactly there,
so no octet of content can have been run as a command and none of a command taken as content.

The door's part is played by ``Octets.choice``: it accepts and refuses as the input says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gateway.core.envelope import BodyKind
from gateway.wire.smtp_commands import Auth, Bdat, Data, Ehlo, Mail, Rcpt, Simple, Verb, Xclient
from gateway.wire.smtp_events import AuthResponse, ChunkEnded, ContentEnded, Event, Refused
from gateway.wire.smtp_extensions import EXTENSIONS, DoorOffer, Offer, offered
from gateway.wire.smtp_limits import BareNewlines, SmtpLimits
from gateway.wire.smtp_order import TRANSITIONS, Phase
from gateway.wire.smtp_replies import Reply
from gateway.wire.smtp_server import SmtpServer

LIMITS = SmtpLimits(
    size_octets=2000,
    discard_octets=3000,
    header_octets=600,
    received_fields=5,
    line_octets=400,
    auth_line_octets=600,
    line_discard_octets=2000,
)
ALL = frozenset(row.keyword for row in EXTENSIONS)
FEW = frozenset({"PIPELINING", "SIZE", "8BITMIME", "STARTTLS"})
_DOORS = {
    (lmtp, few): DoorOffer(
        "mail.example.test",
        LIMITS.size_octets,
        FEW if few else ALL,
        lmtp=lmtp,
        starttls=True,
        recipients=10,
        hold_s=86_400,
        no_soliciting=("net.example:adv",),
    )
    for lmtp in (False, True)
    for few in (False, True)
}
_BDAT = re.compile(rb"BDAT ([0-9]{1,19})(?: +LAST)?[ \t]*\Z", re.IGNORECASE)
_TURNED_DOWN = Reply(451, "4.3.0", "not now")


@dataclass(frozen=True, slots=True)
class Case:
    """A session: what kind it is, how its octets are cut, and the octets.

    Args:
        flags: bits for LMTP, normalising, few extensions, TLS, a proxy, a door that loses its way.
        choices: bits, used over and over, for what the door accepts (0) and refuses (1).
        step: octets fed at a time; 0: all at once.
    """

    flags: int
    choices: int
    step: int
    octets: bytes

    @classmethod
    def of(cls, data: bytes) -> Case:
        """Three octets of settings, so that a seed can be written by hand: ``@@@`` is plain SMTP,
        everything accepted, all at once."""
        flags, choices, step = (octet & 0x3F for octet in (data[:3] + b"@@@")[:3])
        return cls(flags, choices, step, data[3:])


@dataclass(slots=True)
class Session:
    """Plays the door for one case."""

    case: Case
    core: SmtpServer = field(init=False)
    log: list[tuple[object, ...]] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    closed: bool = False
    _newlines: BareNewlines = "reject"
    _written: bytearray = field(default_factory=bytearray)
    _fed: int = 0
    _unit: int = 0  # where the line or the content begins that is being read
    _content_from: int | None = None  # of DATA
    _sent: bytearray = field(default_factory=bytearray)  # by BDAT
    _binary: bool = False
    _declared_utf8: bool = False
    _turns: int = 0

    def __post_init__(self) -> None:
        flags = self.case.flags
        door = _DOORS[bool(flags & 1), bool(flags & 4)]
        self._newlines = "normalise" if flags & 2 else "reject"
        offer = Offer(
            door,
            tls=bool(flags & 8),
            mechanisms=("PLAIN",) if flags & 8 else (),
            proxy=bool(flags & 16),
            today=20_000,
        )
        self.core = SmtpServer(LIMITS, self._newlines, offer)
        assert offered(offer) is self.core.offered

    def run(self) -> None:
        octets = self.case.octets
        step = self.case.step or max(len(octets), 1)
        for start in range(0, len(octets), step):
            piece = octets[start : start + step]
            self.core.feed(piece)
            self._fed += len(piece)
            self._work_off()
            if self.closed:
                return

    def _work_off(self) -> None:
        while not self.closed:
            event = self.core.next_event()
            if event is None:
                most = max(LIMITS.line_octets, LIMITS.auth_line_octets)
                assert self.core.buffered <= most, "a buffer without bound"
                return
            self._check_place(event)
            self._answer(event)

    @property
    def _at(self) -> int:
        return self._fed - self.core.buffered

    def _refuses(self) -> bool:
        self._turns += 1
        return bool(self.case.choices >> (self._turns % 6) & 1)

    # -- the second opinion

    def _check_place(self, event: Event) -> None:
        """The core stands where the event's octets end."""
        if isinstance(event, Refused) and event.close:
            return  # nothing is read any more
        if isinstance(event, ContentEnded):
            assert self._content_from is not None
            rest = b"\r\n" + self.case.octets[self._content_from :]
            assert self._at == self._content_from + rest.index(b"\r\n.\r\n") + 3
        elif isinstance(event, ChunkEnded):
            assert self._at == self._unit + event.octets
        else:
            end = self.case.octets.index(b"\r\n", self._unit) + 2
            line = _BDAT.match(self.case.octets[self._unit : end - 2])
            is_swallowed = line is not None and isinstance(event, Refused)
            if is_swallowed and self._at != end:
                assert line is not None
                end += int(line[1])
            assert self._at == end, "an event for anything but one line"
        self._unit = self._at

    # -- the door

    def _answer(self, event: Event) -> None:
        self._note(event)
        match event:
            case Refused():
                self.closed = event.close
            case AuthResponse():
                self.core.expect_auth_response(False)
            case ContentEnded():
                self._content_ended(event)
            case ChunkEnded():
                self._chunk_ended(event)
            case _:
                assert (self.core.phase, event.verb) in TRANSITIONS
                assert event.verb.value.encode() in self.core._grammar.words
                self._command(event)

    def _note(self, event: Event) -> None:
        words = event.reply.octets if isinstance(event, Refused) else repr(event)
        self.log.append((type(event).__name__, words))

    def _command(
        self, event: Ehlo | Mail | Rcpt | Auth | Data | Bdat | Xclient | Simple | object
    ) -> None:
        refuses = self._refuses()
        if refuses and self.case.flags & 32:
            self.core.abandon()
            self._forget()
            self._unit += event.size_octets if isinstance(event, Bdat) else 0
            return
        match event:
            case Data():
                assert not self._binary
                if refuses:
                    self.core.data_refused()
                else:
                    self.core.start_content(self._write)
                    self._content_from = self._at
            case Bdat():
                if refuses:
                    self.core.refuse_chunk(_TURNED_DOWN)
                else:
                    at = self._unit
                    self._sent += self.case.octets[at : at + event.size_octets]
                    self.core.start_chunk(self._write)
            case Auth():
                self.core.expect_auth_response(not refuses)
            case Rcpt():
                assert self._declared_utf8 or str(event.recipient).isascii()
                if refuses:
                    self.core.recipient_refused()
                else:
                    self.core.succeeded(Verb.RCPT)
            case Mail():
                self._check_parameters(event)
                if not refuses:
                    self._binary = event.body is BodyKind.BINARY
                    self._declared_utf8 = event.smtputf8
                    self.core.succeeded(Verb.MAIL)
            case Simple(Verb.STARTTLS):
                if self.core.buffered:
                    self.closed = True
                elif not refuses:
                    self.core.start_tls()
                    self._forget()
            case _ if not refuses:
                verb = event.verb  # type: ignore[attr-defined]
                self.core.succeeded(verb)
                if verb in (Verb.EHLO, Verb.HELO, Verb.LHLO, Verb.RSET, Verb.XCLIENT):
                    self._forget()

    def _check_parameters(self, mail: Mail) -> None:
        assert mail.sender is None or mail.smtputf8 or str(mail.sender).isascii()
        assert mail.hold_s is None or mail.hold_until is None
        has_few = bool(self.case.flags & 4)
        asks = mail != Mail(mail.sender, mail.size_octets, mail.body)
        assert not (asks and has_few), "a parameter that was not offered"
        plain = mail == Mail(mail.sender)
        assert plain or self.core.esmtp, "a parameter without EHLO"
        assert not mail.require_tls or self.case.flags & 8

    def _write(self, octets: bytes) -> None:
        self._written += octets
        assert len(self._written) <= LIMITS.size_octets

    def _content_ended(self, event: ContentEnded) -> None:
        assert self._content_from is not None
        content = self.case.octets[self._content_from : self._at - 3]
        if event.refusal is None:
            stuffed = b"\r\n" + content
            self._accept(stuffed.replace(b"\r\n.", b"\r\n")[2:])
        self._over()

    def _chunk_ended(self, event: ChunkEnded) -> None:
        if event.refusal is None and not event.last:
            assert self.core.phase is Phase.CHUNKS
            return
        if event.refusal is None:
            self._accept(bytes(self._sent))
        elif event.refusal.code == 552 and self._newlines == "reject":
            assert len(self._sent) > LIMITS.size_octets
        self._over()

    def _accept(self, sent: bytes) -> None:
        if self._newlines == "normalise" and not self._binary:
            sent = sent.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
        assert self._written == sent, "the stored octets are not the sent ones"
        if not self._binary:
            rest = bytes(self._written).replace(b"\r\n", b"")
            assert b"\r" not in rest and b"\n" not in rest
        self.messages.append(sent)

    def _over(self) -> None:
        assert self.core.phase is Phase.READY, "the transaction goes on behind its content (S4)"
        self._forget()

    def _forget(self) -> None:
        self._content_from = None
        self._written = bytearray()
        self._sent = bytearray()


def play(case: Case) -> Session:
    """One session to its end. Raises: AssertionError, or whatever the core raises."""
    session = Session(case)
    session.run()
    return session


def check(data: bytes) -> None:
    """A session as it is cut, and in one piece: the same, if neither was closed."""
    case = Case.of(data)
    cut = play(case)
    if case.step:
        whole = play(Case(case.flags, case.choices, 0, case.octets))
        if not (cut.closed or whole.closed):
            assert cut.log == whole.log
            assert cut.messages == whole.messages
