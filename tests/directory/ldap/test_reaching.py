"""Every address of a name is tried, the one that answered last first, and never for too long."""

from __future__ import annotations

from collections.abc import Iterator
from socket import (
    IPPROTO_TCP,
    SO_KEEPALIVE,
    SOL_SOCKET,
    TCP_NODELAY,
    create_connection,
    create_server,
    socket,
)
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IHostnameResolver
from zope.interface import implementer

from gateway.directory.ldap.asking import LdapFailed
from gateway.directory.ldap.opening import Limits, Opener, Place, Security
from gateway.directory.ldap.reaching import MOST_NAMES, REMEMBERED_S, Reaches
from tests.support.own_reactor import OwnReactor

NAME = "dc.example.test"


@implementer(IHostnameResolver)
class Names:
    """Gives these addresses for every name; with none, the answer never comes."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

    def resolveHostName(
        self,
        receiver: Any,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> Any:
        self.asked.append(hostName)
        receiver.resolutionBegan(self)
        if self.addresses:
            for address in self.addresses:
                receiver.addressResolved(IPv4Address("TCP", address, portNumber))
            receiver.resolutionComplete()
        return receiver


class World:
    """A listener on this machine, and an Opener whose clock can be put forward."""

    def __init__(self, own: OwnReactor) -> None:
        self.own = own
        self.listener = create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.ahead_s = 0.0
        seconds = own.reactor.seconds
        own.reactor.seconds = lambda: seconds() + self.ahead_s
        self.reaches = Reaches(own.reactor)
        self.opener = Opener(own.reactor, None, self.reaches)

    def names(self, *addresses: str) -> Names:
        made = Names(*addresses)
        self.own.reactor.installNameResolver(made)
        return made

    def reach(self, host: str = NAME, connect_timeout_s: float = 25.0) -> str:
        """The address that was reached."""
        limits = Limits(connect_timeout_s, 8.0, message_limit_octets=1000)
        place = Place("ldap://server", host, self.port, Security.CLEAR)
        dialogue = self.own.wait(self.opener.open(place, limits)).dialogue
        raw: socket = dialogue.transport.getHandle()
        # Held back by Nagle's algorithm a bind takes 40 ms more, at each login.
        assert raw.getsockopt(IPPROTO_TCP, TCP_NODELAY)
        assert raw.getsockopt(SOL_SOCKET, SO_KEEPALIVE)
        dialogue.close()
        return str(dialogue.transport.getPeer().host)

    def why_not(self, host: str = NAME, connect_timeout_s: float = 25.0) -> str:
        with pytest.raises(LdapFailed) as error:
            self.reach(host, connect_timeout_s)
        return error.value.reason


@pytest.fixture
def world(own: OwnReactor) -> Iterator[World]:
    made = World(own)
    yield made
    made.listener.close()


def test_L10_every_address_of_a_name_is_tried(world: World) -> None:
    world.names("127.0.0.2", "127.0.0.3", "127.0.0.1")
    assert world.reach() == "127.0.0.1"


def test_the_address_that_answered_is_used_again_without_a_question(world: World) -> None:
    names = world.names("127.0.0.2", "127.0.0.1")
    for _ in range(3):
        assert world.reach() == "127.0.0.1"
    assert names.asked == [NAME]
    world.ahead_s += REMEMBERED_S
    assert world.reach() == "127.0.0.1"
    assert names.asked == [NAME, NAME]


def test_an_address_that_does_not_answer_any_more_is_forgotten(world: World) -> None:
    world.names("127.0.0.1")
    world.reach()
    world.listener.close()
    world.listener = create_server(("127.0.0.2", world.port))
    names = world.names("127.0.0.2")
    assert world.reach() == "127.0.0.2"
    assert names.asked == [NAME]
    assert world.reach() == "127.0.0.2"
    assert names.asked == [NAME]


def test_what_is_remembered_is_bounded(world: World) -> None:
    names = world.names("127.0.0.1")
    for number in range(MOST_NAMES + 1):
        world.reach(f"dc{number}.example.test")
    world.reach("dc1.example.test")
    assert len(names.asked) == MOST_NAMES + 1
    world.reach("dc0.example.test")
    assert len(names.asked) == MOST_NAMES + 2


def test_addresses_are_no_questions(world: World) -> None:
    names = world.names()
    assert world.reach("127.0.0.1") == "127.0.0.1"
    assert names.asked == []


def test_L10_names_that_are_not_answered_have_a_limit(world: World) -> None:
    world.names()
    assert world.why_not(connect_timeout_s=0.1) == ("ldap://server: connecting: no answer in 0.1 s")


@pytest.mark.parametrize("host", ["127.0.0.1", NAME])
def test_a_server_that_is_not_there_is_told(world: World, host: str) -> None:
    world.names("127.0.0.1")
    world.listener.close()
    assert "connecting: Connection was refused" in world.why_not(host)


@pytest.fixture
def silent(world: World) -> Iterator[World]:
    """Nobody accepts, and no more connections are kept waiting: whoever comes hears nothing."""
    world.listener.close()
    world.listener = socket()
    world.listener.bind(("127.0.0.1", world.port))
    world.listener.listen(0)
    with create_connection(("127.0.0.1", world.port)):
        yield world


@pytest.mark.parametrize("host", ["127.0.0.1", NAME])
def test_L10_a_server_that_says_nothing_has_a_limit(silent: World, host: str) -> None:
    silent.names("127.0.0.1")
    assert silent.why_not(host, 0.1) == "ldap://server: connecting: no answer in 0.1 s"
    silent.own.until(lambda: not silent.own.reactor.getDelayedCalls())


def test_who_does_not_wait_any_more_leaves_nothing_behind(silent: World, own: OwnReactor) -> None:
    silent.names()
    limits = Limits(3.0, 8.0, 1000)
    place = Place("ldap://server", "127.0.0.1", silent.port, Security.CLEAR)
    opening = own.start(silent.opener.open(place, limits))
    own.until(own.reactor.getWriters)
    opening.cancel()
    with pytest.raises((CancelledError, LdapFailed)):
        own.wait_for(opening)
    own.until(lambda: not own.reactor.getDelayedCalls())
    assert not own.reactor.getWriters()


def test_a_server_that_answers_late_is_reached(silent: World, own: OwnReactor) -> None:
    place = Place("ldap://server", "127.0.0.1", silent.port, Security.CLEAR)
    opening = own.start(silent.opener.open(place, Limits(25.0, 25.0, 1000)))
    own.until(own.reactor.getWriters)
    with silent.listener.accept()[0]:  # there is room again
        own.wait_for(opening).dialogue.close()


def test_a_refusal_that_comes_late_is_told_as_one(silent: World, own: OwnReactor) -> None:
    place = Place("ldap://server", "127.0.0.1", silent.port, Security.CLEAR)
    opening = own.start(silent.opener.open(place, Limits(8.0, 8.0, 1000)))
    own.until(own.reactor.getWriters)
    silent.listener.close()
    with pytest.raises(LdapFailed) as error:
        own.wait_for(opening)
    assert "connecting: Connection was refused" in error.value.reason
    assert not own.reactor.getWriters()
