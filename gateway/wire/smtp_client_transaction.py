"""One message to one server over an open connection: MAIL, RCPT, DATA or BDAT, and their answers.

Owns what is written when, and what each answer means for each recipient. Under PIPELINING (RFC
2920) all commands leave in one write. A body at hand goes by BDAT (RFC 3030) where that is offered:
behind the accepted recipients, and in the very first write on a connection where a BDAT was taken
before, nothing has to be reset and the peer was there a moment ago. A body that is streamed goes by
DATA always.

Invariants: a recipient is DELIVERED only by a 2xx to the end of data that was written before
(SECURITY D5); whatever cannot be understood defers and never loses. A message of which a part was
written is never completed by anything but its own end.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from gateway.core.queue import Verdict
from gateway.wire.content_scan import EIGHT_BIT, Content, ContentScan
from gateway.wire.dot_stuffing import DotStuffer, whole_lines
from gateway.wire.mime.downgrade import downgraded
from gateway.wire.smtp_client_envelope import Envelope
from gateway.wire.smtp_client_offer import OfferRefused, Terms, needs_inspection, terms
from gateway.wire.smtp_client_plan import (
    InspectBody,
    Request,
    Result,
    Send,
    SendBody,
    Stage,
    TransactionEnd,
)
from gateway.wire.smtp_client_reply import Reply
from gateway.wire.smtp_client_results import defer, recipient_refused, result_of

_UNKNOWN_COMMAND = (500, 501, 502, 504)
_NO_RECIPIENTS_YET = 503
_TOO_EARLY = "the server answered the message before it was sent"


@dataclass(slots=True)
class Peer:
    """What is known of the server at the other end, and what state its side is in.

    Args:
        chunking: BDAT may be used.
        chunks_taken: a BDAT was taken on this connection, so its octets may travel ahead.
        needs_reset: a transaction was begun and not ended.
        used: a transaction was ended here before.
    """

    extensions: dict[str, str]
    secure: bool
    lmtp: bool
    pipelining: bool
    chunking: bool
    chunks_taken: bool = False
    needs_reset: bool = False
    used: bool = False


class Transaction:
    """Appends to ``out`` what is to be done, ``TransactionEnd`` last.

    Args:
        octets: the message if it is at hand; None: it is streamed by the driver.
        just_used: the peer has answered on this connection a moment ago. Only then is the message
            risked before an answer: nobody knows what became of it where the peer is gone.

    ``usable`` says at the end that the connection may be used again.
    """

    __slots__ = (
        "_accepted", "_ahead", "_answered", "_at_hand", "_envelope", "_expected", "_mail_refusal",
        "_out", "_pause", "_peer", "_results", "_terms", "_unsent", "_written", "ended", "usable",
    )  # fmt: skip

    def __init__(
        self,
        envelope: Envelope,
        octets: bytes | None,
        peer: Peer,
        out: list[Request],
        *,
        just_used: bool = False,
    ) -> None:
        self._envelope = envelope
        self._at_hand = octets
        self._peer = peer
        self._out = out
        # Behind a RSET only once that is answered: else a refused one is followed by a message.
        self._ahead = just_used and peer.chunks_taken and not peer.needs_reset
        self._expected: deque[tuple[Stage, int]] = deque()
        self._unsent: deque[tuple[bytes, Stage, int]] = deque()
        self._pause = Stage.CLOSED  # what is awaited while no reply is
        self._results: list[Result | None] = [None] * len(envelope.recipients)
        self._accepted: list[int] = []
        self._mail_refusal: tuple[Result, bool] | None = None
        self._terms: Terms | None = None
        self._answered = False  # something of this transaction was
        self._written = False  # the end of the message is
        self.ended = False
        self.usable = False

    @property
    def stage(self) -> Stage:
        return self._expected[0][0] if self._expected else self._pause

    def begin(self) -> None:
        """Say MAIL, or ask for the body's facts first."""
        if not needs_inspection(self._envelope, self._peer.extensions):
            at_hand = self._at_hand
            self._transact(None if at_hand is None or at_hand.isascii() else EIGHT_BIT)
        elif self._at_hand is None:
            self._pause = Stage.INSPECT
            self._out.append(InspectBody())
        else:
            scan = ContentScan()
            scan.feed(self._at_hand)
            self._transact(scan.end())

    def body_inspected(self, content: Content) -> None:
        self._transact(content)

    def body_sent(self) -> None:
        """The end of data is written."""
        self._expect_ends()

    def give_up(self, status: str, text: str, *, ours: bool = False) -> None:
        """It cannot go on (deadline, lost connection, no SMTP): defer the rest.

        After the end of data was written the peer may have the message; a second copy is better
        than none (RFC 1047, SECURITY D5).

        Args:
            ours: the trouble is on this side, as with a body that cannot be read.
        """
        elsewhere = not (ours or self._written or self.stage is Stage.BODY)
        self._end(defer(status, text), elsewhere, usable=False, stale=not (ours or self._written))

    # -- commands

    def _transact(self, content: Content | None) -> None:
        peer = self._peer
        try:
            agreed = terms(self._envelope, peer.extensions, secure=peer.secure, content=content)
        except OfferRefused as refused:
            self._end(refused.result, refused.elsewhere)
            return
        if agreed.encodings is not None and self._at_hand is not None:
            self._at_hand = downgraded(self._at_hand, agreed.encodings)
        self._terms = agreed
        unsent = self._unsent
        if peer.needs_reset:
            unsent.append((b"RSET\r\n", Stage.RSET, -1))
        unsent.append((agreed.mail + b"\r\n", Stage.MAIL, -1))
        for index, command in enumerate(agreed.recipients):
            if isinstance(command, Result):
                self._results[index] = command
            else:
                unsent.append((command + b"\r\n", Stage.RCPT, index))
        if None not in self._results:
            unsent.clear()
            self._end(None)
            return
        if self._at_hand is None or not peer.chunking:
            unsent.append((b"DATA\r\n", Stage.DATA, -1))
        peer.needs_reset = False  # from here on the answers tell
        self._send_next()

    def _send_next(self) -> None:
        """All commands at once under PIPELINING, else the next one."""
        batch: list[bytes] = []
        unsent, expected = self._unsent, self._expected
        pipelining = self._peer.pipelining
        while unsent and (pipelining or not expected):
            command, stage, index = unsent.popleft()
            batch.append(command)
            expected.append((stage, index))
        if batch and pipelining and self._chunks and self._ahead:
            batch.append(self._last_chunk())
        if batch:
            self._out.append(Send(b"".join(batch)))

    @property
    def _chunks(self) -> bool:
        return self._peer.chunking and self._at_hand is not None

    def _last_chunk(self) -> bytes:
        """The whole message as one BDAT; its answers are expected from now on."""
        assert self._at_hand is not None, "only what is at hand has a known size"
        text = whole_lines(self._at_hand)
        self._at_hand = b""
        self._expect_ends()
        return b"BDAT %d LAST\r\n%b" % (len(text), text)

    def _expect_ends(self) -> None:
        """RFC 2033 section 4.2: LMTP answers for each recipient accepted before."""
        self._written = True
        if not self._peer.lmtp:
            self._expected.append((Stage.END_OF_DATA, -1))
        else:
            self._expected.extend((Stage.END_OF_DATA, index) for index in self._accepted)

    # -- answers

    def on_reply(self, reply: Reply, *, more: bool) -> None:
        """Args:
        more: octets stand behind the reply.
        """
        if not self._expected:
            self._unexpected(reply)
            return
        stage, index = self._expected.popleft()
        if reply.code == 421:
            # RFC 5321 section 3.8: the server closes; true at any stage.
            elsewhere = stage is not Stage.END_OF_DATA
            self._end(result_of(reply), elsewhere, usable=False, stale=True)
            return
        if stage is Stage.RSET:
            if reply.kind == 2:
                self._send_next()
            else:
                self._end(result_of(reply), True, usable=False, stale=True)
            return
        self._answered = True
        if stage is Stage.RCPT:
            self._on_recipient(reply, index, more)
        elif stage is Stage.MAIL:
            self._on_mail(reply)
        elif stage is Stage.END_OF_DATA:
            self._on_end_of_data(reply, index)
        else:
            self._on_data(reply, more)

    def _unexpected(self, reply: Reply) -> None:
        if reply.kind >= 4 and self._pause in (Stage.BODY, Stage.INSPECT):
            # A server that refuses before it has seen the end means what it says.
            self._decide_accepted(result_of(reply))
            self._end(result_of(reply), usable=False)
        else:
            self._end(defer("4.5.0", f"reply without a command: {reply.text}"), usable=False)

    def _on_mail(self, reply: Reply) -> None:
        if reply.kind == 2:
            self._peer.needs_reset = True
            self._send_next()
            return
        self._mail_refusal = (result_of(reply), reply.kind == 4)
        if not self._expected:
            self._end(None)
        # Else the answers to what was pipelined come first; the last one is DATA's.

    def _on_recipient(self, reply: Reply, index: int, more: bool) -> None:
        if self._mail_refusal is None:
            if reply.kind == 2:
                self._accepted.append(index)
            else:
                some = bool(self._accepted)
                self._results[index] = recipient_refused(reply, some_accepted=some)
        if self._expected:
            return
        if self._unsent and self._unsent[0][1] is Stage.RCPT:
            self._send_next()
        elif self._mail_refusal is not None or not self._accepted:
            self._end(None)
        elif self._unsent:
            self._send_next()
        elif more:
            self._end(defer("4.5.0", _TOO_EARLY), usable=False)
        else:
            self._out.append(Send(self._last_chunk()))

    def _on_data(self, reply: Reply, more: bool) -> None:
        if not self._accepted:
            # Only when pipelined. After a 354 the peer waits for a body: the connection is closed
            # without an end of data, so that it cannot deliver an empty message (RFC 2920 3.1).
            self._end(None, usable=reply.kind >= 4)
        elif reply.code == 354 and more:
            self._end(defer("4.5.0", _TOO_EARLY), usable=False)
        elif reply.code == 354:
            self._send_body()
        else:
            self._decide_accepted(result_of(reply))
            self._end(result_of(reply), usable=reply.kind >= 4)

    def _send_body(self) -> None:
        if self._at_hand is None:
            self._pause = Stage.BODY
            assert self._terms is not None, "DATA was said"
            self._out.append(SendBody(self._terms.encodings))
            return
        stuffer = DotStuffer()
        self._out.append(Send(stuffer.feed(self._at_hand) + stuffer.finish()))
        self._expect_ends()

    def _on_end_of_data(self, reply: Reply, index: int) -> None:
        if reply.kind == 2:
            result = Result(Verdict.DELIVERED, reply.status, reply.text, True)
        else:
            result = result_of(reply)
        if not self._accepted:
            # BDAT to nobody: its octets were to be skipped (RFC 3030 section 2); whether they were
            # is not worth a guess where the answer is not that of a server that knows BDAT.
            self._end(None, usable=reply.code in (_NO_RECIPIENTS_YET, 554))
            return
        without_chunking = False
        if self._terms is not None and self._chunks:
            without_chunking = reply.code in (*_UNKNOWN_COMMAND, _NO_RECIPIENTS_YET)
            # Over LMTP the answers are as many as recipients were accepted, so BDAT comes later.
            self._peer.chunks_taken |= reply.kind == 2 and not self._peer.lmtp
        if without_chunking:
            problem = defer("4.5.0", f"the server offers CHUNKING and refuses BDAT: {reply.text}")
            self._end(problem, usable=False, without_chunking=True)
            return
        for each in self._accepted if index < 0 else (index,):
            self._results[each] = result
        if self._expected:
            return  # LMTP: more recipients
        # RFC 5321 section 4.1.1.4: refused or not, the transaction is over. After a BDAT that was
        # refused RFC 3030 section 2 wants RSET.
        self._peer.needs_reset = reply.kind != 2 and self._chunks
        self._end(None, usable=reply.kind != 3)

    def _decide_accepted(self, result: Result) -> None:
        for index in self._accepted:
            if self._results[index] is None:
                self._results[index] = result

    # -- ending

    def _end(
        self,
        problem: Result | None,
        elsewhere: bool = False,
        *,
        usable: bool = True,
        stale: bool = False,
        without_chunking: bool = False,
    ) -> None:
        """Report once."""
        if self.ended:
            return
        self.ended = True
        self.usable = usable and not self._expected
        self._expected.clear()
        self._unsent.clear()
        self._pause = Stage.CLOSED
        if self._mail_refusal is not None:
            problem, elsewhere = self._mail_refusal
        if None not in self._results:
            problem = None
        agreed = self._terms
        self._out.append(
            TransactionEnd(
                tuple(self._results),
                problem,
                elsewhere,
                reports_on=agreed is not None and agreed.reports_on,
                timed=agreed is not None and agreed.timed,
                stale=stale and self._peer.used and not self._answered,
                without_chunking=without_chunking,
            )
        )
