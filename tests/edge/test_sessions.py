"""The open connections: who is counted, and how all of them end."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gateway.core.new_ids import id_source
from gateway.edge.connection import MailConnection
from gateway.edge.sessions import Sessions
from gateway.policy.connections import ConnectionLimits

LIMIT_S = 20.0


class Protocol:
    protocol = "smtp"


class Peer:
    """A connection that ends when asked to, later, only by force, or fails to."""

    connection_id = "00000001"
    door = Protocol()

    def __init__(self, sessions: Sessions, how: str = "at once", ip: str = "192.0.2.1") -> None:
        self.sessions = sessions
        self.how = how
        self.peer_ip = ip
        self.asked = self.aborted = False
        self.refusal = sessions.add(self.as_connection)

    @property
    def as_connection(self) -> MailConnection:
        return cast(MailConnection, self)

    def end(self) -> None:
        self.sessions.remove(self.as_connection)

    def drain(self) -> None:
        self.asked = True
        if self.how == "at once":
            self.end()
        elif self.how == "faulty":
            raise RuntimeError("a fault of ours")

    def abort(self) -> None:
        self.aborted = True
        self.end()


def make(total: int = 10, per_address: int = 10) -> Sessions:
    return Sessions(ConnectionLimits(total, per_address), id_source(lambda: 0.0, 0))


def drain(sessions: Sessions, clock: Clock) -> list[int]:
    """Starts it; the list gets the number of those cut off when it is done."""
    outcome: list[int] = []
    draining = Deferred.fromCoroutine(sessions.drain(cast(Any, clock), LIMIT_S))
    draining.addCallback(outcome.append)
    return outcome


def test_a_refused_connection_is_not_counted_in_or_out() -> None:
    sessions = make(per_address=1)
    first, second = Peer(sessions), Peer(sessions)
    assert first.refusal == "" and second.refusal != ""
    assert sessions.count_by_protocol() == {"smtp": 1}
    second.end()
    assert sessions.count_by_protocol() == {"smtp": 1}
    assert Peer(sessions).refusal != "", "the place is still taken"
    first.end()
    first.end()
    assert Peer(sessions).refusal == ""


def test_draining_nobody_takes_no_time() -> None:
    clock = Clock()
    assert drain(make(), clock) == [0]
    assert clock.getDelayedCalls() == []


def test_D11_draining_waits_for_those_in_flight() -> None:
    sessions, clock = make(), Clock()
    quick, slow = Peer(sessions), Peer(sessions, "later")
    outcome = drain(sessions, clock)
    assert quick.asked and slow.asked and outcome == []
    clock.advance(LIMIT_S - 1)
    slow.end()
    assert outcome == [0]
    assert not slow.aborted and clock.getDelayedCalls() == []


def test_D11_at_the_limit_the_rest_is_cut_off() -> None:
    sessions, clock = make(), Clock()
    stuck = [Peer(sessions, "by force") for _ in range(3)]
    outcome = drain(sessions, clock)
    clock.advance(LIMIT_S)
    assert outcome == [3]
    assert all(peer.aborted for peer in stuck)
    assert sessions.count_by_protocol() == {}


def test_D11_who_is_announced_while_we_stop_is_refused_and_not_waited_for() -> None:
    """By a proxy whose connection was there before, and its header was not."""
    sessions, clock = make(), Clock()
    slow = Peer(sessions, "later")
    outcome = drain(sessions, clock)
    assert Peer(sessions, "by force").refusal == "shutting down"
    slow.end()
    assert outcome == [0]


def test_N3_a_process_takes_no_more_than_it_has_room_for() -> None:
    limits = ConnectionLimits(10, 10)
    sessions = Sessions(limits, id_source(lambda: 0.0, 0), room=1)
    first, second = Peer(sessions), Peer(sessions)
    assert first.refusal == "" and second.refusal == "too many connections"
    assert limits.open_connections == 1
    first.end()
    assert Peer(sessions).refusal == ""


def test_one_faulty_session_stops_no_other(recorded_failures: list[object]) -> None:
    sessions, clock = make(), Clock()
    peers = [Peer(sessions, how) for how in ("faulty", "at once", "faulty", "at once")]
    assert drain(sessions, clock) == [0]
    assert all(peer.asked for peer in peers)
    assert len(recorded_failures) == 2
