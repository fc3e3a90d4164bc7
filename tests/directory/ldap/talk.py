"""A Dialogue on a transport in memory, with the time under control; the test is the server."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from gateway.directory.ldap.asking import BindAnswer, Found, Heard, LdapFailed
from gateway.directory.ldap.dialogue import Dialogue
from gateway.wire.ldap.ber import expect, integer_at, part_at, parts
from gateway.wire.ldap.filters import Present
from gateway.wire.ldap.messages import BindRequest, Control, Scope, SearchRequest
from tests.directory.bad_server import BIND_RESPONSE, result

SEARCH = SearchRequest("dc=x", Scope.SUBTREE, Present("mail"), ("mail",))
LIMIT = 10_000


class Wire(StringTransport):
    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class Talk:
    """``ended`` holds what was told of the end."""

    def __init__(self, *, message_limit_octets: int = LIMIT) -> None:
        self.clock = Clock()
        self.transport = Wire()
        self.ended: list[str] = []
        self.dialogue = Dialogue(
            "ldap://bad",
            self.clock,
            message_limit_octets=message_limit_octets,
            ended=lambda dialogue, reason: self.ended.append(reason),
        )
        self.dialogue.makeConnection(self.transport)

    def say(self, *messages: bytes) -> None:
        self.dialogue.dataReceived(b"".join(messages))

    def hang_up(self, reason: Exception | None = None) -> None:
        self.dialogue.connectionLost(Failure(reason or ConnectionDone()))

    def search(
        self,
        *,
        deadline_s: float = 8.0,
        reply_limit_octets: int = LIMIT,
        heard: Heard | None = None,
        controls: tuple[Control, ...] = (),
    ) -> Deferred[Found]:
        return self.dialogue.search(
            SEARCH,
            controls,
            deadline_s=deadline_s,
            reply_limit_octets=reply_limit_octets,
            heard=heard,
        )

    def bind(self, dn: str = "cn=x", password: bytes = b"s3cret") -> Deferred[BindAnswer]:
        return self.dialogue.bind(BindRequest(dn, password), deadline_s=8.0)

    def bound(self) -> None:
        answer = self.bind()
        self.say(result(self.sent()[-1][0], BIND_RESPONSE, 0))
        assert outcome(answer)

    def sent(self) -> list[tuple[int, int, bytes]]:
        """Number, tag and contents of each request so far."""
        octets = self.transport.value()
        found = []
        for _, start, stop in parts(octets, 0, len(octets)):
            first, behind = expect(octets, start, stop, 0x02)
            tag, at, end = part_at(octets, behind, stop)
            found.append((integer_at(octets, first, behind), tag, octets[at:end]))
        return found

    def kinds(self) -> list[int]:
        return [kind for _, kind, _ in self.sent()]

    @property
    def aborted(self) -> bool:
        return self.transport.aborted

    @property
    def timers(self) -> int:
        return len(self.clock.getDelayedCalls())


def outcome(deferred: Deferred[Any]) -> Any:
    """What it has come to; fails the test if it has not."""
    found: list[Any] = []
    deferred.addBoth(found.append)
    (value,) = found
    if isinstance(value, Failure):
        value.raiseException()
    return value


def reason(deferred: Deferred[Any]) -> str:
    """Why it failed, as it must have."""
    with pytest.raises(LdapFailed) as error:
        outcome(deferred)
    return error.value.reason
